/** What this process is allowed, by name, and the sysctls that decide the rest. Read from /proc; nothing is tried here. */
import { readFileSync } from 'node:fs';
import { readStatus } from './proc.js';

/** In bit order, include/uapi/linux/capability.h. */
const capabilityNames = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
] as const;

export type CapabilityName = (typeof capabilityNames)[number];

/** The names in a capability mask; bits without a name are left out. */
export function parseCapabilities(mask: bigint): ReadonlySet<CapabilityName> {
  return new Set(capabilityNames.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n));
}

export const readCapabilities = (): ReadonlySet<CapabilityName> =>
  parseCapabilities(readStatus(process.pid).capabilitiesEffective);

/**
 * What an engine adds to its report that works on some processes only; empty where it works on all. `file`: what the files in /proc of others take that it
 * opens, where it cannot do without them.
 */
export function ownProcessesOnly(file?: 'CAP_DAC_READ_SEARCH' | 'CAP_DAC_OVERRIDE'): string {
  const held = readCapabilities();
  const only = ', for processes of its own user only: others need';
  if (!held.has('CAP_SYS_PTRACE')) return `${only} CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH`;
  const isOpen = file === undefined || held.has(file) || held.has('CAP_DAC_OVERRIDE');
  return isOpen ? '' : `${only} ${file}`;
}

/** Sysctls that decide what is allowed; undefined where this kernel has none of that name. */
export interface HostSysctls {
  readonly perfEventParanoid: number | undefined;
  readonly unprivilegedBpfDisabled: number | undefined;
  /** kernel.yama.ptrace_scope. */
  readonly ptraceScope: number | undefined;
}

function readSysctl(name: string): number | undefined {
  try {
    const value = Number.parseInt(readFileSync(`/proc/sys/${name}`, 'utf8'), 10);
    return Number.isNaN(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

export function readSysctls(): HostSysctls {
  return {
    perfEventParanoid: readSysctl('kernel/perf_event_paranoid'),
    unprivilegedBpfDisabled: readSysctl('kernel/unprivileged_bpf_disabled'),
    ptraceScope: readSysctl('kernel/yama/ptrace_scope'),
  };
}
