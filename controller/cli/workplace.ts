/** What every command needs: the store, a controller on it, and an output, from the options that all commands share. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { openCore } from '../../format/core/read.js';
import type { StillframeNote } from '../../format/core/stillframe-note.js';
import { badData, StillframeError } from '../../format/error.js';
import { tlsFilesFrom } from '../../format/tls-files.js';
import { Controller } from '../service/controller.js';
import { openFileSource } from '../snapshot/file-source.js';
import { openStore } from '../store/sqlite.js';
import { openSymbols } from '../service/symbols.js';
import { makeOutput, type Output } from './output.js';

export interface SharedOptions {
  readonly json?: boolean;
  readonly agent?: string;
  readonly controller?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}

export interface Workplace extends Disposable {
  readonly controller: Controller;
  readonly output: Output;
}

export function openWorkplace(options: SharedOptions): Workplace {
  const output = makeOutput(options.json === true);
  const remote = options.controller ?? setting('STILLFRAME_CONTROLLER');
  if (remote !== undefined) {
    throw new StillframeError(
      'unsupported',
      `cannot use the controller at ${remote}: this version is its own controller`,
      {
        hint: 'leave out --controller and STILLFRAME_CONTROLLER',
      },
    );
  }
  const tls = tlsFilesFrom(options);
  const store = openStore({ folder: dataFolder(), readNote });
  const controller = new Controller({
    store,
    openSymbols,
    agent: options.agent ?? setting('STILLFRAME_AGENT'),
    tls,
    notify: (message) => output.notify(message),
  });
  return {
    controller,
    output,
    [Symbol.dispose]() {
      output.clear();
      store[Symbol.dispose]();
    },
  };
}

function dataFolder(): string {
  return join(setting('XDG_DATA_HOME') ?? join(homedir(), '.local', 'share'), 'stillframe');
}

/** An empty variable is one that is not set. */
function setting(name: string): string | undefined {
  return process.env[name] || undefined;
}

function readNote(path: string): StillframeNote {
  using source = openFileSource(path);
  const { note } = openCore(source);
  if (note === undefined) throw badData(`cannot store "${path}": it has no STILLFRAME note`);
  return note;
}
