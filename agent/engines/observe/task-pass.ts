/** One pass of the task iterator over a process: what each thread's record says. Threads whose record found no room are not in it. */
import { readSync } from 'node:fs';
import { StillframeError } from '../../../format/error.js';
import { readKernelBtf } from '../../bpf/btf.js';
import { compileObserve, threadRecordBytes } from '../../bpf/compile-observe.js';
import { loadAssembled } from '../../bpf/load.js';
import { RingBuffer, ringBytesFor, RingReader } from '../../bpf/ring-buffer.js';
import {
  type BpfMap,
  type BpfObject,
  createIterator,
  createMap,
  linkTaskIterator,
  programRunTimeNs,
} from '../../linux/bpf.js';
import { Holder } from '../../linux/holder.js';
import { type ObservedThread, readThreadRecord } from './thread-record.js';

const maxReads = 1000;

/** The iterator's program, loaded, with its ring; serves any number of passes. */
export class TaskPass implements Disposable {
  readonly #held: Holder;
  readonly #ring: RingBuffer;
  readonly #reader: RingReader;
  readonly #stackBytes: number;
  readonly #all: BpfObject;
  #some: { readonly program: BpfObject; readonly wanted: BpfMap } | undefined;
  #wanted: readonly number[] = [];

  /** Throws `unsupported` or `denied` where this host cannot; `threads`: how many records the ring should hold. */
  constructor(options: { readonly stackBytes: number; readonly threads: number }) {
    using undo = new Holder();
    this.#stackBytes = options.stackBytes;
    this.#ring = undo.use(
      new RingBuffer(ringBytesFor(threadRecordBytes(options.stackBytes), options.threads)),
    );
    this.#reader = new RingReader(this.#ring.place);
    this.#all = undo.use(this.#load(undefined));
    this.#held = undo.move();
  }

  #load(wanted: BpfMap | undefined): BpfObject {
    const action = 'cannot load the task iterator';
    const btf = readKernelBtf();
    const attachBtfId = btf?.findFunction('bpf_iter_task');
    if (btf === undefined || attachBtfId === undefined) {
      throw new StillframeError('unsupported', `${action}: the kernel has no type information of it`, {
        hint: 'needs CONFIG_DEBUG_INFO_BTF and Linux 5.18 or newer',
      });
    }
    const program = compileObserve({
      btf,
      ringFd: this.#ring.map.fd,
      stackBytes: this.#stackBytes,
      ...(wanted === undefined ? {} : { wantedFd: wanted.fd }),
    });
    return loadAssembled(action, program, {
      type: 'BPF_PROG_TYPE_TRACING',
      attachType: 'BPF_TRACE_ITER',
      attachBtfId,
      name: 'stillframe',
      sleepable: true,
    });
  }

  /** The kernel's time in all passes over all threads, as far as it counts it. */
  runTimeNs(): number {
    return programRunTimeNs(this.#all);
  }

  /** Reads all threads of `pid`, or only those of `tids`. */
  run(pid: number, tids?: readonly number[]): ObservedThread[] {
    if (tids !== undefined) this.#want(tids);
    const program = tids === undefined ? this.#all : this.#some?.program;
    if (program === undefined) throw new StillframeError('internal', 'a pass without a program');
    using link = linkTaskIterator(program, { pid });
    using iterator = createIterator(link);
    const nothing = Buffer.alloc(4096);
    for (let i = 0; readSync(iterator.fd, nothing, 0, nothing.length, null) > 0; i++) {
      if (i > maxReads) throw new StillframeError('limit', 'the task iterator does not end');
    }
    const threads: ObservedThread[] = [];
    this.#reader.drain((record) => {
      threads.push(readThreadRecord(record, this.#stackBytes));
    });
    return threads;
  }

  #want(tids: readonly number[]): void {
    if (this.#some === undefined) {
      using undo = new Holder();
      const wanted = undo.use(
        createMap({
          type: 'BPF_MAP_TYPE_HASH',
          name: 'wanted',
          keySize: 4,
          valueSize: 4,
          maxEntries: 32_768,
        }),
      );
      const program = undo.use(this.#load(wanted));
      this.#some = { program, wanted };
      this.#held.use(undo.move());
    }
    const { wanted } = this.#some;
    for (const tid of this.#wanted) wanted.remove(key(tid));
    for (const tid of tids) wanted.update(key(tid), Buffer.alloc(4));
    this.#wanted = tids;
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
  }
}

function key(tid: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(tid, 0);
  return bytes;
}
