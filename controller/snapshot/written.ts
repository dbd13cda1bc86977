/** What a watch saw: the value before and after the write, and where the instruction is that wrote. */
import { isAbsent } from '../../format/absent.js';
import { hex, runtimeAddress, toLink } from '../../format/address.js';
import { ByteWriter } from '../../format/bytes.js';
import type { WrittenMemory } from '../../format/capture.js';
import { StillframeError } from '../../format/error.js';
import { sizeOf } from '../types/layout.js';
import { renderValue } from '../types/render.js';
import type { Type } from '../types/type.js';
import type { ValueDocument } from '../types/value-document.js';
import type { LocationDocument, WrittenDocument } from './document.js';
import { evaluateText, renderContext } from './evaluate.js';
import type { LogicalFrame } from './frames.js';
import type { Snapshot, SnapshotThread } from './open.js';

export function showWritten(
  snapshot: Snapshot,
  thread: SnapshotThread,
  written: WrittenMemory,
  frame: LogicalFrame | undefined,
): WrittenDocument {
  const { expression, address, bytes, before, after } = written;
  const type = typeOf(snapshot, thread, written);
  const by = frame === undefined ? undefined : writerOf(snapshot, frame);
  return {
    expression,
    address: hex(address),
    bytes,
    before: valueOf(snapshot, before, bytes, type),
    after: valueOf(snapshot, after, bytes, type),
    changed: before !== after,
    ...(by === undefined ? {} : { by }),
  };
}

function typeOf(
  snapshot: Snapshot,
  thread: SnapshotThread,
  { expression, bytes }: WrittenMemory,
): Type | undefined {
  try {
    const { type } = evaluateText(expression, snapshot, thread, undefined);
    return sizeOf(type) === bytes ? type : undefined;
  } catch (error) {
    if (error instanceof StillframeError) return undefined;
    throw error;
  }
}

/** By its type where that is known; else as an integer. */
function valueOf(snapshot: Snapshot, value: bigint, bytes: number, type: Type | undefined): ValueDocument {
  if (type === undefined) return { type: `${bytes * 8} bits`, kind: 'int', value: `${value}` };
  const all = new ByteWriter().u64(value).finish().subarray(0, bytes);
  return renderValue(
    { type, place: { kind: 'bytes', bytes: all, provenance: 'at-hit' } },
    renderContext(snapshot, undefined),
  );
}

/**
 * The program counter of a watch is behind the instruction that wrote: no instruction that writes goes elsewhere. Only those that repeat themselves are told
 * of while the program counter is still at them.
 */
function writerOf(snapshot: Snapshot, { pc, frame }: LogicalFrame): LocationDocument | undefined {
  const { module } = frame;
  const symbols = module?.symbols();
  if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
  const at = repeatsAt(snapshot, pc) && frame.registers.value(rcx) !== 0n ? pc : pc - 1n;
  const link = toLink(runtimeAddress(at), module.bias);
  const [innermost] = symbols.sourceStack(link);
  const name = innermost?.function ?? symbols.symbolAt(link)?.name;
  if (name === undefined) return undefined;
  return {
    function: name,
    ...(innermost?.file === undefined ? {} : { file: innermost.file }),
    ...(innermost?.line === undefined ? {} : { line: innermost.line }),
  };
}

/** DWARF's number of it. */
const rcx = 2;
const maxInstructionBytes = 15;

/** Whether a string instruction with a repeat prefix stands there (`rep stos`, `rep movs`). */
function repeatsAt(snapshot: Snapshot, pc: bigint): boolean {
  const read = snapshot.memory.read(pc, maxInstructionBytes);
  if (isAbsent(read)) return false;
  let repeats = false;
  for (const byte of read.bytes) {
    if (byte === 0xf3 || byte === 0xf2) repeats = true;
    else if (byte >= 0xa4 && byte <= 0xab) return repeats && (byte <= 0xa5 || byte >= 0xaa);
    // Other prefixes: sizes, segments, REX.
    else if (!(byte === 0x66 || byte === 0x67 || byte === 0x64 || byte === 0x65 || (byte & 0xf0) === 0x40))
      return false;
  }
  return false;
}
