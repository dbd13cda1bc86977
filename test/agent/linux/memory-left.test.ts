import { describe, expect, test } from 'vitest';
import { MemoryBounds, findGroups, readOwnBytes } from '../../../agent/linux/memory-left.js';

const v1 = '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory';
const other = '32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu';
const inside = '35 31 0:32 /docker/abc /cg rw,relatime - cgroup cgroup rw,memory';

describe('control groups that bound memory', () => {
  test.each([
    {
      what: 'are those around the process, innermost first',
      mountinfo: [other, v1],
      cgroup: '1:cpu:/x\n4:memory:/a/b\n0::/init.scope\n',
      folders: ['/sys/fs/cgroup/memory/a/b', '/sys/fs/cgroup/memory/a', '/sys/fs/cgroup/memory'],
    },
    {
      what: 'have names with colons',
      mountinfo: [v1],
      cgroup: '4:memory:/a:b\n',
      folders: ['/sys/fs/cgroup/memory/a:b', '/sys/fs/cgroup/memory'],
    },
    {
      what: 'are named from the root of the mount',
      mountinfo: [inside],
      cgroup: '4:memory:/docker/abc/d\n',
      folders: ['/cg/d', '/cg'],
    },
    { what: 'do not lead out of the mount', mountinfo: [v1], cgroup: '4:memory:/../../etc\n', folders: [] },
    { what: 'are none without a mount', mountinfo: [other], cgroup: '4:memory:/a\n', folders: [] },
    { what: 'are none where the process has none', mountinfo: [v1], cgroup: '', folders: [] },
  ])('$what', ({ mountinfo, cgroup, folders }) => {
    expect(findGroups(`${mountinfo.join('\n')}\n`, cgroup).map(({ folder }) => folder)).toEqual(folders);
  });
});

test('what is left is no more than the host has, and a process has memory of its own', () => {
  const { bytes } = new MemoryBounds(process.pid).left();
  expect(bytes).toBeGreaterThan(1024 ** 2);
  expect(bytes).toBeLessThan(2 ** 50);
  expect(readOwnBytes(process.pid)).toBeGreaterThan(1024 ** 2);
});
