/** Tries a breakpoint on writes for real, on memory of this very process, and measures what a write costs. */
import { StillframeError } from '../../../format/error.js';
import { Assembler } from '../../bpf/assembler.js';
import { loadAssembled } from '../../bpf/load.js';
import { createMap } from '../../linux/bpf.js';
import { Arena } from '../../linux/mmap.js';
import { WriteBreakpoints } from './breakpoints.js';

const writes = 200;
const rounds = 5;

/** Nanoseconds. Throws when writes are not seen, or may not be. */
export function measureWrite(): number {
  using arena = new Arena(4096);
  using state = createMap({
    type: 'BPF_MAP_TYPE_ARRAY',
    name: 'watch_probe',
    keySize: 4,
    valueSize: 8,
    maxEntries: 1,
  });
  using own = createMap({
    type: 'BPF_MAP_TYPE_HASH',
    name: 'watch_own',
    keySize: 4,
    valueSize: 1,
    maxEntries: 64,
  });
  const asm = new Assembler()
    .section('count')
    .loadMapValue(1, state.fd, 0)
    .load(2, 1n)
    .atomic('add', 8, 1, 0, 2);
  using program = loadAssembled('cannot compile a watch', asm.load(0, 0n).exit().assemble(), {
    type: 'BPF_PROG_TYPE_PERF_EVENT',
    attachType: 'BPF_CGROUP_INET_INGRESS',
    name: 'stillframe',
    sleepable: false,
  });
  const words = new BigUint64Array(arena.bytes.buffer, arena.bytes.byteOffset, 1);
  const write = (): number => {
    let least = Infinity;
    for (let round = 0; round < rounds; round++) {
      const start = process.hrtime.bigint();
      for (let i = 0; i < writes; i++) words[0] = BigInt(i);
      least = Math.min(least, Number(process.hrtime.bigint() - start) / writes);
    }
    return least;
  };
  const plain = write();
  using breakpoints = new WriteBreakpoints({
    pid: process.pid,
    address: arena.address,
    bytes: 8,
    program,
    own,
  });
  const watched = write();
  const seen = state.lookup(Buffer.alloc(4))?.readBigUInt64LE(0) ?? 0n;
  if (breakpoints.threads === 0 || seen !== BigInt(writes * rounds)) {
    throw new StillframeError(
      'unsupported',
      `cannot watch memory of our own: ${seen} of ${writes * rounds} writes were seen`,
    );
  }
  return Math.max(0, watched - plain);
}
