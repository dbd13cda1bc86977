/** Targets of `format`: files, notes, compression, plans, DWARF operations. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isAbsent } from '../../format/absent.js';
import { decompressXz } from '../../format/compress/xz.js';
import { decompressZstd } from '../../format/compress/zstd.js';
import { parseAuxv } from '../../format/core/auxv.js';
import { encodeFileNote, parseFileNote } from '../../format/core/file-note.js';
import { encodePrpsinfo, parsePrpsinfo } from '../../format/core/prpsinfo.js';
import { encodePrstatus, parsePrstatus } from '../../format/core/prstatus.js';
import { openCore } from '../../format/core/read.js';
import { encodeStillframeNote, parseStillframeNote } from '../../format/core/stillframe-note.js';
import { describeSnapshot, writeCore, type SnapshotContent } from '../../format/core/write.js';
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import { evaluateLocation, evaluateTyped, evaluateValue } from '../../format/dwarf-op/evaluate.js';
import { listExpression } from '../../format/dwarf-op/list.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { verifyPlanExpression } from '../../format/dwarf-op/verify.js';
import { parseNotes } from '../../format/elf/note.js';
import { bufferSource, openElf } from '../../format/elf/open.js';
import { decodePlan, encodePlan } from '../../format/plan/encode.js';
import { verifyPlan } from '../../format/plan/verify.js';
import { x86_64Machine } from '../../format/registers/x86-64.js';
import { decodeWalk, encodeWalk } from '../../format/walk/check.js';
import { limitedMemory } from '../../format/walk/limited-memory.js';
import { walk } from '../../format/walk/walk.js';
import { captureOf, factsOf, heading, rangeOf as capturedRange } from '../support/captures.js';
import { literalContainers } from '../support/literal-walks.js';
import { planOf, rangeOf, siteOf } from '../support/plan.js';
import { ask, type FuzzTarget } from './fuzz-target.js';
import { patternMemory } from './pattern-memory.js';
import { build, buildNames, coreOf } from './program.js';

const words = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

const content = (): SnapshotContent => ({
  heading,
  capture: captureOf({ ranges: [capturedRange(0x1000n, [1, 2, 3, 4])] }),
  facts: factsOf(),
});

const plan = (): Uint8Array => {
  const address = words(DW_OP.DW_OP_breg5, 0);
  const child = rangeOf(
    '*a',
    words(DW_OP.DW_OP_push_object_address, DW_OP.DW_OP_deref),
    words(DW_OP.DW_OP_lit8),
  );
  const range = rangeOf('a', address, words(DW_OP.DW_OP_lit8), { children: [child] });
  return encodePlan(planOf([siteOf({ ranges: [range], condition: words(DW_OP.DW_OP_lit1) })]));
};

function packed(command: string, ...args: readonly string[]): Uint8Array {
  return new Uint8Array(execFileSync(command, args, { input: readFileSync(build('gcc5').path) }));
}

/** Reads all that an ELF file says. */
function readElf(bytes: Uint8Array): void {
  const elf = openElf(bufferSource('fuzzed', bytes));
  ask(() => elf.symbols());
  ask(() => elf.notes());
  for (const section of elf.sections.slice(0, 64)) ask(() => elf.sectionBytes(section.name));
  for (const segment of elf.segments.slice(0, 64)) ask(() => elf.bytesAt(segment.virtualAddress, 16));
}

function readCore(bytes: Uint8Array): void {
  const core = openCore(bufferSource('core', bytes));
  for (const { start } of core.mappings.slice(0, 100)) core.memory.read(start, 64);
  for (const { virtualAddress } of core.elf.segments.slice(0, 100)) core.memory.read(virtualAddress, 4096);
}

function evaluateAll(bytes: Uint8Array): void {
  const context = {
    register: (number: number) => BigInt(number) * 0x1111n,
    memory: patternMemory,
    relocate: (address: bigint) => address + 0x1000n,
    frameBase: () => 0x7000n,
    callFrameCfa: () => 0x7100n,
    objectAddress: 0x7200n,
    entryValue: () => 5n,
    tls: (offset: bigint) => offset,
    baseType: (offset: number) =>
      ({ byteSize: offset & 31, encoding: offset % 2 === 0 ? 'signed' : 'float' }) as const,
    // NB: an expression that calls itself: the machine must end it.
    callExpression: (offset: number) => (offset % 3 === 0 ? undefined : { expression: bytes }),
    variableValue: () => 3n,
    parameterValue: () => 4n,
    addressByIndex: (index: number) => BigInt(index),
  };
  ask(() => evaluateLocation(bytes, context));
  ask(() => evaluateValue(bytes, context));
  ask(() => evaluateTyped(bytes, context));
}

/** Walks of others over memory that says anything. */
function followWalk(bytes: Uint8Array): void {
  const memory = limitedMemory(patternMemory, { maxReads: 1000, maxBytes: 1 << 20 });
  for (const each of walk(decodeWalk(bytes), { address: 0x1000n }, { memory, maxElements: 1000 }))
    if (isAbsent(each) && each.absent === 'limit') return;
}

