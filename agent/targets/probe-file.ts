/** Finds where a plan's module lies in a process, and proves that it is the file that the plan was made for. */
import type { Mapping } from '../../format/capture.js';
import { StillframeError } from '../../format/error.js';
import type { Plan, PlanSite } from '../../format/plan/plan.js';
import { findMapping, readMaps, readStat } from '../linux/proc.js';
import type { ElfFactsCache } from './elf-facts.js';
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
  /** One for each site of the plan, in its order. */
  readonly sites: readonly { readonly address: bigint; readonly fileOffset: number }[];
}

/** Throws `not-found`, `mismatch` (naming both build ids), `bad-data` for sites that are not code of the file, `target-gone`. */
export function findProbeFile(pid: number, plan: Plan, cache: ElfFactsCache): ProbeFile {
  const { startTicks } = readStat(pid);
  const mappings = readMaps(pid);
  const module = chooseModule(pid, plan, readModules(pid, mappings, cache));
  const placed = (site: Pick<PlanSite, 'linkAddress' | 'fileOffset'>): ProbeFile['sites'][number] => {
    const address = BigInt.asUintN(64, site.linkAddress + module.bias);
    checkSite(module, findMapping(mappings, address), address, site.fileOffset);
    return { address, fileOffset: site.fileOffset };
  };
  const sites = plan.sites.map((site) => placed(site));
  for (const entry of plan.timing?.entries ?? []) placed(entry);
  using opened = openMappedFile(pid, module.code);
  return { pid, startTicks, path: opened.path, buildId: module.buildId, bias: module.bias, sites };
}

/** Where the plan's module lies in the process. Throws as {@link findProbeFile}. */
export function findPlanModule(
  pid: number,
  plan: Plan,
  mappings: readonly Mapping[],
  cache: ElfFactsCache,
): ModuleFacts {
  return chooseModule(pid, plan, readModules(pid, mappings, cache));
}

function chooseModule(pid: number, plan: Plan, modules: readonly ModuleFacts[]): ModuleFacts {
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
  throw new StillframeError('not-found', `process ${pid} does not map "${path}" (${spell(buildId)})`, {
    detail: { pid, file: path },
    candidates: modules.map((module) => module.path),
  });
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
