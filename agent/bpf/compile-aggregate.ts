/**
 * What a metric does with a hit, as eBPF: the value, then the group's key, then the cell, then the additions. Registers: r6 the context, r8 the
 * value, r9 this thread's scratch where there is one, r7 as each part says and at last the cell.
 */
import type { AggregateBuckets } from '../../format/plan/aggregate.js';
import type { PlanSite } from '../../format/plan/plan.js';
import { type AggregateMaps, keyBytes, keyTextOffset } from './aggregate-maps.js';
import type { Assembler, Label, Register } from './assembler.js';
import { compileExpression } from './compile-expression.js';
import { frameScratch } from './frame.js';
import { bpfHelpers } from './helper-calls.js';
import type { SiteAddress } from './site-cookie.js';
import { scratchDurationOffset, scratchSpillOffset } from './thread-scratch.js';
import { emitUserRead } from './user-read.js';

const BPF_NOEXIST = 1n;

export interface AggregateContext {
  readonly assembler: Assembler;
  readonly maps: AggregateMaps;
  readonly linkAddress: SiteAddress;
  readonly counterSlots: number;
  readonly sleepable: boolean;
  readonly copyStringBtfId?: number;
  /** r9 is an entry of the thread scratch. */
  readonly hasScratch: boolean;
  /** r8 is the time since the function was entered. */
  readonly isTimed: boolean;
  /** Where to go when value or group cannot be read. */
  readonly unreadable: Label;
}

export function compileAggregate(site: PlanSite, context: AggregateContext): void {
  new AggregateCompiler(site, context).compile();
}

class AggregateCompiler {
  readonly #site: PlanSite;
  readonly #context: AggregateContext;
  readonly #asm: Assembler;

  constructor(site: PlanSite, context: AggregateContext) {
    this.#site = site;
    this.#context = context;
    this.#asm = context.assembler;
  }

  compile(): void {
    const { value, group } = this.#site.aggregate ?? {};
    this.#keepDuration();
    if (value !== undefined) {
      this.#expression(value, 'the value');
      this.#asm.mov(8, 7);
    }
    const found = this.#asm.label('cell');
    if (group !== undefined) {
      this.#key(group);
      this.#findGroup(found);
    }
    this.#restCell();
    this.#asm.bind(found);
    this.#add();
  }

