/**
 * The tracer: the helper process of the agent that makes every system call on targets. The front forks it and talks to it over the
 * channel of node:child_process; when the front goes, the tracer goes at once, and the kernel takes its probes away.
 * It must stay killable at any instant: nothing that outlives it is held without a journal.
 */
import { allEngines } from '../engines/all.js';
import { Journal, defaultJournalFolder } from '../engines/ptrace/journal.js';
import { toWireError } from '../engines/wire-error.js';
import { readCapabilities } from '../linux/capabilities.js';
import type { FromTracer, ToTracer } from './protocol.js';
import { TracerService } from './service.js';

/** NB: a front may go while something is sent to it, before that is seen here. */
function send(message: FromTracer): void {
  if (!process.connected) return;
  process.send?.(message, undefined, undefined, (error) => {
    if (error !== null) end();
  });
}

const [, , journalFolder = defaultJournalFolder()] = process.argv;

const journal = new Journal(journalFolder);
const service = new TracerService(allEngines({ journalFolder }), {
  hit: (pointId, captured) => send({ kind: 'hit', pointId, captured }),
  ended: (pointId, pid, reason, last) => send({ kind: 'ended', pointId, pid, reason, last }),
  passed: (pointIds) => send({ kind: 'passed', pointIds }),
  log: (level, message) => send({ kind: 'log', level, message }),
});

/** Calls that may be cancelled, by their ids. */
const cancels = new Map<number, AbortController>();

async function cancellable<T>(id: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const cancel = new AbortController();
  cancels.set(id, cancel);
  try {
    return await work(cancel.signal);
  } finally {
    cancels.delete(id);
  }
}

function run(message: ToTracer): unknown {
  switch (message.call) {
    case 'probeEngines':
      return service.probeEngines();
    case 'listTargets':
      return service.listTargets(message.parameters.selector, message.parameters.except);
    case 'pollTargets':
      return service.pollTargets(
        message.parameters.cursor,
        message.parameters.waitMs,
        message.parameters.except,
      );
    case 'usage':
      return service.usage(message.parameters);
    case 'processFacts':
      return service.processFacts(message.parameters.pid);
    case 'arm':
      return service.arm(message.parameters);
    case 'disarm':
      return service.disarm(message.parameters);
    case 'counters':
      return service.counters(message.parameters.pointIds);
    case 'now':
      return service.now(message.parameters);
    case 'core':
      return cancellable(message.id, (signal) =>
        service.core(
          message.parameters,
          (doneBytes, totalBytes) => send({ kind: 'progress', id: message.id, doneBytes, totalBytes }),
          signal,
        ),
      );
    case 'measure':
      return cancellable(message.id, (signal) => service.measure(message.parameters, signal));
    case 'cancel':
      cancels.get(message.parameters.id)?.abort();
      return null;
    case 'shutdown':
      return service.shutdown().then(() => null);
    default:
      return message satisfies never;
  }
}

async function answer(message: ToTracer): Promise<void> {
  try {
    send({ kind: 'reply', id: message.id, result: await run(message) });
    if (message.call === 'shutdown') process.disconnect();
  } catch (error) {
    send({ kind: 'failed', id: message.id, error: toWireError(error) });
  }
}

/** At once, whatever threads are blocked in: process.exit would wait for them. */
function vanish(): void {
  try {
    journal.restoreOwn();
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}

/** What is written into code, only we can take out without harm: that is waited for, also where a busy machine makes it long. */
const maxEndMs = 500;
const maxWrittenEndMs = 20_000;

let isEnding = false;

/** The front is gone. */
function end(): void {
  if (isEnding) return;
  isEnding = true;
  const beganMs = performance.now();
  const limit = setInterval(() => {
    const isLong = performance.now() - beganMs > maxWrittenEndMs;
    if (isLong || !journal.hasOwn()) vanish();
  }, maxEndMs);
  void service.shutdown().then(() => {
    clearInterval(limit);
    vanish();
  }, vanish);
}

if (process.send === undefined) {
  console.error('the tracer is started by the agent, not by hand');
  process.exit(2);
}
// A Ctrl-C reaches the whole process group; it is the front that decides when the tracer ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('SIGHUP', () => undefined);
process.on('disconnect', end);
// Node would end by process.exit, and wait for threads that wait for others: whom they trace would stay traced.
process.on('uncaughtException', (error) => {
  console.error(error);
  vanish();
});
process.on('message', (message: ToTracer) => {
  void answer(message);
});
// What a tracer before this one left when it was killed together with its front.
for (const message of journal.replay()) send({ kind: 'log', level: 'warn', message });
send({ kind: 'ready', capabilities: [...readCapabilities()] });
