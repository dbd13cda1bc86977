/** Conditions that a list of calls decides, against the evaluator of expressions. */
import { expect, test } from 'vitest';
import { CallBatch, Label } from '../../../../agent/linux/call-batch.js';
import { Arena } from '../../../../agent/linux/mmap.js';
import {
  addCondition,
  recordsOfStep,
  wordsOfStep,
} from '../../../../agent/engines/ptrace/condition-records.js';
import { planCondition } from '../../../../agent/engines/ptrace/condition-steps.js';
import { isAbsent } from '../../../../format/absent.js';
import { ByteWriter } from '../../../../format/bytes.js';
import { decodeExpression } from '../../../../format/dwarf-op/decode.js';
import { evaluateValue } from '../../../../format/dwarf-op/evaluate.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import {
  dwarfRegisterNames,
  userRegisterOffset,
  userRegistersBytes,
} from '../../../../format/registers/x86-64.js';
import { Random } from '../uprobe/random-plan.js';

const tried = 800;
const bias = 0x1000n;
const memoryBytes = 256;
const comparisons = [
  DW_OP.DW_OP_eq,
  DW_OP.DW_OP_ne,
  DW_OP.DW_OP_lt,
  DW_OP.DW_OP_le,
  DW_OP.DW_OP_gt,
  DW_OP.DW_OP_ge,
];

type Outcome = 'true' | 'false' | 'unknown';
type Write = (out: ByteWriter) => void;

const operations = (bytes: Uint8Array): ReturnType<typeof decodeExpression> =>
  decodeExpression(bytes, { addressSize: 8, name: 'condition' });

/** An entry more on the stack, in one of the ways in which conditions are written. Register 3 leads to memory, 0 to none. */
function randomValue(random: Random, depth: number): Write {
  const constant = random.interesting();
  const operand = (): Write => randomValue(random, depth + 1);
  switch (random.below(depth > 3 ? 3 : 13)) {
    case 0:
      return (out) => out.u8(DW_OP.DW_OP_const8u).u64(constant);
    case 1: {
      const [register, offset] = [random.below(16), BigInt(random.below(64)) - 32n];
      return (out) => out.u8(DW_OP.DW_OP_breg0 + register).sleb(offset);
    }
    case 2:
    case 3: {
      const [size, at] = [random.of([1, 2, 4, 8]), BigInt(random.below(memoryBytes - 8))];
      return (out) => out.u8(DW_OP.DW_OP_breg3).sleb(at).u8(DW_OP.DW_OP_deref_size).u8(size);
    }
    case 4: {
      // A number of so many bits with its sign.
      const [value, excess] = [operand(), random.of([32, 48, 56, 63])];
      return (out) => {
        value(out);
        for (const code of [DW_OP.DW_OP_shl, DW_OP.DW_OP_shra])
          out.u8(DW_OP.DW_OP_const1u).u8(excess).u8(code);
      };
    }
    case 5: {
      const [value, code] = [operand(), random.of([DW_OP.DW_OP_and, DW_OP.DW_OP_xor])];
      const by = code === DW_OP.DW_OP_and ? constant : 1n << 63n;
      return (out) => {
        value(out);
        out.u8(DW_OP.DW_OP_const8u).u64(by).u8(code);
      };
    }
    case 6: {
      const value = operand();
      return (out) => {
        value(out);
        out.u8(DW_OP.DW_OP_plus_uconst).uleb(BigInt(random.below(300)));
      };
    }
    case 7: {
      const [one, other, code] = [operand(), operand(), random.of([DW_OP.DW_OP_plus, DW_OP.DW_OP_minus])];
      return (out) => {
        one(out);
        other(out);
        if (random.chance(30)) out.u8(DW_OP.DW_OP_swap);
        out.u8(code);
      };
    }
    case 8: {
      const value = operand();
      const [extra, code] = [random.of([DW_OP.DW_OP_dup, DW_OP.DW_OP_addr]), random.of(comparisons)];
      return (out) => {
        value(out);
        out.u8(extra);
        if (extra === DW_OP.DW_OP_addr) out.u64(0x4000n).u8(DW_OP.DW_OP_over).u8(DW_OP.DW_OP_minus);
        out.u8(code);
      };
    }
    case 9: {
      const [condition, yes, no] = [operand(), new ByteWriter(), new ByteWriter()];
      operand()(yes);
      operand()(no);
      const [then, otherwise] = [yes.finish(), no.finish()];
      return (out) => {
        condition(out);
        out
          .u8(DW_OP.DW_OP_bra)
          .u16(otherwise.length + 3)
          .raw(otherwise);
        out.u8(DW_OP.DW_OP_skip).u16(then.length).raw(then);
      };
    }
    case 10: {
      // Sometimes there is nothing to be read.
      const value = random.chance(90) ? 3 : 0;
      return (out) =>
        out
          .u8(DW_OP.DW_OP_breg0 + value)
          .sleb(16n)
          .u8(DW_OP.DW_OP_deref);
    }
    case 11: {
      const [value, factor] = [operand(), 1 + random.below(random.chance(50) ? 10 : 0x1_0000)];
      return (out) => {
        value(out);
        out.u8(DW_OP.DW_OP_constu).uleb(factor).u8(DW_OP.DW_OP_mul);
      };
    }
    default: {
      const [one, other, code] = [operand(), operand(), random.of(comparisons)];
      return (out) => {
        one(out);
        other(out);
        out.u8(code);
      };
    }
  }
}

