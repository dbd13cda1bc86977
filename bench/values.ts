/**
 * Values of C++ as their programmer wrote them: `show` of a frame with fifty containers, of one with a vector of 100,000 and a map of 10,000
 * elements, and planning a point in such a frame. Warm, by the thread of a controller; gdb with its printers beside it, as a whole process.
 * usage: node dist/bench/values.js [--json]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openElf } from '../format/elf/open.js';
import { planModule } from '../controller/service/planning.js';
import { openSymbols } from '../controller/service/symbols.js';
import { SymbolThread } from '../controller/service/symbol-thread.js';
import { openFileSource } from '../controller/snapshot/file-source.js';
import { median } from './machine.js';
import { compileBenchProgram, report } from './measure.js';

const runs = 21;
const folder = mkdtempSync(join(tmpdir(), 'stillframe-bench-'));
const program = compileBenchProgram('probe-lab/containers.cc', ['-g', '-O0']);

function gdb(commands: readonly string[], ...rest: readonly string[]): number {
  const begin = process.hrtime.bigint();
  const args = [
    '-q',
    '-batch',
    '-iex',
    'set debuginfod enabled off',
    ...commands.flatMap((each) => ['-ex', each]),
  ];
  const run = spawnSync('gdb', [...args, ...rest], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(run.stderr);
  return Number(process.hrtime.bigint() - begin) / 1e6;
}

function coreOf(name: string, ...args: readonly string[]): string {
  const core = join(folder, name);
  gdb(['break stop', 'run', `generate-core-file ${core}`], '--args', program, ...args);
  return core;
}

async function shows(symbols: SymbolThread, core: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const begin = process.hrtime.bigint();
    const { document } = await symbols.show({ core, options: {} });
    times.push(Number(process.hrtime.bigint() - begin) / 1e6);
    const locals = document.frames[1]?.locals ?? [];
    if (!locals.some(({ kind }) => kind === 'map')) throw new Error('no containers are shown');
  }
  return median(times.slice(1));
}

function plans(): number {
  using source = openFileSource(program);
  const symbols = openSymbols(openElf(source), program);
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const begin = process.hrtime.bigint();
    planModule(symbols, program, { location: 'containers.cc:22', captures: [], bounds: {} });
    times.push(Number(process.hrtime.bigint() - begin) / 1e6);
  }
  return median(times.slice(1));
}

try {
  await using symbols = new SymbolThread({ log: (message) => console.error(message) });
  const [fifty, large] = [coreOf('fifty'), coreOf('large', 'large')];
  const asked = ['frame 1', 'info locals'];
  report('values', {
    'a C++ frame': {
      'show with 50 containers, ms, warm (at most 150)': await shows(symbols, fifty),
      'the same by gdb, whole process, ms': median([1, 2, 3].map(() => gdb(asked, program, fifty))),
      'show with a vector of 100,000 and a map of 10,000, ms, warm': await shows(symbols, large),
      'the large ones by gdb, whole process, ms': median([1, 2, 3].map(() => gdb(asked, program, large))),
      'planning a point among 50 containers, ms, warm (at most 300)': plans(),
    },
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
