/** What arms as a tracer does, with the engine of points alone: the real one tries all engines of the host first, which takes most of a short life. */
import type { Engine } from '../../agent/engines/engine.js';
import { toWireError } from '../../agent/engines/wire-error.js';
import { uprobeEngine } from '../../agent/engines/uprobe/engine.js';
import type { ToTracer } from '../../agent/tracer/protocol.js';

/** Of what a tracer says, only that it says it. */
const send = (message: object): void => void process.send?.(message);
const engine: Engine = uprobeEngine();

async function arm(message: ToTracer): Promise<void> {
  if (message.call !== 'arm') throw new Error(`this tracer only arms: ${message.call}`);
  const request = { countOnly: false, forced: false, ...message.parameters };
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
