import type { ByteSource } from '../../format/byte-source.js';
import type { Mapping } from '../../format/capture.js';
import { StillframeError, badData } from '../../format/error.js';
import { FileSource } from '../linux/file-source.js';
import type { ProcessMemory } from '../linux/memory.js';
import { procError } from '../linux/proc.js';

/** `8:1` of a device number as fstat gives it. */
function deviceName(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);
  return `${major}:${minor}`;
}

export interface MappedFile extends Disposable {
  /** A path that leads to the very inode that is mapped, whatever namespace or deletion. */
  readonly path: string;
  readonly source: FileSource;
}

/**
 * Opens the very file that a process maps: by `/proc/PID/map_files`, which also reaches deleted files and
 * other mount namespaces, or by `/proc/PID/root` where that is not allowed and the inode there is the same.
 */
export function openMappedFile(pid: number, mapping: Mapping): MappedFile {
  const direct = `/proc/${pid}/map_files/${mapping.start.toString(16)}-${mapping.end.toString(16)}`;
  try {
    return mappedFile(direct, new FileSource(direct, mapping.path));
  } catch (error) {
    return openByPath(pid, mapping, error);
  }
}

const mappedFile = (path: string, source: FileSource): MappedFile => ({
  path,
  source,
  [Symbol.dispose]: () => source[Symbol.dispose](),
});

function openByPath(pid: number, mapping: Mapping, first: unknown): MappedFile {
  const path = `/proc/${pid}/root${mapping.path}`;
  const action = `cannot open "${mapping.path}" of process ${pid}`;
  if (mapping.deleted || !mapping.path.startsWith('/')) throw withHint(procError(action, pid, first));
  let source: FileSource;
  try {
    source = new FileSource(path, mapping.path);
  } catch (error) {
    throw procError(action, pid, error);
  }
  if (source.inode === BigInt(mapping.inode) && deviceName(source.device) === mapping.device) {
    return mappedFile(path, source);
  }
  source[Symbol.dispose]();
  throw new StillframeError('mismatch', `${action}: another file lies at that path now`, {
    detail: { pid, file: mapping.path },
    hint: mapFilesHint,
  });
}

/** fs/proc/base.c proc_map_files_get_link(): EPERM there is for want of these, whoever's process it is. */
const mapFilesHint = 'with CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN the mapped file itself can be opened';

function withHint(error: StillframeError): StillframeError {
  if (error.detail.errnoName !== 'EPERM') return error;
  const { code, message, detail } = error;
  return new StillframeError(code, message, { detail, cause: error.cause, hint: mapFilesHint });
}

const headerBytes = 64;

/**
 * An ELF file as far as a process has it in memory: for files that may not be opened, and for the vdso. Its section headers are
 * seldom mapped, so they are hidden; segments and notes are there.
 */
export function memoryImage(memory: ProcessMemory, mappings: readonly Mapping[], name: string): ByteSource {
  const ends = mappings.map((mapping) => mapping.fileOffset + Number(mapping.end - mapping.start));
  return {
    name,
    size: Math.max(0, ...ends),
    read(offset, length) {
      const mapping = mappings.find(
        (candidate) =>
          candidate.fileOffset <= offset &&
          offset + length <= candidate.fileOffset + Number(candidate.end - candidate.start),
      );
      const result =
        mapping === undefined
          ? undefined
          : memory.read(mapping.start + BigInt(offset - mapping.fileOffset), length);
      if (result === undefined || !('bytes' in result)) {
        throw badData(`cannot read "${name}": offset 0x${offset.toString(16)} is not in memory`);
      }
      if (offset === 0 && length >= headerBytes) {
        // e_shoff, and e_shnum with e_shstrndx.
        result.bytes.fill(0, 0x28, 0x30);
        result.bytes.fill(0, 0x3c, 0x40);
      }
      return result.bytes;
    },
  };
}
