/** What arms as a tracer does, with the engines of points and watches alone: the real one tries all engines of the host first, which takes most of a short life. */
import type { Engine } from '../../agent/engines/engine.js';
import { toWireError } from '../../agent/engines/wire-error.js';
import { uprobeEngine } from '../../agent/engines/uprobe/engine.js';
import { watchEngine } from '../../agent/engines/watch/engine.js';
import type { ToTracer } from '../../agent/tracer/protocol.js';

/** Of what a tracer says, only that it says it. */
const send = (message: object): void => void process.send?.(message);
const places: Engine = uprobeEngine();
const memory: Engine = watchEngine();

async function arm(message: ToTracer): Promise<void> {
  if (message.call !== 'arm') throw new Error(`this tracer only arms: ${message.call}`);
  const request = { countOnly: false, forced: false, ...message.parameters };
  const engine = request.plan.watch === undefined ? places : memory;
  const point = await engine.arm?.(request, {
    hit: () => send({ kind: 'hit' }),
    ended: (reason) => send({ kind: 'ended', reason }),
  });
  send({ kind: 'reply', id: message.id, result: { addresses: point?.addresses ?? [] } });
}

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('message', (message: ToTracer) => {
  arm(message).catch((error: unknown) => {
    send({ kind: 'failed', id: message.id, error: toWireError(error) });
  });
});
send({ kind: 'ready' });
