// A core to warm up with: of a sample, which a compiler must be there for, read as the `mem` engine reads a process of one's own.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', '..', 'dist');

/** The paths of a core and of a source file of its program, in `folder`; undefined where they cannot be made here. */
export async function makeCore(folder) {
  const program = join(folder, 'sample');
  const source = join(here, 'sample.c');
  const built = spawnSync('cc', ['-g', '-O1', '-o', program, source], { encoding: 'utf8' });
  if (built.status !== 0) return undefined;
  const child = spawn(program, [], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    const core = join(folder, 'core');
    writeFileSync(core, Buffer.concat(await coreOf(child.pid)));
    return { program, core };
  } finally {
    child.kill('SIGKILL');
  }
}

async function coreOf(pid) {
  const { memEngine } = await import(join(dist, 'agent/engines/mem.js'));
  const { TracerService } = await import(join(dist, 'agent/tracer/service.js'));
  const { makeSnapshot } = await import(join(dist, 'agent/session/snapshot.js'));
  const nothing = () => undefined;
  const service = new TracerService([memEngine()], { hit: nothing, ended: nothing, log: nothing });
  const request = { pid, tids: [], stackBytes: 64 << 10, maxBytes: 1 << 20 };
  // It says that it is ready just before it sleeps: a thread on a CPU has no registers to be read.
  for (let i = 0; i < 50; i++) {
    const capture = await memEngine().now(request);
    if (capture.threads.some(({ registers }) => registers !== undefined)) {
      const facts = service.processFacts(pid);
      return makeSnapshot({ capture, facts }, { host: 'build', point: undefined }).core;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the sample did not come to rest');
}
