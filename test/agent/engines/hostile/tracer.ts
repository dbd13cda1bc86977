/** A tracer for the tests of one file, with a folder that is removed with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { openToldTracer } from '../../../support/told-tracer.js';

export function startTracer(): { readonly tracer: TracerSupervisor; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-hostile-'));
  const told = openToldTracer({ journalFolder: folder });
  const { tracer } = told;
  tracer.listen({
    hit: () => undefined,
    ended: () => undefined,
    passed: () => undefined,
    restarted: () => undefined,
  });
  afterAll(async () => {
    await told[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  return { tracer, folder };
}