  /** r8 becomes the value; r9 is free where there is no scratch. */
  #keepDuration(): void {
    const { isTimed, hasScratch } = this.#context;
    if (!isTimed) return;
    if (hasScratch) this.#asm.storeMemory(8, 9, scratchDurationOffset, 8);
    else this.#asm.mov(9, 8);
  }

  #expression(bytes: Uint8Array, name: string): void {
    const { sleepable, unreadable, hasScratch, isTimed } = this.#context;
    const duration = hasScratch ? { offset: scratchDurationOffset } : ({ register: 9 } as const);
    compileExpression(bytes, {
      assembler: this.#asm.section(name),
      name,
      linkAddress: this.#context.linkAddress,
      sleepable,
      readFault: unreadable,
      divisionFault: unreadable,
      ...(hasScratch ? { spillOffset: scratchSpillOffset } : {}),
      ...(isTimed ? { duration } : {}),
    });
  }

  /** Where the key is made: in the scratch, or in the frame, where no expression runs by then. */
  get #keyPlace(): { readonly base: 9 | 10; readonly offset: number } {
    if (this.#context.hasScratch) return { base: 9, offset: 0 };
    return { base: 10, offset: frameScratch - keyBytes(this.#context.maps.aggregate) };
  }

  #keyAddress(to: Register, offset = 0): void {
    const place = this.#keyPlace;
    this.#asm.mov(to, place.base).aluImm('add', to, place.offset + offset);
  }

  #key(group: Uint8Array): void {
    const { aggregate } = this.#context.maps;
    const { groupLength } = this.#site.aggregate ?? {};
    const { base, offset } = this.#keyPlace;
    if (aggregate.group?.kind !== 'text') {
      this.#expression(group, 'the group');
      this.#asm.storeMemory(8, base, offset, 7);
      return;
    }
    const { maxBytes } = aggregate.group;
    if (groupLength === undefined) {
      this.#expression(group, 'the group');
      this.#clearKey();
      this.#readString(maxBytes);
    } else {
      this.#clearKey();
      this.#expression(groupLength, 'the length of the group');
      this.#readCounted(group, maxBytes);
    }
  }

  #clearKey(): void {
    const { base, offset } = this.#keyPlace;
    for (let at = 0; at < keyBytes(this.#context.maps.aggregate); at += 8)
      this.#asm.storeImm(8, base, offset + at, 0);
  }

  /** Up to its NUL, from r7. One byte more than wanted tells whether it goes on; the kernel puts its NUL behind that. */
  #readString(maxBytes: number): void {
    const { copyStringBtfId, unreadable } = this.#context;
    const { base, offset } = this.#keyPlace;
    const asm = this.#asm;
    this.#keyAddress(1, keyTextOffset);
    asm.load(2, BigInt(maxBytes + 2)).mov(3, 7);
    if (copyStringBtfId === undefined) asm.call(bpfHelpers.bpf_probe_read_user_str);
    else asm.load(4, 0n).callKernelFunction(copyStringBtfId);
    // An int, with the NUL: only the lower half counts.
    asm.aluImm('lsh', 0, 32).aluImm('arsh', 0, 32).jumpIfImm('sle', 0, 0, unreadable);
    asm
      .aluImm('sub', 0, 1)
      .storeMemory(8, base, offset, 0)
      // Strings that go on are one group, whatever they go on with.
      .storeImm(1, base, offset + keyTextOffset + maxBytes, 0);
  }

  /** Of r7 bytes, signed, from where `group` says; an empty one is nowhere. */
  #readCounted(group: Uint8Array, maxBytes: number): void {
    const asm = this.#asm;
    const { base, offset } = this.#keyPlace;
    const done = asm.label('string read');
    const [clipped, whole] = [asm.label('length'), asm.label('whole string')];
    asm
      .jumpIfImm('sle', 7, 0, done)
      .jumpIfImm('sle', 7, maxBytes, clipped)
      .load(7, BigInt(maxBytes + 1))
      .bind(clipped)
      .storeMemory(8, base, offset, 7);
    this.#expression(group, 'the group');
    asm
      .mov(3, 7)
      .loadMemory(8, 2, base, offset)
      .jumpIfImm('le', 2, maxBytes, whole)
      .load(2, BigInt(maxBytes))
      .bind(whole);
    // Never true; the verifier does not know what was stored.
    asm.jumpIfImm('eq', 2, 0, done);
    this.#keyAddress(1, keyTextOffset);
    emitUserRead(asm, this.#context.sleepable);
    asm.jumpIfImm('ne', 0, 0, this.#context.unreadable).bind(done);
  }

  /** r7 becomes the group's cell of this CPU, at `found`; falls through where there are too many groups. */
  #findGroup(found: Label): void {
    const { groups, zeros } = this.#context.maps;
    if (groups === undefined || zeros === undefined) return;
    const asm = this.#asm.section('the group');
    const look = (): void => {
      asm.loadMap(1, groups.fd);
      this.#keyAddress(2);
      asm.call(bpfHelpers.bpf_map_lookup_elem).mov(7, 0).jumpIfImm('ne', 7, 0, found);
    };
    look();
    asm.loadMap(1, groups.fd);
    this.#keyAddress(2);
    asm.loadMapValue(3, zeros.fd, 0).load(4, BPF_NOEXIST).call(bpfHelpers.bpf_map_update_elem);
    // Another thread may have been first: what counts is whether it is there.
    look();
  }

  /** r7 becomes this CPU's cell of what has no group. */
  #restCell(): void {
    const { rest, restStride } = this.#context.maps;
    this.#asm
      .call(bpfHelpers.bpf_get_smp_processor_id)
      .aluImm('and', 0, this.#context.counterSlots - 1)
      .aluImm('mul', 0, restStride)
      .loadMapValue(7, rest.fd, 0)
      .alu('add', 7, 0);
  }

  #add(): void {
    const { words, aggregate } = this.#context.maps;
    const asm = this.#asm.section('adding up');
    if (words.count !== undefined) asm.load(1, 1n).atomic('add', 8, 7, words.count * 8, 1);
    if (words.low !== undefined && words.high !== undefined) {
      asm
        .mov(1, 8)
        .aluImm('lsh', 1, 32)
        .aluImm('rsh', 1, 32)
        .atomic('add', 8, 7, words.low * 8, 1);
      asm
        .mov(1, 8)
        .aluImm(aggregate.signed ? 'arsh' : 'rsh', 1, 32)
        .atomic('add', 8, 7, words.high * 8, 1);
    }
    if (words.buckets === undefined || aggregate.buckets === undefined) return;
    if (aggregate.buckets.kind === 'log2') this.#log2(aggregate.signed);
    else this.#linear(aggregate.buckets, aggregate.signed);
    asm
      .aluImm('lsh', 2, 3)
      .alu('add', 7, 2)
      .load(1, 1n)
      .atomic('add', 8, 7, words.buckets * 8, 1);
  }

  /** r2 = the bucket of r8. */
  #log2(signed: boolean): void {
    const asm = this.#asm;
    const done = asm.label('bucket');
    if (signed) asm.load(2, 65n).jumpIfImm('slt', 8, 0, done);
    asm.load(2, 0n).jumpIfImm('eq', 8, 0, done).load(2, 1n).mov(1, 8);
    for (const bits of [32, 16, 8, 4, 2, 1]) {
      const small = asm.label(`below 2^${bits}`);
      asm.mov(3, 1).aluImm('rsh', 3, bits).jumpIfImm('eq', 3, 0, small);
      asm.mov(1, 3).aluImm('add', 2, bits).bind(small);
    }
    asm.bind(done);
  }

  /** r2 = the bucket of r8. */
  #linear({ base, width, count }: AggregateBuckets & { kind: 'linear' }, signed: boolean): void {
    const asm = this.#asm;
    const done = asm.label('bucket');
    asm
      .load(2, BigInt(count))
      .load(1, base)
      .jumpIf(signed ? 'slt' : 'lt', 8, 1, done)
      .mov(2, 8)
      .alu('sub', 2, 1)
      .load(3, width)
      .alu('div', 2, 3)
      .jumpIfImm('lt', 2, count, done)
      .load(2, BigInt(count + 1))
      .bind(done);
  }
}
