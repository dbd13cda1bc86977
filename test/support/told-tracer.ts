/** A tracer that a test speaks to without a front. A test that fails says what the tracer has logged, and in which state it is. */
import { TracerSupervisor, type SupervisorOptions } from '../../agent/tracer/supervisor.js';
import { heard, tail } from './evidence.js';

const maxToldLines = 20;

export interface ToldTracer extends AsyncDisposable {
  readonly tracer: TracerSupervisor;
}

export function openToldTracer(options: Partial<SupervisorOptions> = {}): ToldTracer {
  const said: string[] = [];
  const tracer = new TracerSupervisor({
    ...options,
    log: (level, message) => {
      said.push(`${new Date().toISOString()} ${level} ${message}`);
      if (said.length > maxToldLines) said.shift();
    },
  });
  const tell = (): string => `  the tracer said:\n${tail(said.join('\n'), maxToldLines)}`;
  const say = heard(tell);
  return {
    tracer,
    async [Symbol.asyncDispose]() {
      say(tell());
      await tracer[Symbol.asyncDispose]();
    },
  };
}
