/** What a target's executable has for us, by its sections alone: quick enough for a list. */
import { openElf } from '../../format/elf/open.js';
import type { AgentTarget } from '../rpc/agent-facts.js';
import { openFileSource } from '../snapshot/file-source.js';
import type { DebugInfo } from './documents.js';

/** Undefined when the file cannot be read from here. */
export function debugInfoOf(target: AgentTarget): DebugInfo | undefined {
  try {
    using source = openFileSource(`/proc/${target.pid}/exe`);
    const elf = openElf(source);
    if (elf.findSection('.debug_info') ?? elf.findSection('.zdebug_info')) return 'full';
    return elf.findSection('.symtab') === undefined ? 'none' : 'symbols';
  } catch {
    return undefined;
  }
}
