/** Programs for AArch64, by a cross compiler, and their cores, by an emulator that writes one when a program dies. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ByteWriter } from '../../format/bytes.js';
import { PT } from '../../format/elf/constants.js';
import type { CoreFile } from './core.js';

/** Where Debian's libc6-dev-arm64-cross puts the target's libraries. */
export const aarch64Sysroot = '/usr/aarch64-linux-gnu';

/** Runs a program under qemu-aarch64 until it dies of a signal, and gives the core of the emulated process. */
export function emulatedCore(program: string, args: readonly string[]): CoreFile {
  const folder = mkdtempSync(join(tmpdir(), 'emulated-'));
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  // The emulator dies of the signal too; the limit (KiB) keeps its own core small.
  const command = `ulimit -c 65536; exec qemu-aarch64 -cpu max -L ${aarch64Sysroot} "$0" "$@"`;
  const run = spawnSync('sh', ['-c', command, program, ...args], { cwd: folder, encoding: 'utf8' });
  const core = readdirSync(folder).find((name) => name.startsWith('qemu_'));
  if (core === undefined) {
    dispose();
    throw new Error(`${program} left no core: status ${run.status}, signal ${run.signal}, ${run.stderr}`);
  }
  return { path: join(folder, core), [Symbol.dispose]: dispose };
}

export interface CoreNote {
  readonly owner: string;
  readonly type: number;
  readonly description: Uint8Array;
}

/** A core with more notes of its one thread, as a kernel writes them and the emulator does not. */
export function withNotes(core: CoreFile, notes: readonly CoreNote[]): CoreFile {
  const bytes = readFileSync(core.path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = Number(view.getBigUint64(32, true));
  if (view.getUint32(header, true) !== PT.PT_NOTE) throw new Error('the notes do not come first');
  const offset = Number(view.getBigUint64(header + 8, true));
  const size = Number(view.getBigUint64(header + 32, true));
  const writer = new ByteWriter().raw(bytes.subarray(offset, offset + size)).align(4);
  for (const { owner, type, description } of notes) {
    const name = new TextEncoder().encode(`${owner}\0`);
    writer.u32(name.length).u32(description.length).u32(type);
    writer.raw(name).align(4).raw(description).align(4);
  }
  const all = writer.finish();
  view.setBigUint64(header + 8, BigInt(bytes.length), true);
  view.setBigUint64(header + 32, BigInt(all.length), true);
  const path = `${core.path}.notes`;
  writeFileSync(path, Buffer.concat([bytes, all]));
  return { path, [Symbol.dispose]: () => rmSync(path, { force: true }) };
}
