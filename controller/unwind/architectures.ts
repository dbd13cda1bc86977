/** The architectures whose stacks can be unwound. */
import { StillframeError } from '../../format/error.js';
import { aarch64 } from './aarch64.js';
import type { Architecture } from './architecture.js';
import { x86_64 } from './x86-64.js';

const architectures: readonly Architecture[] = [x86_64, aarch64];

/** By `e_machine`; throws `unsupported`. */
export function architectureOf(machine: number): Architecture {
  const found = architectures.find((each) => each.number === machine);
  if (found !== undefined) return found;
  const known = architectures.map((each) => `${each.name} (${each.number})`).join(' and ');
  throw new StillframeError('unsupported', `cannot unwind: machine ${machine} is none of ${known}`);
}
