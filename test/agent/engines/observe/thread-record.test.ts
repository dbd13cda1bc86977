/** Records of the task iterator from literals: what is believed, and what is not. */
import { describe, expect, test } from 'vitest';
import { threadRecord, threadRecordBytes } from '../../../../agent/bpf/compile-observe.js';
import { readThreadRecord, stateLetter } from '../../../../agent/engines/observe/thread-record.js';
import { readUserRegister } from '../../../../format/registers/x86-64.js';

interface Fields {
  readonly onCpuBefore?: number;
  readonly onCpuAfter?: number;
  readonly switchesBefore?: bigint;
  readonly switchesAfter?: bigint;
  readonly exitState?: number;
  readonly flags?: number;
  readonly fs?: number;
  readonly stackLength?: number;
}

const stackBytes = 64;

function recordOf(fields: Fields = {}): Buffer {
  const bytes = Buffer.alloc(threadRecordBytes(stackBytes), 0xee);
  bytes.fill(0, 0, threadRecord.stack);
  bytes.writeUInt32LE(77, threadRecord.tid);
  bytes.writeUInt32LE(70, threadRecord.pid);
  bytes.writeUInt32LE(1, threadRecord.state);
  bytes.write('worker-7\0junk', threadRecord.comm, 'latin1');
  bytes.writeUInt32LE(fields.onCpuBefore ?? 0, threadRecord.onCpuBefore);
  bytes.writeUInt32LE(fields.onCpuAfter ?? 0, threadRecord.onCpuAfter);
  bytes.writeBigUInt64LE(fields.switchesBefore ?? 9n, threadRecord.switchesBefore);
  bytes.writeBigUInt64LE(fields.switchesAfter ?? 9n, threadRecord.switchesAfter);
  bytes.writeUInt32LE(fields.exitState ?? 0, threadRecord.exitState);
  bytes.writeUInt32LE(fields.flags ?? 0, threadRecord.flags);
  bytes.writeUInt16LE(fields.fs ?? 0, threadRecord.fs);
  bytes.writeBigUInt64LE(0x7f00_1111_2222n, threadRecord.fsBase);
  bytes.writeUInt32LE(fields.stackLength ?? 32, threadRecord.stackLength);
  bytes.writeBigUInt64LE(0x1234n, threadRecord.registers);
  return bytes;
}

test('a thread that did not run is believed', () => {
  const thread = readThreadRecord(recordOf(), stackBytes);
  expect(thread).toMatchObject({
    tid: 77,
    comm: 'worker-7',
    state: 'S',
    verdict: 'still',
    unknownRegisters: [],
  });
  expect(readUserRegister(thread.registers, 'r15')).toBe(0x1234n);
  expect(readUserRegister(thread.registers, 'fs_base')).toBe(0x7f00_1111_2222n);
  expect(thread.stack.length).toBe(32);
});

test.each([
  ['was on a CPU when looked at first', { onCpuBefore: 1 }, 'running'],
  ['came onto a CPU', { onCpuAfter: 1 }, 'ran'],
  ['ran and stopped again', { switchesAfter: 10n }, 'ran'],
  ['is a zombie', { exitState: 0x20 }, 'none'],
  ['is a worker of io_uring', { flags: 0x10 }, 'none'],
  ['is a worker of the kernel for a process', { flags: 0x4000 }, 'none'],
  ['is a thread of the kernel', { flags: 0x20_0000 }, 'none'],
])('a thread that %s', (_name, fields, verdict) => {
  expect(readThreadRecord(recordOf(fields), stackBytes).verdict).toBe(verdict);
});

test('with a selector the base is not known', () => {
  const thread = readThreadRecord(recordOf({ fs: 0x33 }), stackBytes);
  expect(thread.unknownRegisters).toEqual(['fs_base']);
  expect(readUserRegister(thread.registers, 'fs_base')).toBe(0n);
  expect(readUserRegister(thread.registers, 'fs')).toBe(0x33n);
});

test('the last page of a window may reach past it, which is ignored', () => {
  expect(readThreadRecord(recordOf({ stackLength: 4000 }), stackBytes).stack.length).toBe(stackBytes);
});

test('a record cut short is bad data', () => {
  expect(() => readThreadRecord(recordOf().subarray(0, 100), stackBytes)).toThrow(
    expect.objectContaining({ code: 'bad-data', message: "a thread's record has only 100 bytes" }),
  );
});

describe('the state is the letter of /proc', () => {
  test.each([
    [0, 0, 'R'],
    [1, 0, 'S'],
    [2, 0, 'D'],
    [4, 0, 'T'],
    [8, 0, 't'],
    [0, 0x10, 'X'],
    [0, 0x20, 'Z'],
    [0x40, 0, 'P'],
    [0x402, 0, 'I'],
    // TASK_KILLABLE, and a freezable sleep.
    [0x102, 0, 'D'],
    [0x2001, 0, 'S'],
  ])('%i and %i', (state, exitState, letter) => {
    expect(stateLetter(state, exitState)).toBe(letter);
  });
});
