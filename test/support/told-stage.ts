/** A stage of automation. A test that fails says of each program on it in which state it was, and what it wrote last. */
import { openStage, type Stage, type Started } from '../../controller/cli/demo-automation/stage.js';
import { heard, tail, threadStates } from './evidence.js';

const maxToldLines = 12;
const maxToldPrograms = 12;

function describeProgram(command: string, { process: child, pid, lines }: Started): string {
  const end = child.exitCode ?? child.signalCode;
  const state = end === null ? threadStates(pid) : `ended with ${end}`;
  return `  ${command} (${pid}): ${state}\n${tail(lines.slice(-maxToldLines).join('\n'), maxToldLines)}`;
}

export function openToldStage(name: string): Stage {
  const stage = openStage(name);
  const programs: { readonly command: string; readonly started: Started }[] = [];
  const tell = (): string =>
    programs
      .slice(-maxToldPrograms)
      .map(({ command, started }) => describeProgram(command, started))
      .join('');
  const say = heard(tell);
  return {
    ...stage,
    async start(path, args, options) {
      const started = await stage.start(path, args, options);
      programs.push({ command: [path, ...args].join(' ').slice(0, 200), started });
      return started;
    },
    async [Symbol.asyncDispose]() {
      // Of what is gone nothing can be seen any more.
      say(tell());
      await stage[Symbol.asyncDispose]();
    },
  };
}
