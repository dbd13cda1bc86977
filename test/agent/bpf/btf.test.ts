/** BTF from literals, and the running kernel's where its layout is known. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Btf, readKernelBtf } from '../../../agent/bpf/btf.js';
import { ByteWriter } from '../../../format/bytes.js';
import { requireFeature } from '../../support/require-feature.js';

const [INT, PTR, ARRAY, STRUCT, UNION, TYPEDEF, VOLATILE, FUNC, PROTO] = [1, 2, 3, 4, 5, 8, 9, 12, 13];

interface Parts {
  readonly types: Uint8Array;
  readonly strings: string;
  readonly magic?: number;
  readonly version?: number;
}

function btfOf({ types, strings, magic = 0xeb9f, version = 1 }: Parts): Uint8Array {
  return new ByteWriter()
    .u16(magic)
    .u8(version)
    .u8(0)
    .u32(24)
    .u32(0)
    .u32(types.length)
    .u32(types.length)
    .u32(strings.length)
    .raw(types)
    .raw(Buffer.from(strings, 'latin1'))
    .finish();
}

/** Names of the string section, by where they begin. */
const strings = '\0int\0task\0pid\0inner\0deep\0list\0run\0word\0';
const at = (name: string): number => strings.indexOf(`\0${name}\0`) + 1;
const info = (kind: number, vlen = 0, flag = false): number => kind * 2 ** 24 + vlen + (flag ? 2 ** 31 : 0);

/** struct task { word pid; struct { volatile int deep; }; union inner { int list[3]; int *run; } inner; }; int run(void); */
const sample = new ByteWriter()
  // 1: int
  .u32(at('int'))
  .u32(info(INT))
  .u32(4)
  .u32(32)
  // 2: typedef int word
  .u32(at('word'))
  .u32(info(TYPEDEF))
  .u32(1)
  // 3: volatile int
  .u32(0)
  .u32(info(VOLATILE))
  .u32(1)
  // 4: struct { 3 deep at bit 0 }
  .u32(0)
  .u32(info(STRUCT, 1))
  .u32(4)
  .u32(at('deep'))
  .u32(3)
  .u32(0)
  // 5: int[3]
  .u32(0)
  .u32(info(ARRAY))
  .u32(0)
  .u32(1)
  .u32(1)
  .u32(3)
  // 6: int *
  .u32(0)
  .u32(info(PTR))
  .u32(1)
  // 7: union inner { list; run }
  .u32(at('inner'))
  .u32(info(UNION, 2))
  .u32(16)
  .u32(at('list'))
  .u32(5)
  .u32(0)
  .u32(at('run'))
  .u32(6)
  .u32(0)
  // 8: struct task, its members with the kind flag: bit sizes in the upper byte
  .u32(at('task'))
  .u32(info(STRUCT, 3, true))
  .u32(32)
  .u32(at('pid'))
  .u32(2)
  .u32(0)
  .u32(0)
  .u32(4)
  .u32(64)
  .u32(at('inner'))
  .u32(7)
  .u32(128)
  // 9: int (*)(void); 10: run
  .u32(0)
  .u32(info(PROTO))
  .u32(1)
  .u32(at('run'))
  .u32(info(FUNC))
  .u32(9)
  .finish();

test('finds functions and members, through typedefs, arrays and members without a name', () => {
  const btf = new Btf(btfOf({ types: sample, strings }), 'sample');
  expect(btf.findFunction('run')).toBe(10);
  expect(btf.findFunction('task')).toBeUndefined();
  expect(btf.findFunction('none')).toBeUndefined();
  expect(btf.findMember('task', 'pid')).toEqual({ offset: 0, size: 4 });
  expect(btf.findMember('task', 'deep')).toEqual({ offset: 8, size: 4 });
  expect(btf.findMember('task', 'inner')).toEqual({ offset: 16, size: 16 });
  expect(btf.findMember('task', 'inner.list')).toEqual({ offset: 16, size: 12 });
  expect(btf.findMember('task', 'inner.run')).toEqual({ offset: 16, size: 8 });
  expect(btf.findMember('task', 'inner.pid')).toBeUndefined();
  expect(btf.findMember('task', 'pid.deep')).toBeUndefined();
  expect(btf.findMember('none', 'pid')).toBeUndefined();
});

test.each([
  ['another magic', { types: sample, strings, magic: 0x1234 }, 'cannot parse sample: it is not BTF'],
  [
    'another version',
    { types: sample, strings, version: 2 },
    'cannot parse sample: BTF version 2 is not known',
  ],
  [
    'a kind that is not known',
    { types: new ByteWriter().u32(0).u32(info(25)).u32(0).finish(), strings },
    'cannot parse sample: unknown kind 25 of BTF type at offset 0x18',
  ],
  [
    'types cut short',
    { types: sample.subarray(0, sample.length - 2), strings },
    'cannot parse sample: 4 bytes wanted, 2 left at offset 0xe4',
  ],
])('%s is bad data', (_name, parts, message) => {
  expect(() => new Btf(btfOf(parts), 'sample')).toThrow(
    expect.objectContaining({ code: 'bad-data', message }),
  );
});

test('every prefix of BTF is read or refused, never anything else', () => {
  const whole = btfOf({ types: sample, strings });
  for (let length = 0; length < whole.length; length++) {
    const cut = whole.slice(0, length);
    try {
      new Btf(cut, 'cut').findMember('task', 'inner.list');
    } catch (error) {
      expect(error).toMatchObject({ code: 'bad-data' });
    }
  }
});

test("reads the running kernel's", (context) => {
  const missing = existsSync('/sys/kernel/btf/vmlinux') ? undefined : 'no /sys/kernel/btf/vmlinux';
  requireFeature(context, 'kernel BTF', missing);
  const btf = readKernelBtf();
  expect(btf?.findFunction('bpf_iter_task')).toBeGreaterThan(0);
  expect(btf?.findMember('task_struct', 'comm')?.size).toBe(16);
  expect(btf?.findMember('task_struct', 'thread.fsbase')?.size).toBe(8);
  // Fixed for ever: core files and ptrace have the same layout.
  expect(btf?.findMember('pt_regs', 'ip')).toEqual({ offset: 128, size: 8 });
  expect(btf?.findMember('pt_regs', 'sp')).toEqual({ offset: 152, size: 8 });
});
