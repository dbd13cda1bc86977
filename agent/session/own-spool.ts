/**
 * The spool of an agent that was started for one command: a folder that no other agent reads, for several may run on one store at once, and that goes with the
 * agent. What the command did not take in by then nobody would ever ask for.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withContext } from '../../format/error.js';

export interface OwnSpool extends Disposable {
  readonly folder: string;
}

const namePattern = /^agent-(\d+)-/;
/** Its pid may be one of another namespace. */
const leftAgeMs = 24 * 3600_000;

/** Removes what agents that were killed left in `parent`. */
export function openOwnSpool(parent: string): OwnSpool {
  try {
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(parent)) if (isLeft(parent, name)) remove(join(parent, name));
    const folder = mkdtempSync(join(parent, `agent-${process.pid}-`));
    return { folder, [Symbol.dispose]: () => remove(folder) };
  } catch (error) {
    throw withContext(`cannot open the spool "${parent}"`, error);
  }
}

function isLeft(parent: string, name: string): boolean {
  const pid = namePattern.exec(name)?.[1];
  if (pid === undefined || existsSync(`/proc/${pid}`)) return false;
  const status = statSync(join(parent, name), { throwIfNoEntry: false });
  return status !== undefined && Date.now() - status.mtimeMs > leftAgeMs;
}

const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true });
