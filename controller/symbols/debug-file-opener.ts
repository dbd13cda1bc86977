/**
 * What {@link ./debug-files.ts DebugFiles} asks for files beyond the one it was given. Whoever answers does the I/O; who asks proves that
 * what came is what was meant, by build id or DWO id.
 */
import { type Absent, absent } from '../../format/absent.js';
import type { ElfFile } from '../../format/elf/file.js';

export interface DebugFileOpener {
  /** The file of a skeleton unit: DW_AT_dwo_name, relative to its compilation directory. */
  split(name: string, compilationDirectory: string): ElfFile | Absent;
  /** The package (`.dwp`) that lies beside the program; undefined when there is none. */
  package(): ElfFile | undefined;
  /** The file that `.gnu_debugaltlink` or `.debug_sup` names. */
  supplementary(path: string, buildId: string): ElfFile | Absent;
}

/** No file is opened. */
export const noDebugFiles: DebugFileOpener = {
  split: (name) => absent('no-debug-info', `"${name}" was not looked for`),
  package: () => undefined,
  supplementary: (path) => absent('no-debug-info', `"${path}" was not looked for`),
};
