/**
 * `stillframe controller`: says that it is ready with one line on stdout, and ends in order on SIGTERM or SIGINT. Logs go to stderr as
 * JSON, without values of targets.
 */
import { Command, CommanderError, Option } from 'commander';
import { pino } from 'pino';
import { exitStatus, exitStatusOf } from '../cli/exit-status.js';
import { defaultControllerSocket, parseEndpoint } from '../../format/endpoint.js';
import { toStillframeError } from '../../format/error.js';
import { tlsFilesFrom } from '../../format/tls-files.js';
import { startDaemon } from './daemon.js';
import { defaultStoreFolder, storeFolderFrom } from './store-address.js';

interface ControllerFlags {
  readonly listen?: readonly string[];
  readonly http?: string;
  readonly store?: string;
  readonly agent?: readonly string[];
  readonly rules?: string;
  readonly webhookToken?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly logLevel: string;
}

/** Then whatever hangs is left to the end of the process: all that matters is on disk by then. */
const stopMs = 8000;
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

function makeCommand(): Command {
  return new Command('stillframe controller')
    .description('holds points, snapshots and rules for everybody, over the agents of many hosts')
    .option(
      '--listen <address...>',
      'gRPC for the command line and for agents that dial: unix:PATH or HOST:PORT (default: a unix socket of this user)',
    )
    .option('--http <address>', 'HOST:PORT for /healthz, /readyz, /metrics and webhooks (default: none)')
    .option('--store <address>', 'sqlite:FOLDER (default: a folder of this user)')
    .option('--agent <address...>', 'an agent to dial: unix:PATH or HOST:PORT; agents may dial in, too')
    .option('--rules <path>', 'a rules file, or a folder of them')
    .option(
      '--webhook-token <file>',
      'a file with the Bearer token that webhooks show (default: none is let in)',
    )
    .option('--tls-cert <file>', 'certificate of this controller')
    .option('--tls-key <file>', 'its key')
    .option('--tls-ca <file>', 'authority that signed the certificates of agents and command lines')
    .addOption(new Option('--log-level <level>', 'how much is logged').choices(logLevels).default('info'))
    .addHelpText(
      'after',
      `
Examples:
  stillframe controller --agent unix:/run/stillframe/agent.sock
  stillframe controller --http 127.0.0.1:7480 --rules /etc/stillframe/rules --webhook-token /etc/stillframe/webhook-token
  stillframe controller --listen 0.0.0.0:7444 --agent web-1:7443 --agent web-2:7443 --tls-cert c.pem --tls-key c.key --tls-ca ca.pem
  stillframe --controller unix:/run/stillframe/controller.sock points`,
    )
    .exitOverride()
    .allowExcessArguments(false);
}

async function run(flags: ControllerFlags): Promise<void> {
  const log = pino({ level: flags.logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
  const uid = process.getuid?.() ?? 0;
  const asked = flags.listen ?? [`unix:${defaultControllerSocket(process.env, uid)}`];
  const stopped = stopSignal();
  process.on('uncaughtException', (error) => {
    log.fatal({ error: error.message, stack: error.stack }, 'a bug: ending');
    process.exit(exitStatus.internal);
  });
  const daemon = await startDaemon({
    listen: asked.map(parseEndpoint),
    http: flags.http === undefined ? undefined : parseEndpoint(flags.http),
    storeFolder:
      flags.store === undefined ? defaultStoreFolder(process.env, uid) : storeFolderFrom(flags.store),
    agents: (flags.agent ?? []).map(parseEndpoint),
    rules: flags.rules,
    webhookToken: flags.webhookToken,
    tls: tlsFilesFrom(flags),
    log,
  });
  const { addresses, http } = daemon;
  log.info({ addresses, http, agents: flags.agent ?? [], rules: flags.rules }, 'ready');
  const where = http === undefined ? addresses : [...addresses, http];
  process.stdout.write(`stillframe controller ready, listening on ${where.join(', ')}\n`);
  log.info({ reason: await stopped }, 'stopping');
  const late = setTimeout(() => {
    log.error({ ms: stopMs }, 'not all was closed in time');
    process.exit(exitStatus.done);
  }, stopMs);
  await daemon[Symbol.asyncDispose]();
  clearTimeout(late);
  log.info({}, 'stopped');
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}

async function main(): Promise<void> {
  try {
    await run(makeCommand().parse().opts<ControllerFlags>());
    process.exit(exitStatus.done);
  } catch (thrown) {
    if (thrown instanceof CommanderError)
      process.exit(thrown.exitCode === 0 ? exitStatus.done : exitStatus.usage);
    const error = toStillframeError(thrown);
    const hint = error.hint === undefined ? '' : `hint: ${error.hint}\n`;
    process.stderr.write(`stillframe controller: ${error.message}\n${hint}`);
    process.exit(exitStatusOf(error.code));
  }
}

void main();