/** This process is the thread that stands still. */
function decideByBatch(expression: Uint8Array, registers: { readonly address: bigint }): Outcome | undefined {
  const steps = planCondition(operations(expression));
  if (steps === undefined) return undefined;
  const count = steps.steps.length;
  const room = 8 + count * recordsOfStep;
  using batch = new CallBatch(room, 2 + steps.slots + count * wordsOfStep);
  const [holds, unknown] = [new Label(), new Label()];
  const place = {
    tid: batch.reserve(1, BigInt(process.pid)),
    registers: registers.address,
    bias,
    slots: batch.reserve(steps.slots),
    holds,
    unknown,
  };
  addCondition(batch, steps, place);
  const ends = new Map<number, Outcome>([[batch.end(), 'false']]);
  batch.place(holds);
  ends.set(batch.end(), 'true');
  batch.place(unknown);
  ends.set(batch.end(), 'unknown');
  batch.seal();
  return ends.get(batch.run(0, room));
}

test('decide as the evaluator does', () => {
  const random = new Random(7);
  using registers = new Arena(userRegistersBytes);
  using memory = new Arena(memoryBytes);
  const seen: Record<Outcome | 'undecided', number> = { true: 0, false: 0, unknown: 0, undecided: 0 };
  for (let i = 0; i < tried; i++) {
    for (let at = 0; at < memoryBytes; at += 8) memory.bytes.writeBigUInt64LE(random.interesting(), at);
    for (const name of dwarfRegisterNames) {
      registers.bytes.writeBigUInt64LE(random.interesting(), userRegisterOffset(name));
    }
    registers.bytes.writeBigUInt64LE(0n, userRegisterOffset('rax'));
    registers.bytes.writeBigUInt64LE(memory.address, userRegisterOffset('rbx'));
    const out = new ByteWriter();
    randomValue(random, 0)(out);
    const expression = out.finish();
    const value = evaluateValue(expression, {
      register: (number) =>
        registers.bytes.readBigUInt64LE(userRegisterOffset(dwarfRegisterNames[number] ?? 'rip')),
      memory: {
        read: (address, length) => {
          const at = Number(address - memory.address);
          return at >= 0 && at + length <= memoryBytes
            ? { bytes: memory.bytes.subarray(at, at + length), provenance: 'at-hit' }
            : { absent: 'unreadable', detail: 'nothing is there' };
        },
      },
      relocate: (address) => address + bias,
    });
    const expected = isAbsent(value) ? 'unknown' : value === 0n ? 'false' : 'true';
    const decided = decideByBatch(expression, registers);
    seen[decided ?? 'undecided']++;
    if (decided !== undefined)
      expect([Buffer.from(expression).toString('hex'), decided]).toEqual([
        Buffer.from(expression).toString('hex'),
        expected,
      ]);
  }
  expect(seen.undecided).toBeLessThan(tried / 20);
  for (const outcome of ['true', 'false', 'unknown'] as const)
    expect(seen[outcome]).toBeGreaterThan(tried / 100);
});

test.each([
  ['a product', [DW_OP.DW_OP_lit2, DW_OP.DW_OP_dup, DW_OP.DW_OP_mul]],
  [
    'a product with more than there is time for',
    [DW_OP.DW_OP_breg0, 0, DW_OP.DW_OP_const4u, 1, 0, 1, 0, DW_OP.DW_OP_mul],
  ],
  ['a product with what is below 0', [DW_OP.DW_OP_breg0, 0, DW_OP.DW_OP_const1s, 0xff, DW_OP.DW_OP_mul]],
  ['a shift', [DW_OP.DW_OP_breg0, 0, DW_OP.DW_OP_lit3, DW_OP.DW_OP_shr]],
  ['a shift to the left alone', [DW_OP.DW_OP_breg0, 0, DW_OP.DW_OP_lit3, DW_OP.DW_OP_shl]],
  ['the program counter, which is not where the thread is', [DW_OP.DW_OP_breg16, 0]],
  ['a register that is none', [DW_OP.DW_OP_bregx, 0x80, 0x01, 0]],
  ['a parent', [DW_OP.DW_OP_push_object_address]],
  ['nothing on the stack', [DW_OP.DW_OP_deref]],
  ['less than two on the stack', [DW_OP.DW_OP_lit1, DW_OP.DW_OP_lt]],
  ['nothing at all', []],
  ['a jump back', [DW_OP.DW_OP_lit1, DW_OP.DW_OP_dup, DW_OP.DW_OP_bra, 0xfc, 0xff]],
  [
    'ways of different depth',
    [DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit1, DW_OP.DW_OP_bra, 1, 0, DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit0],
  ],
  ['three bytes', [DW_OP.DW_OP_breg3, 0, DW_OP.DW_OP_deref_size, 3]],
  ['too many operations', Array.from({ length: 65 }, () => DW_OP.DW_OP_nop)],
])('is left to the evaluator: %s', (_, bytes) => {
  expect(planCondition(operations(Uint8Array.from(bytes)))).toBeUndefined();
});
