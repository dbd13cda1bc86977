/** Containers of a core whose memory was changed: each is shown as corrupt or missing, in bounded time, and never as something else that could be. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absent, isAbsent } from '../../../../format/absent.js';
import type { MemoryReader } from '../../../../format/memory.js';
import { defaultLimits } from '../../../../format/limits.js';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { typeOfDescriptor } from '../../../../controller/snapshot/type-descriptors.js';
import { renderValue } from '../../../../controller/types/render.js';
import { asComposite } from '../../../../controller/types/layout.js';
import { partAt } from '../../../../controller/types/rust/layout.js';
import type { Value } from '../../../../controller/types/value.js';
import type { ValueDocument } from '../../../../controller/types/value-document.js';
import { sentWalks } from '../../../support/view-walks.js';
import { runRustValues, rustLocals, type RustRun } from '../../../support/rust-program.js';

let run: RustRun;
let snapshot: Snapshot;
const variables = new Map<string, Value>();

beforeAll(() => {
  run = runRustValues('-C', 'opt-level=0');
  snapshot = openSnapshot(run.core);
  for (const [path, value] of rustLocals(snapshot)) {
    const name = path.slice(path.lastIndexOf('::') + 2);
    if (!variables.has(name)) variables.set(name, value);
  }
});
afterAll(() => {
  snapshot[Symbol.dispose]();
  run[Symbol.dispose]();
});

function valueOf(name: string): { readonly value: Value; readonly address: bigint } {
  const value = variables.get(name);
  if (value?.place.kind !== 'memory') throw new Error(`${name} is not in memory`);
  return { value, address: value.place.address };
}

type Patch = ReadonlyMap<bigint, number>;

/** The memory of the core, with some bytes changed. */
function patched(patch: Patch): MemoryReader {
  return {
    read(address, length) {
      const read = snapshot.memory.read(address, length);
      if (isAbsent(read)) return read;
      const bytes = Uint8Array.from(read.bytes);
      for (const [at, byte] of patch) {
        const i = at - address;
        if (i >= 0n && i < BigInt(length)) bytes[Number(i)] = byte;
      }
      return { ...read, bytes };
    },
  };
}

function word(address: bigint, value: bigint, size = 8): [bigint, number][] {
  return Array.from({ length: size }, (_, i) => [
    address + BigInt(i),
    Number((BigInt.asUintN(64, value) >> BigInt(i * 8)) & 0xffn),
  ]);
}

function shown(value: Value, memory: MemoryReader): ValueDocument {
  return renderValue(value, {
    memory,
    limits: { ...defaultLimits, maxElements: 1000 },
    depth: 1,
    typeOfDescriptor: (at, kind) => typeOfDescriptor(snapshot, at, kind),
  });
}

function wordAt(address: bigint): bigint {
  const read = snapshot.memory.read(address, 8);
  if (isAbsent(read)) throw new Error(`nothing at ${address}`);
  return Buffer.from(read.bytes).readBigUInt64LE();
}

/** Where a member of a member is. */
function placeOf(name: string, ...path: readonly string[]): bigint {
  const { value, address } = valueOf(name);
  const part = partAt(value.type, ...path);
  if (part === undefined) throw new Error(`${name} has no ${path.join('.')}`);
  return address + BigInt(part.offset);
}

const table = ['base', 'table', 'table'];

describe('a word that cannot be', () => {
  test.each<[name: string, path: readonly string[], value: bigint, detail: RegExp]>([
    ['vec', ['len'], 1n << 62n, /corrupt: a length of/],
    ['vec', ['len'], 100n, /corrupt: a length of 100 in a capacity of 3/],
    ['string', ['vec', 'len'], -1n, /corrupt: a length of -1/],
    ['string', ['vec', 'len'], 6n, /corrupt: a length of 6 in a capacity of 5/],
    ['vec', ['buf', 'inner', 'ptr'], 0x10n, /not captured/],
    ['deque', ['head'], 1000n, /corrupt: 4 elements from 1000 on, in a buffer of 4/],
    ['deque', ['len'], 1000n, /corrupt: 1000 elements from 0 on/],
    ['map', [...table, 'bucket_mask'], 5n, /corrupt: 3 elements in 6 buckets/],
    ['map', [...table, 'bucket_mask'], -1n, /no more than \d+ are looked at/],
    ['map', [...table, 'bucket_mask'], (1n << 40n) - 1n, /no more than \d+ are looked at/],
    ['map', [...table, 'bucket_mask'], (1n << 23n) - 1n, /not captured|corrupt/],
    ['map', [...table, 'items'], 2n, /says 2 elements, and 3 of its buckets are in use/],
    ['map', [...table, 'items'], 1n << 50n, /corrupt/],
    ['map', [...table, 'growth_left'], 1n, /corrupt: 3 elements with room for 1 more in 4 buckets/],
    ['map', [...table, 'ctrl'], 0x1000n, /not captured/],
    ['tree', ['length'], 2n, /says 2 elements and leads to more/],
    ['tree', ['length'], 4n, /says 4 elements and leads to 3/],
    ['big_tree', ['length'], 1n << 60n, /corrupt: a length/],
    ['list', ['len'], 2n, /corrupt: it goes on after 2/],
    ['list', ['len'], 4n, /corrupt: it ends after 3 of 4/],
    ['list', ['len'], 1n << 60n, /corrupt/],
    ['slice', ['length'], 1n << 60n, /corrupt: a length/],
    ['boxed_circle', ['vtable'], 0x1000n, /no debug information says whose vtable/],
  ])('%s.%s', (name, path, value, detail) => {
    const { value: variable } = valueOf(name);
    expect(shown(variable, snapshot.memory).absent).toBeUndefined();
    const memory = patched(new Map(word(placeOf(name, ...path), value)));
    const document = shown(variable, memory);
    expect(document.absent?.detail).toMatch(detail);
  });

  test('an enum of none of its variants', () => {
    const { value, address } = valueOf('third');
    const document = shown(value, patched(new Map(word(address, 4n, 2))));
    expect(document.absent).toEqual({
      reason: 'unreadable',
      detail: 'the object is corrupt: its discriminant is 4',
    });
    const raw = renderValue(value, {
      memory: patched(new Map(word(address, 4n, 2))),
      limits: defaultLimits,
      raw: true,
    });
    expect(raw.absent?.detail).toBe('the object is corrupt: no variant has the discriminant 4');
  });
});

