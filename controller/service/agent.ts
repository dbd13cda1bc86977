/**
 * Finds the agent to talk to: the one that was named, the one on the default socket, or one of our own for the length of a command,
 * which ends when this process does, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { defaultSocket, grpcTarget, parseEndpoint, type Endpoint } from '../../format/endpoint.js';
import { StillframeError } from '../../format/error.js';
import { AgentClient } from '../rpc/agent-client.js';
import type { TlsFiles } from '../rpc/tls.js';
import type { ComingSnapshot } from '../rpc/incoming-snapshots.js';
import type { SnapshotWriter, Store } from '../store/store.js';

export interface AgentOptions {
  /** `unix:PATH` or `HOST:PORT`; undefined: the default socket. */
  readonly address: string | undefined;
  readonly tls: TlsFiles | undefined;
  readonly store: Store;
  /** Takes in what comes, where it is not for the store. */
  readonly receive?: (announced: ComingSnapshot) => SnapshotWriter;
  /** One line for people. */
  readonly notify: (message: string) => void;
}

export interface ReachedAgent extends AsyncDisposable {
  readonly client: AgentClient;
  /** It was started for this command and ends with it. */
  readonly temporary: boolean;
}

/** compiled: dist/controller/service. The agent is another program, which is started as a user starts it. */
const program = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'bin', 'stillframe.js');
const quiet = ['--log-level', 'warn'];
const startTimeoutMs = 90_000;
const probeTimeoutMs = 3000;

/** Throws `unreachable`; starts an agent only where none was named and none runs. */
export async function reachAgent(options: AgentOptions): Promise<ReachedAgent> {
  const running = await findAgent(options);
  return running ?? (await startAgent(options));
}

/** The agent that runs already; undefined when none was named and none runs. */
export async function findAgent(options: AgentOptions): Promise<ReachedAgent | undefined> {
  const { address, store, tls, receive } = options;
  const endpoint = parseEndpoint(address ?? `unix:${defaultSocket(process.env, process.getuid?.() ?? 0)}`);
  const refusal = await probe(endpoint);
  if (refusal !== undefined) {
    if (address === undefined) return undefined;
    throw new StillframeError(
      'unreachable',
      `cannot reach the agent at ${grpcTarget(endpoint)}: ${refusal}`,
      {
        hint: 'start one with `stillframe agent --listen ADDRESS`, or leave out --agent to have one started',
      },
    );
  }
  const client = await AgentClient.connect({
    endpoint,
    receive: receive ?? ((announced) => store.receive(announced)),
    ...(tls === undefined ? {} : { tls }),
  });
  return { client, temporary: false, [Symbol.asyncDispose]: () => hangUp(client) };
}

function hangUp(client: AgentClient): Promise<void> {
  client[Symbol.dispose]();
  return Promise.resolve();
}

/** Why nobody can be there; undefined when somebody listens. Quicker and clearer than gRPC's own attempts. */
function probe(endpoint: Endpoint): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = endpoint.kind === 'unix' ? connect(endpoint.path) : connect(endpoint.port, endpoint.host);
    const settle = (refusal: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(refusal);
    };
    const timer = setTimeout(() => settle('no answer'), probeTimeoutMs);
    socket.once('connect', () => settle(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') settle('there is no such socket');
      else if (error.code === 'ECONNREFUSED') settle('nobody listens there');
      else settle(error.message);
    });
  });
}

async function startAgent({ store, notify, receive }: AgentOptions): Promise<ReachedAgent> {
  notify('no agent runs on this host: starting one for the length of this command');
  // The agent makes it, and takes it away: this process may be gone at any moment.
  const folder = join(tmpdir(), `stillframe-agent-${randomBytes(12).toString('hex')}`);
  const socket = join(folder, 'agent.sock');
  const spool = join(store.folder, 'spool');
  const child = spawn(
    process.execPath,
    [program, 'agent', '--listen', `unix:${socket}`, '--spool', spool, '--temporary', ...quiet],
    // In a session of its own: Ctrl-C is for the command, which ends its agent in order.
    { stdio: ['pipe', 'pipe', 'pipe'], detached: true },
  );
  try {
    await ready(child);
    const client = await AgentClient.connect({
      endpoint: { kind: 'unix', path: socket },
      receive: receive ?? ((announced) => store.receive(announced)),
    });
    return {
      client,
      temporary: true,
      async [Symbol.asyncDispose]() {
        client[Symbol.dispose]();
        await stop(child);
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await stop(child);
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = '';
    const fail = (what: string): void => {
      clearTimeout(timer);
      const hint = 'an agent needs root, or the capabilities that `stillframe doctor` names';
      reject(new StillframeError('unreachable', `cannot start an agent: ${log.trim() || what}`, { hint }));
    };
    const timer = setTimeout(() => fail('it was not ready in time'), startTimeoutMs);
    child.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4096);
    });
    child.once('error', (error) => fail(error.message));
    child.once('exit', (status, signal) => fail(`it ended with ${signal ?? `status ${status}`}`));
    if (child.stdout === null) throw new Error('no stdout');
    createInterface({ input: child.stdout }).once('line', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

const stopTimeoutMs = 5000;

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.stdin?.end();
  const force = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  await exited;
  clearTimeout(force);
}
