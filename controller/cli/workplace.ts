/** What every command needs: the store, a controller on it, and an output, from the options that all commands share. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { StillframeError } from '../../format/error.js';
import { tlsFilesFrom } from '../../format/tls-files.js';
import { Controller } from '../service/controller.js';
import { openEmbeddedStore } from '../service/embedded-store.js';
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
  const store = openEmbeddedStore(dataFolder());
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
