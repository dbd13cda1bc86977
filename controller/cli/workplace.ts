/** What every command needs: a controller, here or elsewhere, and an output, from the options that all commands share. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseEndpoint } from '../../format/endpoint.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { tlsFilesFrom, type TlsFiles } from '../../format/tls-files.js';
import type { ControllerApi } from '../service/controller-api.js';
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
  readonly controller: ControllerApi;
  readonly output: Output;
  /** With the controller that can read the snapshot: a core file lies here, wherever all else is kept. */
  readonly withSnapshot: <T>(name: string, work: (controller: ControllerApi) => Promise<T>) => Promise<T>;
}

/** NB: what reads snapshots here, and what talks to another controller, is imported when it is wanted: either takes a while. */
export async function openWorkplace(options: SharedOptions): Promise<Workplace> {
  const output = makeOutput(options.json === true);
  const address = options.controller ?? setting('STILLFRAME_CONTROLLER');
  const tls = tlsFilesFrom(options);
  return address === undefined
    ? localWorkplace(await openLocal(options, tls, output), output)
    : await remoteWorkplace(address, options, tls, output);
}

interface Local extends Disposable {
  readonly controller: ControllerApi;
}

async function openLocal(options: SharedOptions, tls: TlsFiles | undefined, output: Output): Promise<Local> {
  const [{ Controller }, { openEmbeddedStore }, { SymbolsHere }, { openSymbols }] = await Promise.all([
    import('../service/controller.js'),
    import('../service/embedded-store.js'),
    import('../service/symbols-here.js'),
    import('../service/symbols.js'),
  ]);
  const store = openEmbeddedStore(dataFolder());
  const controller = new Controller({
    store,
    symbols: new SymbolsHere(openSymbols),
    agent: options.agent ?? setting('STILLFRAME_AGENT'),
    tls,
    notify: (message) => output.notify(message),
  });
  return { controller, [Symbol.dispose]: () => store[Symbol.dispose]() };
}

function localWorkplace(local: Local, output: Output): Workplace {
  return {
    controller: local.controller,
    output,
    withSnapshot: (_, work) => work(local.controller),
    [Symbol.dispose]() {
      output.clear();
      local[Symbol.dispose]();
    },
  };
}

async function remoteWorkplace(
  address: string,
  options: SharedOptions,
  tls: TlsFiles | undefined,
  output: Output,
): Promise<Workplace> {
  if (options.agent !== undefined) {
    throw new StillframeError('usage', '--agent and --controller exclude each other', {
      hint: 'a controller has agents of its own',
    });
  }
  const { ControllerClient } = await import('../rpc/controller-client.js');
  const client = new ControllerClient({ endpoint: parseEndpoint(address), tls });
  let local: Local | undefined;
  const here = async (): Promise<ControllerApi> =>
    (local ??= await openLocal(options, undefined, output)).controller;
  return {
    controller: client,
    output,
    async withSnapshot(name, work) {
      if (name.includes('/')) return await work(await here());
      try {
        return await work(client);
      } catch (error) {
        const { code } = toStillframeError(error);
        // `core.1234` in this folder: what is stored goes first, as it does without a controller.
        const isFile = (code === 'not-found' || code === 'usage') && existsSync(name);
        if (!isFile || name === 'last') throw error;
        return await work(await here());
      }
    },
    [Symbol.dispose]() {
      output.clear();
      client[Symbol.dispose]();
      local?.[Symbol.dispose]();
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
