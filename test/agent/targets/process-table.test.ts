import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ElfFactsCache } from '../../../agent/targets/elf-facts.js';
import { type Glance, hostProcesses, ProcessTable } from '../../../agent/targets/process-table.js';
import { type TargetProcess, listProcesses } from '../../../agent/targets/processes.js';

/** A host in memory, that counts what is looked at. */
class FakeHost {
  readonly processes = new Map<number, Glance & { readonly cgroup?: string }>();
  glances = 0;
  reads = 0;
  links = 0;

  pids(): number[] {
    return [...this.processes.keys()];
  }
  executable(pid: number): string {
    this.links += 1;
    return this.processes.get(pid)?.executable ?? '';
  }
  glance(pid: number): Glance | undefined {
    this.glances += 1;
    const process = this.processes.get(pid);
    if (process === undefined) return undefined;
    const { startTicks, comm, executable } = process;
    return { startTicks, comm, executable };
  }
  read(pid: number): TargetProcess | undefined {
    this.reads += 1;
    const process = this.processes.get(pid);
    if (process === undefined || process.executable === '') return undefined;
    return {
      pid,
      comm: process.comm,
      executable: process.executable,
      args: [],
      buildId: '',
      uid: 0,
      unit: process.cgroup ?? '',
      container: '',
      service: '',
      startTimeMs: 0,
      startTicks: process.startTicks,
    };
  }
}

const at = (seconds: number, comm = 'app'): Glance => ({
  startTicks: BigInt(seconds * 100),
  comm,
  executable: `/bin/${comm}`,
});

describe('changes', () => {
  test('are told once: who is there, comes, goes, and becomes another', () => {
    const host = new FakeHost();
    const table = new ProcessTable(host);
    host.processes.set(1, at(1)).set(2, { ...at(1, 'kworker'), executable: '' });
    const first = table.update(0, 100_000);
    expect(first).toMatchObject({ isReset: true, changed: [{ pid: 1 }], gone: [] });
    const nothing = table.update(first.cursor, 100_250);
    expect(nothing).toMatchObject({ isReset: false, changed: [], gone: [] });
    host.processes.set(3, at(100));
    const second = table.update(nothing.cursor, 100_500);
    expect(second).toMatchObject({ changed: [{ pid: 3 }], gone: [] });
    host.processes.delete(1);
    // The number is given to another at once.
    host.processes.set(3, at(100.6, 'other'));
    const third = table.update(second.cursor, 100_750);
    expect(third.changed).toMatchObject([{ pid: 3, comm: 'other' }]);
    expect(third.gone.toSorted((a, b) => a.pid - b.pid)).toEqual([
      { pid: 1, startTicks: 100n },
      { pid: 3, startTicks: 10_000n },
    ]);
  });

  test('for who knows nothing, or something else, are all that there is', () => {
    const host = new FakeHost();
    const table = new ProcessTable(host);
    host.processes.set(1, at(1)).set(2, at(2));
    table.update(0, 100_000);
    for (const cursor of [0, 17]) {
      expect(table.update(cursor, 100_250)).toMatchObject({
        isReset: true,
        changed: [{ pid: 1 }, { pid: 2 }],
        gone: [],
      });
    }
  });

  test('of a young process are seen at the next look, of an old one within a second', () => {
    const host = new FakeHost();
    const table = new ProcessTable(host);
    host.processes.set(1, at(99)).set(2, at(10));
    let { cursor } = table.update(0, 100_000);
    host.processes.set(1, at(99, 'sh')).set(2, at(10, 'sh'));
    const seen: [number, number[]][] = [];
    for (let ms = 250; ms <= 1250; ms += 250) {
      const { changed, cursor: next } = table.update(cursor, 100_000 + ms);
      cursor = next;
      if (changed.length > 0) seen.push([ms, changed.map(({ pid }) => pid)]);
    }
    expect(seen).toEqual([
      [250, [1]],
      [1000, [2]],
    ]);
  });

  test('of its control group are seen some time after it started', () => {
    const host = new FakeHost();
    const table = new ProcessTable(host);
    host.processes.set(1, at(100));
    const { cursor } = table.update(0, 100_010);
    host.processes.set(1, { ...at(100), cgroup: 'app.service' });
    const early = table.update(cursor, 100_500);
    expect(early.changed).toEqual([]);
    expect(table.update(early.cursor, 101_100).changed).toMatchObject([{ unit: 'app.service' }]);
  });

  test('cost little: a process is read once, of one that is old only the program is looked at each second', () => {
    const host = new FakeHost();
    const table = new ProcessTable(host);
    for (let pid = 1; pid <= 300; pid++) host.processes.set(pid, at(1));
    for (let pid = 301; pid <= 400; pid++) host.processes.set(pid, { ...at(1, 'kworker'), executable: '' });
    let { cursor } = table.update(0, 100_000);
    expect(host.reads).toBe(400);
    host.glances = 0;
    for (let ms = 250; ms <= 10_000; ms += 250) ({ cursor } = table.update(cursor, 100_000 + ms));
    expect(host.reads).toBe(400);
    expect(host.glances).toBe(800);
    expect(host.links).toBe(300 * 8);
  });
});

test('on this host: as a full listing has it, a program that starts, executes another and ends', async () => {
  const cache = new ElfFactsCache();
  const table = new ProcessTable(hostProcesses(cache, () => new Set([process.pid])));
  const first = table.update(0);
  const listed = listProcesses(cache, new Set([process.pid]));
  const known = new Map(first.changed.map((target) => [target.pid, target]));
  // Others come and go on this host meanwhile.
  const same = listed.filter(({ pid, startTicks }) => known.get(pid)?.startTicks === startTicks);
  expect(same.length).toBeGreaterThan(0);
  for (const target of same) {
    // The time of boot is known to a second only, and is read anew for each listing.
    const { startTimeMs: _, ...rest } = target;
    expect(known.get(target.pid)).toMatchObject(rest);
  }

  const folder = mkdtempSync(join(tmpdir(), 'stillframe-table-'));
  const program = join(folder, 'sleepy');
  copyFileSync('/bin/sleep', program);
  const child = spawn('/bin/sh', ['-c', `read x; exec ${program} 100`], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  try {
    await once(child, 'spawn');
    const pid = child.pid ?? -1;
    const started = table.update(first.cursor);
    expect(started.changed.find((target) => target.pid === pid)?.executable).toMatch(/sh$/);
    child.stdin.write('\n');
    let { cursor } = started;
    let now: TargetProcess | undefined;
    for (let i = 0; i < 200 && now?.executable !== program; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const changes = table.update(cursor);
      ({ cursor } = changes);
      now = changes.changed.find((target) => target.pid === pid) ?? now;
    }
    expect(now).toMatchObject({ comm: 'sleepy', executable: program });
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(table.update(cursor).gone).toContainEqual({ pid, startTicks: now?.startTicks });
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
});
