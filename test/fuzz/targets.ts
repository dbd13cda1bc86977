/** Every parser of foreign bytes, by name: what tests mutate a little and `npm run fuzz` for longer. */
import type { FuzzTarget } from './fuzz-target.js';

const ofPrograms = /^(show-)?(gcc|clang|frame)/;

/** Loaded one after another, as needed: coverage costs by the code that a thread has loaded. */
const groups: readonly (() => Promise<readonly FuzzTarget[]>)[] = [
  async () => (await import('./targets-format.js')).formatTargets,
  async () => (await import('./targets-text.js')).textTargets,
  async () => (await import('./targets-agent.js')).agentTargets,
  async () => (await import('./targets-dwarf.js')).dwarfTargets(),
  async () => (await import('./targets-pipeline.js')).pipelineTargets,
];

export async function fuzzTargets(): Promise<readonly FuzzTarget[]> {
  return (await Promise.all(groups.map((load) => load()))).flat();
}

export async function findTarget(name: string): Promise<FuzzTarget | undefined> {
  for (const load of ofPrograms.test(name) ? groups.slice(-2) : groups) {
    const found = (await load()).find((target) => target.name === name);
    if (found !== undefined) return found;
  }
  return undefined;
}
