/**
 * Objects of the standard library whose bytes were changed: what contradicts itself is said to be corrupt, and nothing ever takes long, throws or
 * goes in a circle, wherever a byte is wrong or missing.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { threadStack, type LogicalFrame } from '../../../../controller/snapshot/frames.js';
import { variablePlace } from '../../../../controller/snapshot/frame-evaluation.js';
import { renderContext } from '../../../../controller/snapshot/evaluate.js';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { evaluateExpressions } from '../../../../controller/snapshot/show.js';
import { renderValue } from '../../../../controller/types/render.js';
import type { Value } from '../../../../controller/types/value.js';
import type { ValueDocument } from '../../../../controller/types/value-document.js';
import { absent, isAbsent } from '../../../../format/absent.js';
import { StillframeError } from '../../../../format/error.js';
import type { MemoryReader } from '../../../../format/memory.js';
import { compileNative, cplusplus } from '../../../support/compile-native.js';
import { crashCore } from '../../../support/core.js';
import { fixtureText } from '../../../support/fixtures.js';
import { sentWalks } from '../../../support/view-walks.js';

class Library implements Disposable {
  readonly #core: ReturnType<typeof crashCore>;
  readonly snapshot: Snapshot;
  readonly frames: readonly LogicalFrame[];

  constructor(...flags: readonly string[]) {
    const command = flags.includes('-stdlib=libc++') ? 'clang++' : 'g++';
    const toolchain = cplusplus(command, '-w', '-std=c++20', ...flags);
    this.#core = crashCore(compileNative(fixtureText('cplusplus/library.cc'), 'library', toolchain), []);
    this.snapshot = openSnapshot(this.#core.path);
    const [thread] = this.snapshot.threads;
    if (thread === undefined) throw new Error('no thread');
    this.frames = threadStack(this.snapshot, thread).frames;
  }

  [Symbol.dispose](): void {
    this.snapshot[Symbol.dispose]();
    this.#core[Symbol.dispose]();
  }

  #frame(name: string): LogicalFrame {
    const frame = this.frames.find((each) => each.source?.scope?.variables.some((one) => one.name === name));
    if (frame === undefined) throw new Error(`no local ${name}`);
    return frame;
  }

  value(name: string): { readonly value: Value; readonly frame: LogicalFrame } {
    const frame = this.#frame(name);
    const { evaluation, source } = frame;
    const variable = source?.scope?.variables.find((each) => each.name === name);
    if (variable === undefined || evaluation === undefined) throw new Error(`no local ${name}`);
    return {
      frame,
      value: { type: variable.type(), place: variablePlace(evaluation, variable, source?.scope) },
    };
  }

  /** Of an expression of integers or pointers, its value. */
  number(local: string, expression: string): bigint {
    const frame = this.#frame(local).index;
    const [shown] = evaluateExpressions(this.snapshot, [expression], { frame, raw: true });
    if (shown === undefined || shown instanceof StillframeError) throw shown ?? new Error('nothing');
    if (shown.value === undefined) throw new Error(`${expression} has no value: ${JSON.stringify(shown)}`);
    return BigInt(shown.value);
  }

  /** All locals that have a place. */
  *values(): Generator<Value> {
    for (const { evaluation, source } of this.frames) {
      if (evaluation === undefined) continue;
      for (const variable of source?.scope?.variables ?? []) {
        yield { type: variable.type(), place: variablePlace(evaluation, variable, source?.scope) };
      }
    }
  }

  show(name: string, memory: MemoryReader = this.snapshot.memory): ValueDocument {
    const { value, frame } = this.value(name);
    return renderValue(value, { ...renderContext(this.snapshot, frame, { depth: 2 }), memory });
  }
}

/** Memory with some words in place of what is there. */
function patched(
  inner: MemoryReader,
  patches: readonly { readonly at: bigint; readonly bytes: Uint8Array }[],
): MemoryReader {
  return {
    read(address, length) {
      const found = inner.read(address, length);
      if (isAbsent(found)) return found;
      const bytes = Uint8Array.from(found.bytes);
      for (const patch of patches) {
        for (const [i, byte] of patch.bytes.entries()) {
          const at = patch.at + BigInt(i) - address;
          if (at >= 0n && at < BigInt(length)) bytes[Number(at)] = byte;
        }
      }
      return { ...found, bytes };
    },
  };
}

function word(value: bigint, size = 8): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return Uint8Array.from(bytes.subarray(0, size));
}

/** A local, the word of it that is changed, what it becomes (numbers, or expressions), and what is said then. */
type Row = readonly [local: string, word: string, becomes: string | bigint, says: RegExp, size?: number];

