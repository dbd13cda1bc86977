/** `native-fixtures/rust-values`: built, run to its end, with the core that it left and what it said of its own variables. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { variablePlace } from '../../controller/snapshot/frame-evaluation.js';
import { threadStack } from '../../controller/snapshot/frames.js';
import type { Snapshot } from '../../controller/snapshot/open.js';
import { typeOfDescriptor } from '../../controller/snapshot/type-descriptors.js';
import type { Value } from '../../controller/types/value.js';
import type { ViewContext } from '../../controller/types/view.js';
import { keepFirst } from './keep-first.js';
import { cacheFolder, repositoryRoot } from './paths.js';

const sources = join(repositoryRoot, 'native-fixtures', 'rust-values');

/** Compiles a crate of `native-fixtures`; kept by the hash of its sources and flags. */
export function rustValues(...flags: readonly string[]): string {
  const files = readdirSync(sources).toSorted();
  const hash = createHash('sha256').update(JSON.stringify(flags));
  for (const file of files) hash.update(file).update(readFileSync(join(sources, file)));
  const folder = join(cacheFolder, 'native', hash.digest('hex').slice(0, 16));
  const program = join(folder, 'rust-values');
  if (existsSync(program)) return program;
  // NB: object files are named after the crate, and lie where the program does.
  const own = join(folder, `${process.pid}`);
  const unfinished = join(own, 'rust-values');
  mkdirSync(own, { recursive: true });
  const named = ['--edition', '2021', '--crate-name', 'rust_values'];
  execFileSync('rustc', [...named, '-g', ...flags, '-o', unfinished, join(sources, 'main.rs')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: homedir() },
  });
  keepFirst(unfinished, program);
  rmSync(own, { recursive: true, force: true });
  return program;
}

export interface RustRun extends Disposable {
  readonly program: string;
  readonly core: string;
  /** What `{:?}` gave of each variable, by name; in the order told. */
  readonly told: readonly (readonly [name: string, text: string])[];
}

export const runRustValues = (...flags: readonly string[]): RustRun => runRust(rustValues(...flags));

/** Runs a program that writes what its variables are into the file that it is given, and aborts. */
export function runRust(program: string): RustRun {
  const folder = mkdtempSync(join(tmpdir(), 'rust-values-'));
  const report = join(folder, 'report');
  spawnSync('sh', ['-c', 'ulimit -c unlimited; exec "$0" "$1"', program, report], { cwd: folder });
  const core = readdirSync(folder).find((name) => name.startsWith('core'));
  if (core === undefined) throw new Error(`${program} left no core`);
  const lines = readFileSync(report, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return {
    program,
    core: join(folder, core),
    told: lines.map((line) => {
      const [name = '', text = ''] = line.split('\t');
      return [name, unescape(text)] as const;
    }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Variables of functions `rust_values::family::function`, as `rust_values::family::variable`; where two have one name, the innermost. */
export function rustLocals(snapshot: Snapshot): ReadonlyMap<string, Value> {
  const found = new Map<string, Value>();
  const [thread] = snapshot.threads;
  if (thread === undefined) return found;
  for (const frame of threadStack(snapshot, thread).frames) {
    const { evaluation, source } = frame;
    const family = /^(?<family>rust_values::\w+)::\w+$/.exec(frame.function ?? '')?.groups?.['family'];
    if (family === undefined || evaluation === undefined) continue;
    for (const variable of source?.scope?.variables ?? []) {
      const key = `${family}::${variable.name}`;
      if (found.has(key)) continue;
      found.set(key, { type: variable.type(), place: variablePlace(evaluation, variable, source?.scope) });
    }
  }
  return found;
}

export function rustContext(snapshot: Snapshot): ViewContext {
  return {
    memory: snapshot.memory,
    maxElements: 10_000,
    typeOfDescriptor: (address, kind) => typeOfDescriptor(snapshot, address, kind),
  };
}

const simple: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

/** Undoes `str::escape_default`. */
function unescape(text: string): string {
  return text.replaceAll(/\\(?:u\{([0-9a-f]+)\}|(.))/g, (_, code: string | undefined, letter: string) =>
    code === undefined ? (simple[letter] ?? letter) : String.fromCodePoint(Number.parseInt(code, 16)),
  );
}
