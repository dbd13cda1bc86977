/**
 * The reader against gdb, lldb and drgn: a cold answer (where a function and a line are, and the function's variables with their types), whole
 * process start to exit, by the clock and of CPU time, with the most memory that it had; the same from the cache of indexes; `show` of a deep
 * stack; how long the thread that serves others is held up. Programs: redis, postgres, and one with more than 100 MB of .debug_info.
 * What peers are asked is less where they cannot answer all: gdb prints no types, drgn knows no lines, and of a function's variables the parameters.
 * usage: node dist/bench/reader.js [--json]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { SymbolThread } from '../controller/service/symbol-thread.js';
import { median } from './machine.js';
import { compileBenchProgram, report, type Report } from './measure.js';

const root = process.cwd();
const runs = 5;
const folder = mkdtempSync(join(tmpdir(), 'stillframe-bench-'));

interface Question {
  readonly program: string;
  readonly function: string;
  readonly place: string;
}

interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMb: number;
}

/** Runs a command and says what the kernel says of it: wait4 gives the peak of that child alone. */
const meter = `
import json, os, subprocess, sys, time
begin = time.monotonic()
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
said = child.stderr.read()
_, status, usage = os.wait4(child.pid, 0)
print(json.dumps({'wallMs': (time.monotonic() - begin) * 1e3, 'cpuMs': (usage.ru_utime + usage.ru_stime) * 1e3,
                  'peakMb': usage.ru_maxrss / 1024, 'status': status, 'said': said.decode(errors='replace')[-500:]}))
`;