const libstdcxx: readonly Row[] = [
  ['outside', 'outside._M_string_length', 1n << 50n, /corrupt/],
  ['outside', 'outside._M_string_length', 17n, /corrupt/],
  ['inside', 'inside._M_string_length', 16n, /corrupt/],
  ['full', 'full._M_impl._M_finish', '(long)full._M_impl._M_start - 4', /corrupt/],
  ['full', 'full._M_impl._M_finish', '(long)full._M_impl._M_start + 2', /corrupt/],
  ['full', 'full._M_impl._M_finish', '(long)full._M_impl._M_start + 16', /corrupt/],
  ['bitsMany', 'bitsMany._M_impl._M_finish._M_p', '(long)bitsMany._M_impl._M_start._M_p - 8', /corrupt/],
  ['bitsMany', 'bitsMany._M_impl._M_finish._M_offset', 64n, /corrupt/, 4],
  [
    'dequeMany',
    'dequeMany._M_impl._M_start._M_cur',
    '(long)dequeMany._M_impl._M_start._M_cur + 2',
    /corrupt/,
  ],
  [
    'dequeMany',
    'dequeMany._M_impl._M_finish._M_node',
    '(long)dequeMany._M_impl._M_start._M_node - 8',
    /corrupt/,
  ],
  ['dequeMany', 'dequeMany._M_impl._M_start._M_node[0]', 0n, /corrupt/],
  [
    'listMany',
    'listMany._M_impl._M_node._M_next->_M_next',
    '(long)listMany._M_impl._M_node._M_next',
    /lead back/,
  ],
  ['listMany', 'listMany._M_impl._M_node._M_next->_M_prev', 64n, /lead back/],
  ['listMany', 'listMany._M_impl._M_node._M_next', 3n, /leads to no node/],
  ['listMany', 'listMany._M_impl._M_node._M_size', 5n, /says 5 elements and leads to 3/],
  ['listMany', 'listMany._M_impl._M_node._M_size', 2n, /says 2 elements and leads to more/],
  [
    'forwardMany',
    'forwardMany._M_impl._M_head._M_next->_M_next',
    '(long)forwardMany._M_impl._M_head._M_next',
    /circle/,
  ],
  [
    'mapFew',
    'mapFew._M_t._M_impl._M_header._M_parent->_M_left',
    '(long)mapFew._M_t._M_impl._M_header._M_parent',
    /another parent/,
  ],
  [
    'mapFew',
    'mapFew._M_t._M_impl._M_header._M_parent->_M_right',
    '(long)mapFew._M_t._M_impl._M_header._M_parent->_M_left',
    /another parent/,
  ],
  [
    'mapFew',
    'mapFew._M_t._M_impl._M_header._M_left',
    '(long)mapFew._M_t._M_impl._M_header._M_right',
    /not where it says/,
  ],
  ['mapFew', 'mapFew._M_t._M_impl._M_node_count', 7n, /says 7 elements and leads to 3/],
  ['mapFew', 'mapFew._M_t._M_impl._M_node_count', 1n, /more than its 1 nodes|leads to more/],
  ['mapFew', 'mapFew._M_t._M_impl._M_node_count', -1n, /corrupt/],
  ['setFew', 'setFew._M_t._M_impl._M_header._M_parent', 17n, /no node/],
  [
    'hashNumbers',
    'hashNumbers._M_h._M_before_begin._M_nxt->_M_nxt',
    '(long)hashNumbers._M_h._M_before_begin._M_nxt',
    /circle/,
  ],
  [
    'hashFew',
    'hashFew._M_h._M_before_begin._M_nxt',
    '(long)hashSetStrings._M_h._M_before_begin._M_nxt',
    /not in the bucket/,
  ],
  ['hashFew', 'hashFew._M_h._M_element_count', 1n, /more than its 1 nodes|leads to more/],
  ['some', 'some._M_payload._M_engaged', 2n, /discriminant is 2/, 1],
  ['variantText', 'variantText._M_index', 9n, /discriminant is 9/, 1],
  ['any', 'any._M_manager', 0x1000n, /not known/],
];

const libcxx: readonly Row[] = [
  ['wideLong', 'wideLong.__r_.__value_.__l.__size_', 1n << 50n, /corrupt/],
  ['inside', 'inside.__r_.__value_.__s.__size_', 60n, /corrupt/, 1],
  ['full', 'full.__end_', '(long)full.__begin_ - 4', /corrupt/],
  ['bitsMany', 'bitsMany.__size_', 1n << 20n, /corrupt/],
  ['dequeMany', 'dequeMany.__start_', 1n << 30n, /corrupt/],
  ['dequeMany', 'dequeMany.__map_.__begin_[0]', 0n, /corrupt/],
  ['listMany', 'listMany.__end_.__next_->__next_', '(long)listMany.__end_.__next_', /lead back/],
  ['listMany', 'listMany.__size_alloc_.__value_', 5n, /says 5 elements and leads to 3/],
  [
    'mapFew',
    'mapFew.__tree_.__pair1_.__value_.__left_->__left_',
    '(long)mapFew.__tree_.__pair1_.__value_.__left_',
    /another parent/,
  ],
  ['mapFew', 'mapFew.__tree_.__pair3_.__value_', 9n, /says 9 elements and leads to 3/],
  [
    'hashMany',
    'hashMany.__table_.__p1_.__value_.__next_',
    '(long)hashSet.__table_.__p1_.__value_.__next_',
    /not in the bucket/,
  ],
  ['some', 'some.__engaged_', 3n, /discriminant is 3/, 1],
];

