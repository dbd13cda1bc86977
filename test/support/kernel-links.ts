/** The eBPF links that the kernel holds for a process, whoever made them: what a probe that was left behind looks like. */
import { closeSync } from 'node:fs';
import { linkIds } from '../../agent/linux/bpf.js';
import { call, syscall } from '../../agent/linux/ffi.js';

const SYS_bpf = 321;
const BPF_OBJ_GET_INFO_BY_FD = 15;
const BPF_LINK_GET_FD_BY_ID = 30;
const BPF_LINK_TYPE_UPROBE_MULTI = 12;
const ENOENT = 2;

function bpf(command: number, attributes: Buffer): { value: bigint; errno: number } {
  return syscall(SYS_bpf, { i64: BigInt(command) }, { buffer: attributes }, { i64: 160n });
}

/** Links of uprobes in one process, by id. */
export function probeLinksOf(pid: number): number[] {
  const ids = linkIds();
  if (ids === undefined) throw new Error('the links of this kernel cannot be listed');
  return ids.filter((id) => pidOfLink(id) === pid);
}

/** Of a link of uprobes; undefined for others, and for one that went meanwhile. */
function pidOfLink(id: number): number | undefined {
  const open = Buffer.alloc(160);
  open.writeUInt32LE(id, 0);
  const { value, errno } = bpf(BPF_LINK_GET_FD_BY_ID, open);
  if (value < 0n) {
    if (errno === ENOENT) return undefined;
    throw new Error(`cannot open link ${id}: errno ${errno}`);
  }
  const fd = Number(value);
  try {
    const info = Buffer.alloc(128);
    const query = Buffer.alloc(160);
    query.writeUInt32LE(fd, 0);
    query.writeUInt32LE(info.length, 4);
    query.writeBigUInt64LE(
      BigInt.asUintN(64, call('memmove', { buffer: info }, { buffer: info }, { i64: 0n }).value),
      8,
    );
    const asked = bpf(BPF_OBJ_GET_INFO_BY_FD, query);
    if (asked.value < 0n) throw new Error(`cannot read link ${id}: errno ${asked.errno}`);
    return info.readUInt32LE(0) === BPF_LINK_TYPE_UPROBE_MULTI ? info.readUInt32LE(60) : undefined;
  } finally {
    closeSync(fd);
  }
}
