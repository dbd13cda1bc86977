/** Finds where a plan's module lies in a process, and proves that it is the file that the plan was made for. */
import type { Mapping } from '../../format/capture.js';
import { StillframeError } from '../../format/error.js';
import type { Plan, PlanSite } from '../../format/plan/plan.js';
import { findMapping, readMaps, readStat } from '../linux/proc.js';
import type { ElfFactsCache } from './elf-facts.js';
import { findLibraryFile, LibraryFile } from './library-file.js';
import { openMappedFile } from './mapped-file.js';
import { type ModuleFacts, readModules } from './modules.js';

export interface ProbeFile {
  readonly pid: number;
  /** With the pid it names the process for good. */
  readonly startTicks: bigint;
  /** Leads to the very inode that is mapped (`/proc/PID/map_files/...`), for as long as the process maps it. */
  readonly path: string;
  readonly buildId: string;
  /** Runtime minus link address. */
  readonly bias: bigint;
  /** It is a library: the process may unload it, and load it again. */
  readonly library?: LibraryFile;
  /** One for each site of the plan, in its order; none while the process does not map it, and `bias` is 0 then. */
  readonly sites: readonly { readonly address: bigint; readonly fileOffset: number }[];
}

/**
 * A library need not be loaded, if it lies where the plan says. Throws `not-found`, `mismatch` (naming both build ids), `bad-data` for sites that are not
 * code of the file, `target-gone`.
 */
export function findProbeFile(pid: number, plan: Plan, cache: ElfFactsCache): ProbeFile {
  const { startTicks } = readStat(pid);
  const mappings = readMaps(pid);
  const found = findModule(pid, plan, readModules(pid, mappings, cache));
  const unloaded = 'missing' in found ? findLibraryFile(pid, plan, cache) : undefined;
  if (unloaded !== undefined) {
    const { buildId } = plan.module;
    return { pid, startTicks, path: unloaded.file, buildId, bias: 0n, library: unloaded, sites: [] };
  }
  const module = required(found);
  const placed = (site: Pick<PlanSite, 'linkAddress' | 'fileOffset'>): ProbeFile['sites'][number] => {
    const address = BigInt.asUintN(64, site.linkAddress + module.bias);
    checkSite(module, findMapping(mappings, address), address, site.fileOffset);
    return { address, fileOffset: site.fileOffset };
  };
  const sites = plan.sites.map((site) => placed(site));
  for (const entry of plan.timing?.entries ?? []) placed(entry);
  using opened = openMappedFile(pid, module.code);
  const { buildId, bias, code, facts } = module;
  const isLibrary = facts.isLibrary && code.inode !== 0 && !code.deleted;
  return {
    pid,
    startTicks,
    path: opened.path,
    buildId,
    bias,
    ...(isLibrary ? { library: new LibraryFile(pid, code.path, BigInt(code.inode)) } : {}),
    sites,
  };
}

/** Where the plan's module lies in the process. Throws as {@link findProbeFile}. */
export function findPlanModule(
  pid: number,
  plan: Plan,
  mappings: readonly Mapping[],
  cache: ElfFactsCache,
): ModuleFacts {
  return required(findModule(pid, plan, readModules(pid, mappings, cache)));
}

/** Or why there is none. */
type FoundModule = ModuleFacts | { readonly missing: StillframeError };

function required(found: FoundModule): ModuleFacts {
  if ('missing' in found) throw found.missing;
  return found;
}

/** Throws `mismatch`. */
function findModule(pid: number, plan: Plan, modules: readonly ModuleFacts[]): FoundModule {
  const { buildId, path } = plan.module;
  const same = modules.filter((module) =>
    buildId === '' ? module.buildId === '' && module.path === path : module.buildId === buildId,
  );
  const chosen = same.find((module) => module.path === path) ?? same[0];
  if (chosen !== undefined) return chosen;
  const other = modules.find((module) => module.path === path);
  if (other !== undefined) {
    throw new StillframeError(
      'mismatch',
      `cannot probe "${path}" in process ${pid}: ${spell(other.buildId)} is mapped, the plan was made for ${spell(buildId)}`,
      {
        detail: { pid, file: path },
        hint: 'the file was rebuilt or replaced: make the plan again from the file that the process runs',
      },
    );
  }
  const missing = new StillframeError(
    'not-found',
    `process ${pid} does not map "${path}" (${spell(buildId)})`,
    { detail: { pid, file: path }, candidates: modules.map((module) => module.path) },
  );
  return { missing };
}

const spell = (buildId: string): string =>
  buildId === '' ? 'a file without build id' : `build id ${buildId}`;

function checkSite(
  module: ModuleFacts,
  mapping: Mapping | undefined,
  address: bigint,
  fileOffset: number,
): void {
  const action = `cannot probe 0x${address.toString(16)} in "${module.path}"`;
  if (mapping?.inode !== module.code.inode || mapping.device !== module.code.device) {
    throw new StillframeError('bad-data', `${action}: the address is not in the file's mapping`, {
      detail: { address, file: module.path },
    });
  }
  if (!mapping.permissions.includes('x')) {
    throw new StillframeError('bad-data', `${action}: the address is not in executable memory`, {
      detail: { address, file: module.path },
    });
  }
  const actual = mapping.fileOffset + Number(address - mapping.start);
  if (actual !== fileOffset) {
    throw new StillframeError(
      'bad-data',
      `${action}: file offset 0x${actual.toString(16)} is mapped there, the plan says 0x${fileOffset.toString(16)}`,
      { detail: { address, offset: fileOffset, file: module.path } },
    );
  }
}
