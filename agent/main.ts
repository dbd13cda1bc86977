/**
 * `stillframe agent`: puts tracer, session and faces together, says that it is ready with one line on stdout, and takes all down
 * again on SIGTERM or SIGINT. Logs go to stderr as JSON, without values of targets.
 */
import { readFileSync, readlinkSync, rmdirSync } from 'node:fs';
import { arch, homedir, hostname, release } from 'node:os';
import { dirname, join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { pino } from 'pino';
import { defaultSocket, type Endpoint, parseEndpoint } from '../format/endpoint.js';
import { StillframeError, toStillframeError } from '../format/error.js';
import type { stillframe } from '../proto/generated/stillframe.js';
import { defaultPolicy, readPolicy } from './policy/policy.js';
import { dial } from './rpc/dial.js';
import { listen, type ListeningServer } from './rpc/server.js';
import { tlsFilesFrom } from '../format/tls-files.js';
import { openOwnSpool } from './session/own-spool.js';
import { PointRecords } from './session/point-records.js';
import { Session } from './session/session.js';
import { defaultSpoolBytes, Spool } from './session/spool.js';
import { Watches } from './watch/watches.js';
import { TracerSupervisor } from './tracer/supervisor.js';

interface AgentOptions {
  readonly listen?: string[];
  readonly dial?: string;
  readonly policy?: string;
  readonly spool?: string;
  readonly spoolBytes?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly logLevel: string;
  readonly temporary?: true;
}

const version = '0.1.0';
const exitStatus = { usage: 2, denied: 5, failed: 1 } as const;

function makeCommand(): Command {
  return new Command('stillframe agent')
    .description('look into processes of this host, for controllers')
    .option(
      '--listen <address...>',
      'unix:PATH or HOST:PORT (default: the socket that the command line looks for)',
    )
    .option('--dial <address>', 'dial a controller instead of, or besides, listening')
    .option('--policy <file>', 'what may be looked into, and how')
    .option('--spool <dir>', 'where snapshots wait until a controller has them')
    .option('--spool-bytes <number>', 'how many bytes the spool may hold', String(defaultSpoolBytes))
    .option('--tls-cert <file>', 'certificate of this agent')
    .option('--tls-key <file>', 'its key')
    .option('--tls-ca <file>', 'authority that signed the certificates of controllers')
    .option('--log-level <level>', 'trace, debug, info, warn, error, silent', 'info')
    .option('--temporary', 'end when stdin is closed')
    .addHelpText(
      'after',
      `
Examples:
  stillframe agent
  stillframe agent --listen unix:/run/stillframe/agent.sock --spool /var/lib/stillframe/spool
  stillframe agent --listen 0.0.0.0:7443 --tls-cert agent.pem --tls-key agent.key --tls-ca ca.pem`,
    )
    .exitOverride();
}

async function run(options: AgentOptions): Promise<void> {
  const log = pino({ level: options.logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
  const tls = tlsFilesFrom(options);
  const policy = options.policy === undefined ? defaultPolicy() : readPolicy(options.policy);
  const spoolBytes = Number(options.spoolBytes);
  if (!Number.isSafeInteger(spoolBytes) || spoolBytes <= 0) {
    throw new StillframeError('usage', `"${options.spoolBytes}" is no number of bytes`);
  }
  const asked =
    options.listen ?? (options.dial === undefined ? [`unix:${defaultSocket(process.env, uid())}`] : []);
  const endpoints = asked.map(parseEndpoint);
  const dialed = options.dial === undefined ? undefined : parseEndpoint(options.dial);

  const spoolFolder = options.spool ?? defaultSpool();
  log.info({ version, pid: process.pid, spool: spoolFolder, policy: options.policy }, 'starting');
  const isTemporary = options.temporary === true;
  using ownSpool = isTemporary ? openOwnSpool(spoolFolder) : undefined;
  using _folders = isTemporary ? socketFolders(endpoints) : undefined;
  const spool = new Spool({ folder: ownSpool?.folder ?? spoolFolder, maxBytes: spoolBytes });
  const stopped = stopSignal(isTemporary);
  const tracer = new TracerSupervisor({ log: (level, message) => log[level]({ from: 'tracer' }, message) });
  // Points of an agent for one command end with that command.
  const records = isTemporary ? {} : { records: new PointRecords(join(spoolFolder, 'points')) };
  await using session = new Session({ tracer, spool, policy, host: hostname(), log, ...records });
  await using watches = new Watches({ tracer, targets: session.targets, gate: session.gate, log });
  await tracer.start();
  // Controllers need not wait for it: the points are known when it has begun.
  const restored = session.restore();
  const conversation = { session, watches, hello: hello(await tracer.capabilities()), log };
  const servers: ListeningServer[] = [];
  let dialing: Disposable | undefined;
  try {
    for (const endpoint of endpoints) servers.push(await listen({ endpoint, tls, conversation }));
    if (dialed !== undefined) dialing = dial({ endpoint: dialed, tls, conversation });
    const addresses = servers.map((server) => server.address);
    log.info({ addresses, dial: options.dial, spooled: spool.list().length }, 'ready');
    const where =
      addresses.length > 0 ? `listening on ${addresses.join(', ')}` : `dialing ${options.dial ?? ''}`;
    process.stdout.write(`stillframe agent ready, ${where}\n`);
    void restored.then(async () => {
      const points = (await session.points()).filter(({ phase }) => phase === 'armed' || phase === 'pending');
      if (points.length > 0)
        log.info({ points: points.length }, 'points of an earlier agent are armed again');
    });
    log.info({ reason: await stopped }, 'stopping');
  } finally {
    dialing?.[Symbol.dispose]();
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

/** The command that wanted them may be gone. What is not empty was not made for this agent alone. */
function socketFolders(endpoints: readonly Endpoint[]): Disposable {
  return {
    [Symbol.dispose]() {
      for (const endpoint of endpoints) {
        if (endpoint.kind !== 'unix') continue;
        try {
          rmdirSync(dirname(endpoint.path));
        } catch (error) {
          const code = error instanceof Error && 'code' in error ? error.code : undefined;
          if (code !== 'ENOTEMPTY' && code !== 'ENOENT') throw error;
        }
      }
    },
  };
}

function stopSignal(temporary: boolean): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => resolve('SIGINT'));
    if (!temporary) return;
    // The pipe closes with the process that started this one, however that ends.
    process.stdin.once('end', () => resolve('stdin closed')).once('close', () => resolve('stdin closed'));
    process.stdin.resume();
  });
}

const uid = (): number => process.getuid?.() ?? 0;

function defaultSpool(): string {
  if (uid() === 0) return '/var/lib/stillframe/spool';
  const state = process.env['XDG_STATE_HOME'];
  return join(
    state === undefined || state === '' ? join(homedir(), '.local', 'state') : state,
    'stillframe',
    'spool',
  );
}

function hello(capabilities: readonly string[]): stillframe.v1.Hello.$Properties {
  return {
    version,
    capabilities: [...capabilities],
    host: hostname(),
    pid: process.pid,
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    pidNamespace: readlinkSync('/proc/self/ns/pid'),
    kernel: release(),
    architecture: arch(),
    uid: uid(),
  };
}

async function main(): Promise<void> {
  // Whoever started this one may be gone before it can be told that it is ready.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  try {
    const command = makeCommand().allowExcessArguments(false).parse();
    await run(command.opts<AgentOptions>());
    process.exit(0);
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      process.exit(thrown.exitCode === 0 ? 0 : exitStatus.usage);
    }
    const error = toStillframeError(thrown);
    process.stderr.write(
      `stillframe agent: ${error.message}\n${error.hint === undefined ? '' : `hint: ${error.hint}\n`}`,
    );
    process.exit(
      error.code === 'usage'
        ? exitStatus.usage
        : error.code === 'denied'
          ? exitStatus.denied
          : exitStatus.failed,
    );
  }
}

void main();