function measure(command: readonly string[], environment: NodeJS.ProcessEnv = {}): Cost {
  // Node reads the certificates that this names at each start, which is no matter of the reader's: 80 ms of CPU for those of Debian.
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, ...environment };
  const run = spawnSync('python3', ['-c', meter, ...command], { env, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(`python3: ${run.stderr}`);
  const cost = JSON.parse(run.stdout) as Cost & { status: number; said: string };
  if (cost.status !== 0) throw new Error(`${command[0]} ended with ${cost.status}: ${cost.said}`);
  return cost;
}

const middle = (costs: readonly Cost[]): Cost => ({
  wallMs: median(costs.map(({ wallMs }) => wallMs)),
  cpuMs: median(costs.map(({ cpuMs }) => cpuMs)),
  peakMb: Math.max(...costs.map(({ peakMb }) => peakMb)),
});

function build(script: string): string {
  const run = spawnSync(process.execPath, [join('native-fixtures', script)], { cwd: root, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout.trim();
}

/** As the command line is: in few files, with V8's code of them. */
const child = join(root, 'bench', 'reader-child.cjs');
const drgnScript = join(folder, 'ask.py');
writeFileSync(
  drgnScript,
  `import sys
from drgn import Program
program = Program()
program.load_debug_info([sys.argv[1]])
function = program.function(sys.argv[2])
print(hex(function.address_), [(each.name, each.type.type_name()) for each in function.type_.parameters])
`,
);

/** Debian's own: its packages are not there for another one that comes first on the PATH. */
const debianPython = '/usr/bin/python3';

type Ask = (question: Question) => readonly string[];
const gdb: Ask = ({ program, function: name, place }) => {
  const ask = ['-ex', `info scope ${name}`, '-ex', `info address ${name}`, '-ex', `info line ${place}`];
  return ['gdb', '-q', '-nx', '-batch', ...ask, program];
};
const lldb: Ask = ({ program, function: name, place }) => {
  const [file = '', line = ''] = place.split(':');
  const lookups = [`image lookup -v -F ${name}`, `image lookup -v -f ${file} -l ${line}`];
  return ['lldb', '-b', '-x', '-l', 'none', ...lookups.flatMap((each) => ['-o', each]), program];
};
const drgn: Ask = ({ program, function: name }) => [debianPython, drgnScript, program, name];
const ours: Ask = ({ program, function: name, place }) => [process.execPath, child, program, name, place];

const cache = { STILLFRAME_SYMBOL_CACHE: join(folder, 'symbols') };
const noCache = { STILLFRAME_SYMBOL_CACHE: 'off' };

function race(name: string, question: Question): Report {
  const contestants: readonly (readonly [string, Ask, NodeJS.ProcessEnv])[] = [
    ['stillframe, cold', ours, noCache],
    ['stillframe, from the cache', ours, cache],
    ['gdb', gdb, {}],
    ['lldb', lldb, {}],
    ['drgn', drgn, {}],
  ];
  // The first time an index is made; it is raced from then on. And files are in memory then, for all.
  const making = measure(ours(question), cache);
  const costs = new Map<string, Cost[]>(contestants.map(([contestant]) => [contestant, []]));
  const node: Cost[] = [];
  for (let i = 0; i < runs; i++) {
    node.push(measure([process.execPath, '-e', '0']));
    for (const [contestant, ask, environment] of contestants) {
      costs.get(contestant)?.push(measure(ask(question), environment));
    }
  }
  const all = new Map([
    ['node -e 0', middle(node)],
    ...[...costs].map(([key, each]) => [key, middle(each)] as const),
  ]);
  const of = (contestant: string): Cost => all.get(contestant) ?? making;
  const rows = (pick: (cost: Cost) => number): Record<string, number> =>
    Object.fromEntries([...all].map(([contestant, cost]) => [contestant, pick(cost)]));
  return {
    [`${name}, ms by the clock`]: rows(({ wallMs }) => wallMs),
    [`${name}, ms of CPU`]: rows(({ cpuMs }) => cpuMs),
    [`${name}, MiB at most`]: rows(({ peakMb }) => peakMb),
    [`${name}, the cache`]: {
      'ms of CPU, answered cold while a thread makes the index': making.cpuMs,
      'MiB at most meanwhile': making.peakMb,
      'ms of CPU beyond node -e 0, from the cache (wanted: at most 50)':
        of('stillframe, from the cache').cpuMs - of('node -e 0').cpuMs,
      'ms from the question in a warm process (at most 50)': warm(question),
    },
    [`${name}, ratios`]: {
      'cold, clock: stillframe / gdb (below 1)': of('stillframe, cold').wallMs / of('gdb').wallMs,
      'cold, CPU: stillframe / gdb (below 1)': of('stillframe, cold').cpuMs / of('gdb').cpuMs,
      'cold, memory: stillframe / gdb (below 1)': of('stillframe, cold').peakMb / of('gdb').peakMb,
    },
  };
}

/** From the question to the answer in a process that has answered before, with nothing kept but the cache. */
function warm({ program, function: name, place }: Question): number {
  const run = spawnSync(process.execPath, [child, program, name, place, '--again'], {
    env: { ...process.env, ...cache },
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(run.stderr);
  return (JSON.parse(run.stdout.trim().split('\n').at(-1) ?? '') as { againMs: number }).againMs;
}

/** A core of a program that stops where it is told to. */
function coreOf(program: string, stop: readonly string[]): string {
  const core = join(folder, `core.${program.slice(program.lastIndexOf('/') + 1)}`);
  const commands = [...stop, 'run', `generate-core-file ${core}`].flatMap((each) => ['-ex', each]);
  const run = spawnSync('gdb', ['-q', '-nx', '-batch', ...commands, program], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return core;
}

/** Asked of the thread that a controller has; this thread is the one that serves others. */
async function show(deep: string, big: string): Promise<Report> {
  await using symbols = new SymbolThread({ log: (message) => console.error(message) });
  const delay = monitorEventLoopDelay({ resolution: 5 });
  const times: number[] = [];
  let frames = 0;
  const ask = async (core: string): Promise<number> => {
    const begin = performance.now();
    const { document } = await symbols.show({ core, options: {} });
    frames = document.frames.length;
    return performance.now() - begin;
  };
  delay.enable();
  const first = await ask(deep);
  for (let i = 0; i < 4 * runs; i++) times.push(await ask(deep));
  const shown = frames;
  const large = await ask(big);
  delay.disable();
  return {
    [`show of a core with ${shown} frames, by the thread of a controller`]: {
      'ms, the first': first,
      'ms, warm, median (at most 100)': median(times),
      'ms, of the program with 114 MB of .debug_info, the first': large,
      'longest that the main thread was held up meanwhile, ms (at most 50)': delay.max / 1e6,
    },
    'stillframe show, whole process': {
      'ms of CPU': middle(shows(deep)).cpuMs,
      'ms of CPU of --version': version(),
    },
  };
}

const stillframe = join(root, 'bin', 'stillframe.js');
const shows = (core: string): Cost[] =>
  Array.from({ length: runs }, () =>
    measure([process.execPath, stillframe, 'show', core], { ...cache, XDG_DATA_HOME: folder }),
  );
const version = (): number =>
  middle(Array.from({ length: runs }, () => measure([process.execPath, stillframe, '--version']))).cpuMs;

try {
  const big = build('big-program.mjs');
  const deep = compileBenchProgram('probe-lab/deep.c', ['-g', '-O0']);
  report('reader', {
    ...race('redis', { program: build('redis.mjs'), function: 'setGenericCommand', place: 't_string.c:85' }),
    ...race('postgres', {
      program: build('postgres.mjs'),
      function: 'heap_insert',
      place: 'heapam.c:2079',
    }),
    ...race('114 MB of .debug_info', { program: big, function: 'run_unit_031', place: 'unit_031.cpp:52' }),
    ...(await show(coreOf(deep, []), coreOf(big, ['break run_unit_031']))),
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
