/** A process in memory with locals of types with views, and the symbols of its one function: what planner tests plan for and run plans on. */
import type { ModuleSymbols } from '../../../controller/symbols/module-symbols.js';
import type { Type } from '../../../controller/types/type.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import type { MemoryReader } from '../../../format/memory.js';
import { userRegisterOffset, userRegistersBytes } from '../../../format/registers/x86-64.js';
import { at, memoryOf, u32, u64 } from '../../support/literal-memory.js';
import {
  functionSymbol,
  lineAddress,
  literalSymbols,
  sourceFrame,
  variable,
} from '../../support/literal-symbols.js';
import { double, field, int, long, pointer, struct } from '../../support/types.js';
import {
  listType,
  mapType,
  optionalType,
  order,
  sharedType,
  stringType,
  vectorType,
} from '../../support/view-types.js';

/** Locals with views, in the frame of a function whose stack window is not taken: what a plan brings of them by itself. */
const text = stringType();
const frame: bigint = 0x7ffc_0000_1000n;
const longText = (data: bigint, size: number): Uint8Array =>
  Buffer.concat([u64(data), u64(size), u64(size + 16), new Uint8Array(16)]);
const ints = (...values: number[]): Uint8Array => Buffer.concat(values.map((value) => u32(value)));
const tag = (value: number): Uint8Array => Uint8Array.of(value, 0, 0, 0, 0, 0, 0, 0);

const node = struct('Node', 24, () => [
  field('id', long, 0),
  field(
    'next',
    sharedType(() => node),
    8,
  ),
]);

const heap = [
  at(0x71000n, 'a string that is somewhere else'),
  at(0x71100n, 'the second string, also elsewhere'),
  at(0x72000n, longText(0x71000n, 31), longText(0x71100n, 33)),
  at(0x73000n, ints(...Array.from({ length: 300 }, (_, i) => i))),
  at(0x74000n, u32(7), u32(0), longText(0x71000n, 31)),
  at(0x74100n, u64(2)),
  at(0x75000n, u64(0x75100), ints(1)),
  at(0x75100n, u64(0x75200), ints(2)),
  at(0x75200n, u64(0), ints(3)),
  at(0x76000n, longText(0x71000n, 31), ints(1, 0), longText(0x71100n, 33), ints(2, 0)),
  at(0x77000n, u64(1), u64(0x77100), u64(0x74100)),
  at(0x77100n, u64(2), u64(0x77200), u64(0x74100)),
  at(0x77200n, u64(3), u64(0x77300), u64(0x74100)),
  at(0x77300n, u64(4), u64(0), u64(0x74100)),
];

export const locals: readonly (readonly [string, Type, Uint8Array])[] = [
  ['name', text, longText(0x71000n, 31)],
  ['names', vectorType(text, 40), Buffer.concat([u64(0x72000), u64(0x72050), u64(0x72050)])],
  ['numbers', vectorType(int, 4), Buffer.concat([u64(0x73000), u64(0x734b0), u64(0x734b0)])],
  ['shared', sharedType(order), Buffer.concat([u64(0x74000), u64(0x74100)])],
  ['nobody', sharedType(order), Buffer.concat([u64(0), u64(0)])],
  ['some', optionalType(text, 40), Buffer.concat([tag(1), longText(0x71100n, 33)])],
  ['none', optionalType(text, 40), Buffer.concat([tag(0), longText(0x79999n, 33)])],
  ['list', listType(int), Buffer.concat([u64(0x75000), u64(3)])],
  ['map', mapType(text, int, 40, 48), Buffer.concat([u64(0x76000), u64(2)])],
  ['chain', pointer(node), u64(0x77000)],
  ['price', double, u64(0x4029_0000_0000_0000n)],
  ['broken', vectorType(text, 40), Buffer.concat([u64(0x72000), u64(0x72041), u64(0x72050)])],
];

/** Each local 64 bytes from the one before. */
export const addresses: ReadonlyMap<string, bigint> = new Map(
  locals.map(([name], i) => [name, frame + BigInt(64 * i)]),
);
export const process: MemoryReader = memoryOf(
  ...heap,
  ...locals.map(([name, , bytes]) => at(addresses.get(name) ?? 0n, bytes)),
);
export const symbols: ModuleSymbols = literalSymbols({
  functions: [functionSymbol('handle', 0x401000n, 0x401100n)],
  files: { '/src/service.cc': { 12: [lineAddress(0x401010n, 'handle')] } },
  stacks: new Map([
    [
      0x401010n,
      [
        sourceFrame(
          'handle',
          locals.map(([name, type], i) =>
            // Counted from rbp, so that no stack window covers them.
            variable(name, type, Uint8Array.of(DW_OP.DW_OP_breg0 + 6, ...sleb(64 * i))),
          ),
        ),
      ],
    ],
  ]),
});

function sleb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const isLast = rest < 64;
    bytes.push((rest & 0x7f) | (isLast ? 0 : 0x80));
    if (isLast) return bytes;
  }
}

/** Of the thread that hits: its frame, and where it is. */
export function registersOfHit(): Uint8Array {
  const registers = new Uint8Array(userRegistersBytes);
  const view = new DataView(registers.buffer);
  view.setBigUint64(userRegisterOffset('rbp'), frame, true);
  view.setBigUint64(userRegisterOffset('rip'), 0x401010n, true);
  return registers;
}
