/** Brings debug files of the modules that the stacks of a snapshot lead through, before anything asks for their symbols. */
import { isAbsent } from '../../format/absent.js';
import type { ElfFile } from '../../format/elf/file.js';
import type { Snapshot } from './open.js';

/** Whoever waits has so much time. */
const maxModules = 64;

export async function bringDebugFiles(
  snapshot: Snapshot,
  bring: (elf: ElfFile, file: string) => Promise<void>,
): Promise<void> {
  const modules = new Set(
    snapshot.threads.flatMap((thread) =>
      snapshot.stackOf(thread).frames.flatMap(({ module }) => module ?? []),
    ),
  );
  for (const module of [...modules].slice(0, maxModules)) {
    const { elf } = module;
    if (!isAbsent(elf)) await bring(elf, module.facts.file);
  }
}
