/**
 * Where call-batch-code.ts lies in memory: one page, mapped once by the main thread for all threads, for as long as the process runs (a signal handler is
 * among it). Threads hear of it by the environment data of workers.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { StillframeError } from '../../format/error.js';
import { batchInstructions, handlerInstructions } from './call-batch-code.js';
import { mapCode } from './mmap.js';

export interface MachineCode {
  readonly batch: bigint;
  readonly handler: bigint;
  readonly restorer: bigint;
}

const key = 'stillframe: machine code';
const returnBytes = 1;

const bytesOf = (rows: readonly (readonly [string, string])[]): Buffer =>
  Buffer.from(rows.map(([, bytes]) => bytes).join(''), 'hex');

let mapped: MachineCode | undefined;

/** To be called on the main thread before a worker that makes batches starts. Throws `denied` where no memory may become executable. */
export function machineCode(): MachineCode {
  mapped ??= isMainThread ? mapAll() : inherited();
  return mapped;
}

function mapAll(): MachineCode {
  const batch = bytesOf(batchInstructions);
  const address = mapCode(Buffer.concat([batch, bytesOf(handlerInstructions)]));
  const handler = address + BigInt(batch.length);
  const code = { batch: address, handler, restorer: handler + BigInt(returnBytes) };
  setEnvironmentData(key, code);
  return code;
}

function inherited(): MachineCode {
  const code = getEnvironmentData(key);
  if (typeof code !== 'object' || code === null || !('restorer' in code)) {
    throw new StillframeError('internal', 'the main thread has not mapped the code of batches');
  }
  return code as MachineCode;
}