const expressions = (): Uint8Array[] => [
  words(DW_OP.DW_OP_fbreg, 0x70),
  words(DW_OP.DW_OP_breg7, 8, DW_OP.DW_OP_deref, DW_OP.DW_OP_plus_uconst, 16),
  words(DW_OP.DW_OP_reg0, DW_OP.DW_OP_piece, 8, DW_OP.DW_OP_reg1, DW_OP.DW_OP_piece, 8),
  words(DW_OP.DW_OP_const1u, 5, DW_OP.DW_OP_dup, DW_OP.DW_OP_bra, 0xfc, 0xff, DW_OP.DW_OP_stack_value),
  words(DW_OP.DW_OP_skip, 0xfd, 0xff),
  words(DW_OP.DW_OP_entry_value, 1, DW_OP.DW_OP_reg5, DW_OP.DW_OP_stack_value),
  words(DW_OP.DW_OP_call4, 1, 0, 0, 0),
  words(
    DW_OP.DW_OP_lit5,
    DW_OP.DW_OP_convert,
    8,
    DW_OP.DW_OP_convert,
    4,
    DW_OP.DW_OP_mul,
    DW_OP.DW_OP_stack_value,
  ),
  words(DW_OP.DW_OP_const_type, 8, 8, 1, 2, 3, 4, 5, 6, 7, 8, DW_OP.DW_OP_dup, DW_OP.DW_OP_plus),
  words(DW_OP.DW_OP_implicit_value, 4, 1, 2, 3, 4),
  words(DW_OP.DW_OP_bit_piece, 3, 5, DW_OP.DW_OP_reg2, DW_OP.DW_OP_bit_piece, 61, 3),
];

const planExpressions = (): Uint8Array[] => [
  words(DW_OP.DW_OP_breg7, 8, DW_OP.DW_OP_deref, DW_OP.DW_OP_plus_uconst, 16),
  words(
    DW_OP.DW_OP_lit1,
    DW_OP.DW_OP_dup,
    DW_OP.DW_OP_bra,
    1,
    0,
    DW_OP.DW_OP_nop,
    DW_OP.DW_OP_lit2,
    DW_OP.DW_OP_plus,
  ),
  words(
    DW_OP.DW_OP_push_object_address,
    DW_OP.DW_OP_deref_size,
    4,
    DW_OP.DW_OP_const2u,
    1,
    2,
    DW_OP.DW_OP_lt,
  ),
];

export const formatTargets: readonly FuzzTarget[] = [
  { name: 'elf', seeds: () => buildNames.map((name) => build(name).bytes), run: readElf, hotBytes: 1024 },
  {
    name: 'notes',
    seeds: () => [words(4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0, 1, 2, 3, 4)],
    run: (bytes) => [4n, 8n].map((alignment) => parseNotes(bytes, alignment, 'notes')),
  },
  {
    name: 'core',
    seeds: () => [coreOf('gcc5'), new Uint8Array(Buffer.concat(writeCore(content())))],
    run: readCore,
    hotBytes: 4096,
  },
  {
    name: 'prstatus',
    seeds: () => [encodePrstatus({ tid: 7, parentPid: 1, signal: 6, registers: new Uint8Array(216) })],
    run: (bytes) => parsePrstatus(bytes, 'core', x86_64Machine),
  },
  {
    name: 'prpsinfo',
    seeds: () => [encodePrpsinfo({ pid: 1, parentPid: 2, uid: 3, gid: 4, comm: 'comm', args: 'args' })],
    run: (bytes) => parsePrpsinfo(bytes, 'core'),
  },
  {
    name: 'file-note',
    seeds: () => [
      encodeFileNote([{ start: 0x1000n, end: 0x2000n, fileOffset: 0, path: '/bin/a' }]),
      encodeFileNote([]),
    ],
    run: (bytes) => parseFileNote(bytes, 'core'),
  },
  {
    name: 'auxv',
    seeds: () => [words(9, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x40, 0, 0, 0, 0, 0, ...new Uint8Array(16))],
    run: (bytes) => parseAuxv(bytes, 'core'),
  },
  {
    name: 'stillframe-note',
    seeds: () => [encodeStillframeNote(describeSnapshot(content()))],
    run: (bytes) => parseStillframeNote(bytes, 'core'),
  },
  {
    name: 'zstd',
    seeds: () => [packed('zstd', '-c', '-q', '-1'), packed('zstd', '-c', '-q', '-19')],
    run: (bytes) => decompressZstd(bytes, build('gcc5').bytes.length, 'zstd'),
  },
  {
    name: 'xz',
    seeds: () => [packed('xz', '-c', '-1'), packed('xz', '-c', '-9', '--check=crc32')],
    run: (bytes) => decompressXz(bytes, 1 << 20, 'xz'),
    // Filters for the machine code of other processors.
    codes: ['bad-data', 'limit', 'unsupported'],
  },
  {
    name: 'plan',
    seeds: () => [plan()],
    run: (bytes) => verifyPlan(decodePlan(bytes)),
    // A plan of another version is one that this agent cannot run.
    codes: ['bad-data', 'limit', 'unsupported'],
  },
  {
    name: 'walk',
    seeds: () => Object.values(literalContainers).map((container) => encodeWalk(container.walk)),
    run: followWalk,
  },
  {
    name: 'expression-verify',
    seeds: planExpressions,
    run: (bytes) => verifyPlanExpression(bytes, { hasObject: true }),
    codes: ['bad-data', 'limit', 'unsupported'],
  },
  {
    name: 'expression-decode',
    seeds: expressions,
    run: (bytes) => {
      ask(() => decodeExpression(bytes, { addressSize: 8, name: 'expression' }));
      ask(() => listExpression(bytes));
    },
  },
  { name: 'expression-evaluate', seeds: expressions, run: evaluateAll },
];
