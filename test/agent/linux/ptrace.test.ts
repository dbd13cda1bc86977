import { expect, test } from 'vitest';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { realtimeNs } from '../../../agent/linux/clock.js';
import { readCapabilities } from '../../../agent/linux/capabilities.js';
import { Arena } from '../../../agent/linux/mmap.js';
import {
  HW_BREAKPOINT_X,
  PERF_TYPE_BREAKPOINT,
  PerfEvent,
  encodePerfEventAttribute,
} from '../../../agent/linux/perf-event.js';
import {
  NT_PRSTATUS,
  NT_X86_XSTATE,
  WALL,
  WNOTHREAD,
  detach,
  getRegisterSet,
  interrupt,
  seize,
  wait,
} from '../../../agent/linux/ptrace.js';
import { readStatus, readThreadSyscall } from '../../../agent/linux/proc.js';
import { SYS_read, untilCalling } from '../../support/at-rest.js';
import { compileC } from '../../support/compile-c.js';
import { startProgram } from '../../support/running-program.js';

const waiting = compileC(
  '#include <stdio.h>\nint main(void) { puts("up"); fflush(stdout); getchar(); return 7; }',
  {
    name: 'waiting',
  },
);

test('seizes, interrupts, reads registers and lets go', async () => {
  await using target = startProgram(waiting);
  await target.nextLine();
  await untilCalling(target.pid, SYS_read);
  using arena = new Arena(8192 + 16);
  const buffer = {
    address: arena.address + 16n,
    bytes: arena.bytes.subarray(16),
    iovecAddress: arena.address,
    iovec: arena.bytes.subarray(0, 16),
  };
  const where = readThreadSyscall(target.pid, target.pid);
  seize(target.pid, 0);
  expect(readStatus(target.pid).tracerPid).toBe(process.pid);
  expect(interrupt(target.pid)).toBeUndefined();
  expect(wait(target.pid, WALL | WNOTHREAD, Buffer.alloc(4))).toEqual({
    kind: 'stopped',
    tid: target.pid,
    signal: 5,
    event: 128,
  });
  expect(getRegisterSet(target.pid, NT_PRSTATUS, buffer)).toBe(216);
  const registers = Uint8Array.from(buffer.bytes.subarray(0, 216));
  expect(where).toMatchObject({
    sp: readUserRegister(registers, 'rsp'),
    pc: readUserRegister(registers, 'rip'),
  });
  expect(getRegisterSet(target.pid, NT_X86_XSTATE, buffer)).toBeGreaterThanOrEqual(576);
  expect(detach(target.pid, 0)).toBeUndefined();
  expect(readStatus(target.pid).tracerPid).toBe(0);
  expect(detach(target.pid, 0)).toBe('ESRCH');
  target.child.stdin.end('x');
  expect(await target.ended).toBe(7);
});

test('says who cannot be attached to', () => {
  expect(() => seize(0x7fffffff, 0)).toThrow(
    'cannot attach to thread 2147483647: ptrace(PTRACE_SEIZE): ESRCH',
  );
});

test('encodes a breakpoint event where the kernel expects it, and opens it', async () => {
  const attribute = encodePerfEventAttribute({
    type: PERF_TYPE_BREAKPOINT,
    config: 0n,
    config1: 0x401136n,
    config2: 8n,
    samplePeriod: 1n,
    wakeupEvents: 1,
    breakpointType: HW_BREAKPOINT_X,
    flags: { disabled: true, excludeKernel: true, excludeHypervisor: true },
  });
  expect(attribute.toString('hex')).toBe(
    '0500000070000000' +
      '0000000000000000' +
      '0100000000000000' +
      '00'.repeat(16) +
      '6100000000000000' +
      '0100000004000000' +
      '3611400000000000' +
      '0800000000000000' +
      '00'.repeat(40),
  );
  await using target = startProgram(waiting);
  await target.nextLine();
  using event = new PerfEvent(attribute, { pid: target.pid, cpu: -1 }, 'cannot set a breakpoint');
  event.enable();
  expect(event.count()).toBe(0n);
  event.disable();
});

test('an arena keeps its bytes through garbage collection', () => {
  using arena = new Arena(1 << 20);
  arena.bytes.fill(0x5a);
  const churn: Buffer[] = [];
  for (let i = 0; i < 200; i++) churn.push(Buffer.alloc(1 << 16, i));
  churn.length = 0;
  expect(arena.bytes.every((byte) => byte === 0x5a)).toBe(true);
});

test('the clock is the wall clock', () => {
  expect(Math.abs(Number(realtimeNs() / 1_000_000n) - Date.now())).toBeLessThan(1000);
});

test('names the capabilities of this process', () => {
  if (process.getuid?.() === 0) expect(readCapabilities()).toContain('CAP_SYS_PTRACE');
});
