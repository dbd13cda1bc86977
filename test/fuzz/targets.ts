/** Every parser of foreign bytes, by name: what tests mutate a little and `npm run fuzz` for longer. */
import type { FuzzTarget } from './fuzz-target.js';
import { agentTargets } from './targets-agent.js';
import { dwarfTargets } from './targets-dwarf.js';
import { formatTargets } from './targets-format.js';
import { pipelineTargets } from './targets-pipeline.js';
import { textTargets } from './targets-text.js';

export function fuzzTargets(): readonly FuzzTarget[] {
  return [...formatTargets, ...textTargets, ...agentTargets, ...dwarfTargets(), ...pipelineTargets];
}
