/** Where a plan's module lies in a process: the path that opens the very inode, and the runtime addresses of the sites. */
import { hex } from '../../../format/address.js';
import type { Mapping } from '../../../format/capture.js';
import { StillframeError } from '../../../format/error.js';
import type { Plan } from '../../../format/plan/plan.js';
import { readMaps } from '../../linux/proc.js';

export interface ProbePlace {
  /** `/proc/PID/map_files/...`: the inode that is mapped, even where its path names another file by now. */
  readonly path: string;
  /** Runtime addresses of the sites, in their order. */
  readonly addresses: readonly bigint[];
}

/** Throws `not-found` when the module, or the code of a site, is not mapped. */
export function findProbePlace(pid: number, plan: Plan): ProbePlace {
  const mappings = readMaps(pid).filter((mapping) => mapping.path === plan.module.path);
  if (mappings.length === 0) {
    throw new StillframeError('not-found', `process ${pid} does not map "${plan.module.path}"`, {
      detail: { pid, file: plan.module.path },
    });
  }
  const covering = plan.sites.map((site) => {
    const mapping = mappings.find((candidate) => covers(candidate, site.fileOffset));
    if (mapping === undefined) {
      throw new StillframeError(
        'not-found',
        `process ${pid} does not map offset ${hex(site.fileOffset)} of "${plan.module.path}" as code`,
        { detail: { pid, file: plan.module.path, offset: site.fileOffset } },
      );
    }
    return { mapping, address: mapping.start + BigInt(site.fileOffset - mapping.fileOffset) };
  });
  const first = covering[0];
  if (first === undefined) throw new StillframeError('usage', 'the plan has no sites');
  const { start, end } = first.mapping;
  return {
    path: `/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`,
    addresses: covering.map(({ address }) => address),
  };
}

function covers(mapping: Mapping, fileOffset: number): boolean {
  const length = Number(mapping.end - mapping.start);
  const at = fileOffset - mapping.fileOffset;
  return at >= 0 && at < length && mapping.permissions[2] === 'x';
}
