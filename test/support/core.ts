/** Cores of test programs: by the kernel when they die, by gcore while they live. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CoreFile extends Disposable {
  readonly path: string;
}

/** Runs a program that dies by a signal, and gives the core that the kernel wrote. */
export function crashCore(program: string, args: readonly string[]): CoreFile {
  const folder = mkdtempSync(join(tmpdir(), 'crash-'));
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  const run = spawnSync('sh', ['-c', 'ulimit -c unlimited; exec "$0" "$@"', program, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  const core = readdirSync(folder).find((name) => name.startsWith('core'));
  if (core === undefined) {
    dispose();
    throw new Error(`${program} left no core: status ${run.status}, signal ${run.signal}, ${run.stderr}`);
  }
  return { path: join(folder, core), [Symbol.dispose]: dispose };
}

/** Runs a program in gdb to an address, `*'main.many'`, and takes a core of it there. */
export function coreAt(program: string, place: string): CoreFile {
  const folder = mkdtempSync(join(tmpdir(), 'stopped-'));
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  const path = join(folder, 'core');
  const commands = ['set pagination off', `break ${place}`, 'run', `generate-core-file ${path}`, 'kill'];
  const run = spawnSync('gdb', ['-nx', '-batch', ...commands.flatMap((each) => ['-ex', each]), program], {
    encoding: 'utf8',
  });
  if (!existsSync(path)) {
    dispose();
    throw new Error(`gdb left no core at ${place}: ${run.stdout}${run.stderr}`);
  }
  return { path, [Symbol.dispose]: dispose };
}

/** Runs a program until it prints a line, then takes a core of it with gcore and ends it. */
export async function liveCore(program: string, args: readonly string[]): Promise<CoreFile> {
  const folder = mkdtempSync(join(tmpdir(), 'live-'));
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('exit', (code) => reject(new Error(`${program} ended with ${code}`)));
    });
    const path = join(folder, 'core');
    const run = spawnSync('gcore', ['-o', path, `${child.pid}`], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`gcore failed: ${run.stderr}`);
    return {
      path: `${path}.${child.pid}`,
      [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  } finally {
    child.kill('SIGKILL');
  }
}
