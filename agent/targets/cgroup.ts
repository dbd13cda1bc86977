export interface CgroupNames {
  /** The innermost systemd unit; empty for none. */
  readonly unit: string;
  /** Container id, lower-case hex; empty for none. */
  readonly container: string;
}

/**
 * Names in a cgroup path, as systemd, docker, podman, containerd and CRI-O write it: `/system.slice/redis.service`,
 * `/docker/ID`, `/system.slice/docker-ID.scope`, `/kubepods.slice/.../cri-containerd-ID.scope`.
 */
export function parseCgroupNames(path: string): CgroupNames {
  const parts = path.split('/').filter(Boolean);
  const container = parts
    .map((part) => /(?:^|[-:])([0-9a-f]{64})(?:\.scope)?$/.exec(part)?.[1])
    .findLast((id) => id !== undefined);
  const unit = parts.findLast((part) => part.endsWith('.service'));
  const scope = parts.findLast((part) => part.endsWith('.scope'));
  return {
    unit: unescapeUnit(unit ?? (container === undefined ? (scope ?? '') : '')),
    container: container ?? '',
  };
}

/** systemd writes `\x2d` for characters that a path element may not hold. */
function unescapeUnit(unit: string): string {
  return unit.replaceAll(/\\x([0-9a-f]{2})/g, (_, code: string) =>
    String.fromCodePoint(Number.parseInt(code, 16)),
  );
}
