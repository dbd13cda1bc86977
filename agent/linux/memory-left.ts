/**
 * How much more memory a process may take before the kernel kills somebody for it: what the control groups that it is in have left (both versions of
 * them), and the host. File pages that were not used lately count as left. Read with node:fs alone; a hierarchy that cannot be seen bounds nothing.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readProcBytes } from './proc.js';

interface Group {
  readonly folder: string;
  readonly files: (typeof layouts)[keyof typeof layouts];
}

const layouts = {
  v1: { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', inactive: 'total_inactive_file' },
  v2: { limit: 'memory.max', usage: 'memory.current', inactive: 'inactive_file' },
} as const;

/** What version 1 writes for no limit is rounded down from here. */
const noLimit = 2 ** 62;
const maxDepth = 64;
const bytesPerKib = 1024;

export interface MemoryLeft {
  readonly bytes: number;
  /** Whose it is: `its control group`, `the host`. */
  readonly of: string;
}

export class MemoryBounds {
  readonly #groups: readonly Group[];

  /** Of the groups that the process is in now. Throws `target-gone`. */
  constructor(pid: number) {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    const cgroup = readProcBytes(pid, 'cgroup').toString('utf8');
    this.#groups = findGroups(mounts, cgroup).filter(({ folder, files }) =>
      existsSync(join(folder, files.limit)),
    );
  }

  /** The least of all that bound it. */
  left(): MemoryLeft {
    const available = /^MemAvailable: +(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    let least: MemoryLeft = {
      bytes: available === undefined ? Infinity : Number(available) * bytesPerKib,
      of: 'the host',
    };
    for (const group of this.#groups) {
      const bytes = leftIn(group);
      if (bytes < least.bytes) least = { bytes, of: 'its control group' };
    }
    return least;
  }
}

/** From the contents of mountinfo and of /proc/PID/cgroup: folders of the group and of those around it, innermost first. */
export function findGroups(mountinfo: string, cgroup: string): Group[] {
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', mountPoint = ''] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    const isV1 = type === 'cgroup' && options.split(',').includes('memory');
    if (!isV1 && type !== 'cgroup2') continue;
    const path = cgroup
      .split('\n')
      .map((text) => text.split(':'))
      .find(([id, controllers = '']) => (isV1 ? controllers.split(',').includes('memory') : id === '0'))
      ?.slice(2)
      .join(':');
    if (path === undefined) continue;
    const files = isV1 ? layouts.v1 : layouts.v2;
    const inside = root !== '/' && path.startsWith(root) ? path.slice(root.length) : path;
    const groups = foldersUp(mountPoint, inside).map((folder) => ({ folder, files }));
    // Where both versions are mounted, memory is in the first that says so.
    if (isV1 || existsSync(join(mountPoint, inside, files.usage))) return groups;
  }
  return [];
}

function foldersUp(top: string, path: string): string[] {
  const folders: string[] = [];
  let folder = join(top, path);
  for (let i = 0; i < maxDepth && folder.startsWith(top); i++) {
    folders.push(folder);
    if (folder === top) break;
    folder = dirname(folder);
  }
  return folders;
}

function leftIn({ folder, files }: Group): number {
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8').trim();
  const limit = read(files.limit);
  if (limit === 'max' || Number(limit) >= noLimit) return Infinity;
  const inactive = new RegExp(`^${files.inactive} (\\d+)$`, 'm').exec(read('memory.stat'))?.[1] ?? '0';
  return Number(limit) - Number(read(files.usage)) + Number(inactive);
}

/** Private memory of a process that is there: what a copy of it may have to be given a second time. */
export function readOwnBytes(pid: number): number {
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(readProcBytes(pid, 'status').toString('utf8'))?.[1];
  return Number(found ?? '0') * bytesPerKib;
}
