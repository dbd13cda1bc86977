/**
 * One daemon a store folder. The lock is SQLite's own on a file of its own: the kernel lets go of it when its holder ends, however that
 * ends, so that nothing stale can be left. The pid beside it is for people only.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { StillframeError, withContext } from '../../format/error.js';

/** Throws `usage` where another daemon holds the folder. */
export function lockStore(folder: string): Disposable {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw withContext(`cannot make the store's folder "${folder}"`, error);
  }
  const pidFile = join(folder, 'controller.pid');
  const database = acquire(folder, pidFile);
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  return {
    [Symbol.dispose]() {
      rmSync(pidFile, { force: true });
      database.close();
    },
  };
}

function acquire(folder: string, pidFile: string): Database.Database {
  const database = new Database(join(folder, 'controller.lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    if ((error as { code?: string }).code !== 'SQLITE_BUSY')
      throw withContext(`cannot lock "${folder}"`, error);
    throw new StillframeError(
      'usage',
      `cannot use the store "${folder}": the controller with pid ${readPid(pidFile)} uses it`,
      { hint: 'stop that one, or give another --store' },
    );
  }
}

function readPid(pidFile: string): string {
  try {
    return /^\d+/.exec(readFileSync(pidFile, 'utf8'))?.[0] ?? 'unknown';
  } catch {
    // It has just begun, or is about to end.
    return 'unknown';
  }
}