test('walks can be sent, and find the same there', () => {
  expect(sentWalks(variables.values(), snapshot.memory)).toEqual([
    'b-tree',
    'hash-table',
    'linked-list',
    'ring-buffer',
  ]);
});

describe('a table whose pointer is a little off', () => {
  test.each(['map', 'holes', 'set'])('%s', (name) => {
    const { value } = valueOf(name);
    const at = placeOf(name, ...(name === 'set' ? ['base', 'map', 'table', 'table'] : table), 'ctrl');
    const ctrl = wordAt(at);
    for (const by of [-32n, -16n, -8n, -4n, -1n, 1n, 4n, 8n, 16n, 32n]) {
      const document = shown(value, patched(new Map(word(at, ctrl + by))));
      expect(document.absent?.detail, `by ${by}`).toMatch(/corrupt|not captured/);
    }
  });
});

describe('nodes that lead astray', () => {
  test('a list that leads back to itself', () => {
    const { value } = valueOf('list');
    const head = wordAt(placeOf('list', 'head'));
    const second = wordAt(head);
    // The second node goes on to the first, and the length is anything.
    const patch = new Map([...word(second, head), ...word(placeOf('list', 'len'), 1n << 40n)]);
    const document = shown(value, patched(patch));
    expect(document.elements?.map((each) => each.value)).toEqual(['1', '2']);
    expect(document.absent?.detail).toMatch(/the list is corrupt: before 0x\w+ stands 0x0/);
  });

  test('a tree whose edge leads back to its root', () => {
    const { value } = valueOf('big_tree');
    const root = wordAt(placeOf('big_tree', 'root'));
    const type = asComposite(value.type);
    expect(type?.name).toMatch(/BTreeMap/);
    const whole = shown(value, snapshot.memory);
    expect(whole.elements?.length).toBe(500);
    // Every word of the root that is a pointer to a child: one after another is bent back.
    const leaf = 0x140n;
    let bent = 0;
    for (let at = root; at < root + 0x200n; at += 8n) {
      const child = wordAt(at);
      if (child === 0n || (child & 7n) !== 0n || isAbsent(snapshot.memory.read(child, Number(leaf))))
        continue;
      const document = shown(value, patched(new Map(word(at, root))));
      if (document.absent === undefined) continue;
      bent++;
      expect(document.absent.detail).toMatch(/the tree is corrupt/);
      expect(document.elements).toEqual(whole.elements?.slice(0, document.elements?.length));
    }
    expect(bent).toBeGreaterThan(2);
  });
});

describe('any byte of a container', () => {
  /** How an object is shown, without the addresses of its parts. */
  const facts = (document: ValueDocument): unknown =>
    JSON.parse(
      JSON.stringify(document, (key, inner: unknown) =>
        key === 'address' || key === 'detail' ? undefined : inner,
      ),
    );

  test.each(['map', 'holes', 'tree', 'deque', 'list', 'vec', 'string', 'set', 'tree_set', 'thinned'])(
    '%s',
    (name) => {
      const { value, address } = valueOf(name);
      const size = asComposite(value.type)?.byteSize ?? 0;
      const whole = shown(value, snapshot.memory);
      const length = whole.length ?? 0;
      const started = performance.now();
      for (let i = 0; i < size; i++) {
        for (const byte of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
          const memory = patched(new Map([[address + BigInt(i), byte]]));
          const document = shown(value, memory);
          // What is shown without a word of warning has all the elements that it says.
          if (document.absent !== undefined) continue;
          if (document.elements !== undefined) expect(document.elements.length).toBe(document.length);
          if (document.length === length && name !== 'deque' && name !== 'vec' && name !== 'string')
            expect(facts(document)).toEqual(facts(whole));
        }
      }
      expect(performance.now() - started).toBeLessThan(60_000);
    },
    120_000,
  );

  test('memory that is not there', () => {
    for (const name of ['map', 'tree', 'deque', 'list', 'vec', 'string', 'set', 'rc', 'boxed_circle']) {
      const { value, address } = valueOf(name);
      const size = BigInt(asComposite(value.type)?.byteSize ?? 0);
      const memory: MemoryReader = {
        read: (at, length) =>
          at >= address && at + BigInt(length) <= address + size
            ? snapshot.memory.read(at, length)
            : absent('not-captured', 'not there', { address: at }),
      };
      const document = shown(value, memory);
      const reasons = JSON.stringify(document);
      expect(reasons).toContain('not-captured');
      expect(reasons).not.toMatch(/"elements":\[[^\]]*"(?:value|text)"/);
    }
  });
});
