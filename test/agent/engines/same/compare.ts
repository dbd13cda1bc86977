/** What captures of different engines have in common, as text that tells where they differ; and the same of the core files that are made of them. */
import { createHash } from 'node:crypto';
import type { Capture, CapturedThread, MissingRange } from '../../../../format/capture.js';
import type { CapturedProcess } from '../../../../agent/tracer/client.js';
import { type CoreFile, openCore } from '../../../../format/core/read.js';
import { writeCore } from '../../../../format/core/write.js';
import { PT } from '../../../../format/elf/constants.js';
import { readUserRegister, userRegisterNames } from '../../../../format/registers/x86-64.js';
import { bufferSource } from '../../../../format/elf/open.js';
import { heading } from '../../../support/captures.js';

/** Registers that both know, by name; a thread without registers says why. */
export function commonRegisters(
  thread: CapturedThread | undefined,
  other: CapturedThread | undefined,
): string {
  const { registers } = thread ?? {};
  if (registers === undefined) return `none: ${thread?.absent?.detail}`;
  const unknown = new Set([...(thread?.unknownRegisters ?? []), ...(other?.unknownRegisters ?? [])]);
  return userRegisterNames
    .filter((name) => !unknown.has(name))
    .map((name) => `${name}=${readUserRegister(registers, name).toString(16)}`)
    .join(' ');
}

export const textsOfRanges = ({ ranges }: Pick<Capture, 'ranges'>): string[] =>
  ranges.map(
    ({ path, address, bytes, provenance }) =>
      `${path} at ${address.toString(16)}, ${provenance}: ${Buffer.from(bytes).toString('hex')}`,
  );

/**
 * NB: the kernel says of a range only that it cannot be read, an engine that reads outside of it also where. That is the one thing
 * which may differ: a byte of the range, in the words of {@link MissingRange.detail}.
 */
export function textOfMissing({ path, address, length, reason, detail }: MissingRange): string {
  const place = /^memory at 0x([0-9a-f]+) cannot be read$/.exec(detail)?.[1];
  const start = address ?? -1n;
  const isInside =
    place !== undefined && BigInt(`0x${place}`) - start >= 0n && BigInt(`0x${place}`) - start < (length ?? 0);
  const told = isInside ? 'memory there cannot be read' : detail;
  return `${path} at ${address?.toString(16)} of ${length}: ${reason}: ${told}`;
}

export const textsOfMissing = ({ missing }: Pick<Capture, 'missing'>): string[] => missing.map(textOfMissing);

/** All of a hit that engines must agree on. */
export interface Agreed {
  readonly ranges: readonly string[];
  readonly missing: readonly string[];
}

export const agreedOf = (capture: Pick<Capture, 'ranges' | 'missing'>): Agreed => ({
  ranges: textsOfRanges(capture),
  missing: textsOfMissing(capture),
});

export interface WrittenCore {
  readonly core: CoreFile;
  /** Of all its memory: address, size and digest of each segment. */
  readonly segments: readonly string[];
  /** What its note says of ranges, those that are there and those that are not. */
  readonly told: readonly string[];
}

/** The core file of a capture, read back. The process as a whole is left out: it is no matter of engines. */
export function coreOf({ capture, facts }: CapturedProcess): WrittenCore {
  const content = { heading, capture, facts: { ...facts, ranges: [] } };
  const file = Buffer.concat(writeCore(content));
  const core = openCore(bufferSource('the core', file));
  const segments = core.elf.segments
    .filter(({ type }) => type === PT.PT_LOAD)
    .map(({ virtualAddress, fileSize, offset }) => {
      const digest = createHash('sha256')
        .update(file.subarray(offset, offset + fileSize))
        .digest('hex');
      return `${virtualAddress.toString(16)} ${fileSize} ${digest}`;
    });
  const told = [
    ...(core.note?.ranges ?? []).map(
      ({ path, address, length, provenance }) => `${path} ${address} ${length} ${provenance}`,
    ),
    ...(core.note?.missing ?? []).map(textOfMissing),
  ];
  return { core, segments, told };
}
