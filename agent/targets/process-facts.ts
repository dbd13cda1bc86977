import type { CapturedRange, Mapping, ProcessFacts } from '../../format/capture.js';
import { defaultLimits } from '../../format/limits.js';
import { ProcessMemory } from '../linux/memory.js';
import { readAuxv } from '../linux/peeked-memory.js';
import { parseAuxv, readCommandLine, readMaps, readStat, readStatus } from '../linux/proc.js';
import type { ElfFactsCache } from './elf-facts.js';
import { readLinkMap } from './link-map.js';
import { readModules } from './modules.js';

/** Larger than any vdso; foreign numbers are not to be trusted. */
const maxVdsoBytes = 64 * 1024;

/** Reads what is true of a process as a whole. The process runs on meanwhile. Throws `target-gone`, `denied`. */
export function readProcessFacts(
  pid: number,
  cache: ElfFactsCache,
  maxModules: number = defaultLimits.maxModules,
): ProcessFacts {
  const stat = readStat(pid);
  const status = readStatus(pid);
  const mappings = readMaps(pid);
  const auxv = readAuxv(pid);
  using memory = new ProcessMemory(pid);
  const modules = readModules(pid, mappings, cache, maxModules);
  return {
    pid,
    parentPid: stat.parentPid,
    uid: status.uid,
    gid: status.gid,
    comm: stat.comm,
    args: readCommandLine(pid).join(' '),
    auxv: Uint8Array.from(auxv),
    mappings,
    modules: modules.map(({ path, buildId, start, end, bias, deleted }) => ({
      path,
      buildId,
      start,
      end,
      bias,
      deleted,
    })),
    ranges: withoutInner([
      ...readVdso(memory, mappings),
      ...readLinkMap(memory, parseAuxv(auxv), maxModules),
    ]),
  };
}

function readVdso(memory: ProcessMemory, mappings: readonly Mapping[]): CapturedRange[] {
  const vdso = mappings.find((mapping) => mapping.path === '[vdso]');
  if (vdso === undefined || vdso.end - vdso.start > BigInt(maxVdsoBytes)) return [];
  const result = memory.read(vdso.start, Number(vdso.end - vdso.start));
  return 'bytes' in result
    ? [{ address: vdso.start, bytes: result.bytes, provenance: 'racy', path: 'vdso' }]
    : [];
}

/** The vdso is in the link map too: its dynamic section lies within the range of the whole. */
function withoutInner(ranges: readonly CapturedRange[]): CapturedRange[] {
  const endOf = (range: CapturedRange): bigint => range.address + BigInt(range.bytes.length);
  return ranges.filter(
    (inner) =>
      !ranges.some(
        (outer) =>
          outer !== inner &&
          outer.bytes.length > inner.bytes.length &&
          outer.address <= inner.address &&
          endOf(inner) <= endOf(outer),
      ),
  );
}
