/**
 * What {@link ./debug-files.ts DebugFiles} asks for files beyond the one it was given. Whoever answers does the I/O and gives every file that
 * may be meant, the likeliest first; who asks takes the one that proves to be it, by build id or DWO id.
 */
import type { ElfFile } from '../../format/elf/file.js';

export interface DebugFileOpener {
  /** The file of a skeleton unit: DW_AT_dwo_name, relative to its compilation directory. */
  split(name: string, compilationDirectory: string): Iterable<ElfFile>;
  /** The package (`.dwp`) that lies beside the program; undefined when there is none. */
  package(): ElfFile | undefined;
  /** The file that `.gnu_debugaltlink` or `.debug_sup` names. */
  supplementary(path: string, buildId: string): Iterable<ElfFile>;
}

/** No file is opened. */
export const noDebugFiles: DebugFileOpener = {
  split: () => [],
  package: () => undefined,
  supplementary: () => [],
};