const open: Library[] = [];
afterAll(() => {
  for (const each of open) each[Symbol.dispose]();
});

function library(...flags: readonly string[]): Library {
  const made = new Library(...flags);
  open.push(made);
  return made;
}

const whole = (document: ValueDocument): string => JSON.stringify(document);

describe.each([
  ['libstdc++', [], libstdcxx, ['bit-range', 'block-range']],
  ['libc++', ['-stdlib=libc++'], libcxx, ['bit-count', 'block-index']],
] as const)('%s', (_name, flags, rows, ofItsOwn) => {
  const built = library(...flags);

  test.each(rows.map((row) => [...row]))('%s with %s %s', (local, place, becomes, says, size) => {
    const at = built.number(local, `(long)&(${place})`);
    const value = typeof becomes === 'bigint' ? becomes : built.number(local, becomes);
    const before = built.show(local);
    const after = built.show(local, patched(built.snapshot.memory, [{ at, bytes: word(value, size) }]));
    expect(before.absent).toBeUndefined();
    expect(after.absent?.detail ?? '').toMatch(says);
  });

  test('walks can be sent, and find the same there', () => {
    const kinds = sentWalks(built.values(), built.snapshot.memory);
    const ofBoth = ['bit-fields', 'node-chain', 'node-hash', 'node-ring', 'tree'];
    expect(kinds).toEqual([...ofItsOwn, ...ofBoth].toSorted());
  });

  test('whatever word of an object is wrong, it is bounded and throws nothing', () => {
    const random = generator(7);
    for (const local of [
      'mapNested',
      'mapDeep',
      'hashMany',
      'dequeMany',
      'listStrings',
      'nested',
      'bitsMany',
      'tuple',
      'sharedSet',
      'anyText',
    ]) {
      const reads = readsOf(built, local);
      for (let i = 0; i < 40; i++) {
        const { address, length } = reads[random(reads.length)] ?? { address: 0n, length: 8 };
        const at = (address & ~7n) + BigInt(8 * random(Math.max(1, length >> 3)));
        const other = reads[random(reads.length)]?.address ?? 0n;
        const value = [other, other + 8n, 0n, BigInt(random(1 << 30)), -1n, 1n << 63n][random(6)] ?? 0n;
        const memory = counting(patched(built.snapshot.memory, [{ at, bytes: word(value) }]));
        whole(built.show(local, memory));
        expect(memory.reads).toBeLessThan(60_000);
      }
    }
  });

  test('whatever was not captured is said to be missing, and what was is shown', () => {
    for (const local of [
      'mapFew',
      'hashFew',
      'listMany',
      'strings',
      'dequeStrings',
      'outside',
      'sharedSet',
      'some',
    ]) {
      const healthy = whole(built.show(local));
      for (const { address, length } of readsOf(built, local)) {
        const holed = without(built.snapshot.memory, address, length);
        const shown = whole(built.show(local, holed));
        expect([local, shown]).toEqual([local, /"absent"|<not captured>/.test(shown) ? shown : healthy]);
      }
    }
  });
});

/** Memory without a range. */
function without(inner: MemoryReader, from: bigint, length: number): MemoryReader {
  return {
    read(address, size) {
      const [start, end] = [address, address + BigInt(size)];
      if (end <= from || start >= from + BigInt(length)) return inner.read(address, size);
      return absent('not-captured', 'a hole', { address: from, length });
    },
  };
}

function counting(inner: MemoryReader): MemoryReader & { readonly reads: number } {
  let reads = 0;
  return {
    get reads() {
      return reads;
    },
    read(address, length) {
      reads++;
      return inner.read(address, length);
    },
  };
}

function readsOf(built: Library, local: string): { readonly address: bigint; readonly length: number }[] {
  const reads: { address: bigint; length: number }[] = [];
  const { memory } = built.snapshot;
  built.show(local, {
    read(address, length) {
      reads.push({ address, length });
      return memory.read(address, length);
    },
  });
  return reads;
}

/** Numbers below a bound, the same in each run. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}
