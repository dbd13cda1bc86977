/** A program of a test, decided as the agent decides a hit. */
import { decide } from '../../../format/decision/decide.js';
import type { Decision } from '../../../format/decision/decision.js';
import { readDecision, writeDecision } from '../../../format/decision/encode.js';
import { verifyDecision } from '../../../format/decision/verify.js';
import type { Absent } from '../../../format/absent.js';
import { ByteCursor, ByteWriter } from '../../../format/bytes.js';
import { dwarfRegisterOffset, userRegistersBytes } from '../../../format/registers/x86-64.js';
import { bias, type Program } from './program.js';

/** Also checks that it passes the agent's examination, and comes through its bytes. */
export function decided(decision: Decision, program: Program): boolean | Absent {
  verifyDecision(decision, { name: 'decision' });
  const out = new ByteWriter();
  writeDecision(out, decision);
  // As it comes over the wire: in the middle of a Buffer.
  const sent = Buffer.concat([Buffer.alloc(3), out.finish()]).subarray(3);
  const cursor = new ByteCursor(sent, 'decision');
  const copy = readDecision(cursor);
  if (!cursor.atEnd) throw new Error('bytes after the decision');
  const registers = new Uint8Array(userRegistersBytes);
  const view = new DataView(registers.buffer);
  for (const [number, value] of program.registers.entries()) {
    const offset = dwarfRegisterOffset(number);
    if (offset !== undefined && value !== undefined) view.setBigUint64(offset, value, true);
  }
  return decide(copy, {
    registers,
    memory: program.memory,
    linkAddress: BigInt.asUintN(64, (program.registers[16] ?? 0n) - bias),
    pid: 100,
    tid: 101,
    comm: 'worker',
  });
}
