/** Targets of the agent, and of what an agent and a controller tell each other. */
import { readFileSync } from 'node:fs';
import { Btf } from '../../agent/bpf/btf.js';
import { parseVerifierLog } from '../../agent/bpf/verifier-log.js';
import { readThreadRecord } from '../../agent/engines/observe/thread-record.js';
import { parseEntry } from '../../agent/engines/ptrace/journal.js';
import {
  parseAuxv,
  parseCgroup,
  parseComm,
  parseMaps,
  parseStat,
  parseStatus,
  parseStrings,
  parseSyscall,
} from '../../agent/linux/proc.js';
import { measureRequestFrom, nowOrderFrom, pointRequestFrom } from '../../agent/rpc/messages.js';
import { openGoFunctions } from '../../controller/dwarf/go-functions.js';
import { PackageIndex } from '../../controller/dwarf/package-index.js';
import { parseGdbIndex } from '../../controller/dwarf/gdb-index.js';
import {
  engineFrom,
  factsFrom,
  measuredFrom,
  pointFrom,
  targetFrom,
  targetFactsFrom,
  watchEventFrom,
} from '../../controller/rpc/messages.js';
import { ByteWriter } from '../../format/bytes.js';
import type { ElfFile } from '../../format/elf/file.js';
import { stillframe } from '../../proto/generated/stillframe.js';
import { ask, type FuzzTarget } from './fuzz-target.js';
import { build } from './program.js';

const procText = (name: string, file: string, run: (text: string) => unknown): FuzzTarget => ({
  name: `proc-${name}`,
  seeds: () => [new Uint8Array(readFileSync(`/proc/self/${file}`))],
  run: (bytes) => run(new TextDecoder().decode(bytes)),
});

const verifierLog = `func#0 @0
0: R1=ctx(off=0,imm=0) R10=fp0
0: (79) r1 = *(u64 *)(r1 +112)
invalid mem access 'scalar'
processed 12 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1
`;

const journal = JSON.stringify({
  version: 1,
  pid: 12,
  startTicks: '345',
  tracer: { pid: 1, startTicks: '2' },
  bytes: [['0x401000', 85]],
});

type Decode<T> = (bytes: Uint8Array) => T;

/** What does not decode never comes further than the RPC library, which refuses it. */
function decoded<T>(decode: Decode<T>, bytes: Uint8Array): T | undefined {
  try {
    return decode(bytes);
  } catch {
    return undefined;
  }
}

function readEvent(bytes: Uint8Array): void {
  const event = decoded((each) => stillframe.v1.Event.decode(each), bytes);
  if (event === undefined) return;
  ask(() => watchEventFrom(event));
  if (event.hello) ask(() => factsFrom(event.hello ?? {}));
  if (event.pointState) ask(() => pointFrom(event.pointState ?? {}));
}

const anyMessage: readonly ((bytes: Uint8Array) => void)[] = [
  readEvent,
  (bytes) => {
    const target = decoded((each) => stillframe.v1.Target.decode(each), bytes);
    if (target !== undefined) ask(() => targetFrom(target));
  },
  (bytes) => {
    const facts = decoded((each) => stillframe.v1.TargetFacts.decode(each), bytes);
    if (facts !== undefined) ask(() => targetFactsFrom(facts));
  },
  (bytes) => {
    const measured = decoded((each) => stillframe.v1.Measured.decode(each), bytes);
    if (measured !== undefined) ask(() => measuredFrom(measured));
  },
];

const reportReader = (bytes: Uint8Array): void => {
  const report = decoded((each) => stillframe.v1.EngineReport.decode(each), bytes);
  if (report !== undefined) ask(() => engineFrom(report));
};

const orderCodes = ['bad-data', 'limit', 'usage', 'unsupported', 'bad-expression'] as const;

function readCommand(bytes: Uint8Array): void {
  const command = decoded((each) => stillframe.v1.Command.decode(each), bytes);
  if (command === undefined) return;
  if (command.arm) ask(() => pointRequestFrom(command.arm ?? {}), orderCodes);
  if (command.now) ask(() => nowOrderFrom(command.now ?? {}), orderCodes);
  if (command.measure) ask(() => measureRequestFrom(command.measure ?? {}), orderCodes);
}

/** A file that has nothing but Go's table. */
function goTable(bytes: Uint8Array): void {
  const section = build('gcc5').elf.findSection('.text');
  const elf = {
    source: { name: 'go' },
    findSection: (name: string) => (name === '.gopclntab' ? { ...section, name } : section),
    sectionBytes: () => bytes,
  } as unknown as ElfFile;
  const go = openGoFunctions(elf);
  if (go === undefined) return;
  for (let i = 0; i < Math.min(go.count, 50); i++) {
    ask(() => {
      const found = go.at(i);
      go.stackDepth(found, found.start);
      const again = go.find(found.start);
      if (again !== undefined) go.stackDepth(again, found.start + 1);
    });
  }
}

const goSeed = (): Uint8Array => {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0xffff_fff1, true);
  bytes[6] = 1;
  bytes[7] = 8;
  view.setBigUint64(8, 2n, true);
  for (const [i, value] of [1, 0x401000, 72, 88, 100, 120, 140].entries())
    view.setBigUint64(16 + i * 8, BigInt(value), true);
  return bytes;
};

/** struct task { int pid; struct { int deep; }; union inner { int list[3]; } inner; }; void run(void); */
const btfSeed = (): Uint8Array => {
  const strings = '\0int\0task\0pid\0inner\0deep\0list\0run\0';
  const at = (name: string): number => strings.indexOf(`\0${name}\0`) + 1;
  const info = (kind: number, count = 0): number => kind * 2 ** 24 + count;
  const types = [
    [at('int'), info(1), 4, 32],
    [0, info(4, 1), 4, at('deep'), 1, 0],
    [0, info(3), 0, 1, 1, 3],
    [at('inner'), info(5, 1), 12, at('list'), 3, 0],
    [at('task'), info(4, 3), 20, at('pid'), 1, 0, 0, 2, 32, at('inner'), 4, 64],
    [0, info(13), 0],
    [at('run'), info(12), 6],
  ].flat();
  const writer = new ByteWriter().u16(0xeb9f).u8(1).u8(0).u32(24);
  writer
    .u32(0)
    .u32(types.length * 4)
    .u32(types.length * 4)
    .u32(strings.length);
  for (const word of types) writer.u32(word);
  return writer.raw(new TextEncoder().encode(strings)).finish();
};

const indexSeed = (): Uint8Array => {
  const bytes = new Uint8Array(128);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 2, true);
  for (const [i, value] of [2, 1, 2].entries()) view.setUint32(4 + i * 4, value, true);
  view.setBigUint64(16, 0x1234n, true);
  view.setUint32(32, 1, true);
  view.setUint32(40, 1, true);
  view.setUint32(44, 3, true);
  return bytes;
};

const gdbIndexSeed = (): Uint8Array => {
  const bytes = new Uint8Array(24 + 16 + 20 + 16 + 24);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of [8, 24, 40, 40, 60, 76].entries()) view.setUint32(i * 4, value, true);
  return bytes;
};

export const agentTargets: readonly FuzzTarget[] = [
  procText('maps', 'maps', parseMaps),
  procText('stat', 'stat', parseStat),
  procText('status', 'status', parseStatus),
  procText('comm', 'comm', parseComm),
  procText('cgroup', 'cgroup', parseCgroup),
  procText('syscall', 'syscall', parseSyscall),
  { name: 'proc-auxv', seeds: () => [new Uint8Array(readFileSync('/proc/self/auxv'))], run: parseAuxv },
  {
    name: 'proc-cmdline',
    seeds: () => [new Uint8Array(readFileSync('/proc/self/cmdline'))],
    run: parseStrings,
  },
  {
    name: 'btf',
    seeds: () => [btfSeed()],
    run: (bytes) => {
      const btf = new Btf(bytes, 'btf');
      ask(() => btf.findMember('task', 'inner.list'));
      ask(() => btf.findMember('task', 'deep'));
      ask(() => btf.findFunction('run'));
    },
    codes: ['bad-data', 'limit', 'unsupported', 'not-found'],
    hotBytes: 256,
  },
  {
    name: 'verifier-log',
    seeds: () => [new TextEncoder().encode(verifierLog)],
    run: (bytes) => parseVerifierLog(new TextDecoder().decode(bytes)),
  },
  {
    name: 'journal',
    seeds: () => [new TextEncoder().encode(journal)],
    run: (bytes) => parseEntry(new TextDecoder().decode(bytes), 'entry'),
  },
  {
    name: 'thread-record',
    seeds: () => [new Uint8Array(4096)],
    run: (bytes) => readThreadRecord(bytes, 1024),
  },
  { name: 'go-functions', seeds: () => [goSeed()], run: goTable },
  {
    name: 'package-index',
    seeds: () => [indexSeed()],
    run: (bytes) => {
      const index = new PackageIndex(bytes, 'index');
      index.find(0x1234n);
      index.find(0xffff_ffff_ffff_ffffn);
    },
  },
  { name: 'gdb-index', seeds: () => [gdbIndexSeed()], run: (bytes) => parseGdbIndex(bytes, 'index') },
  {
    name: 'agent-messages',
    seeds: () =>
      [
        stillframe.v1.Event.encode({ hello: { host: 'here', version: '1' } }).finish(),
        stillframe.v1.Event.encode({ pointState: { pointId: 'p1', engine: 'uprobe' } }).finish(),
      ].map((bytes) => new Uint8Array(bytes)),
    run: (bytes) => [...anyMessage, reportReader].forEach((read) => read(bytes)),
  },
  {
    name: 'controller-messages',
    seeds: () =>
      [
        stillframe.v1.Command.encode({
          arm: { pointId: 'p1', plan: Uint8Array.of(1, 2, 3), maxHits: 2 },
        }).finish(),
        stillframe.v1.Command.encode({ now: { pid: 3 } }).finish(),
      ].map((bytes) => new Uint8Array(bytes)),
    run: readCommand,
  },
];
