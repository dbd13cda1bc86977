/**
 * Takes out of a capture what the plan marks as secret, before it is written anywhere. Bytes are cut out of every range
 * that covers them, the stack window included, and noted as missing: a mask of zeros would be a false value.
 */
import type { Capture, CapturedRange, MissingRange, WrittenMemory } from '../../format/capture.js';
import { flattenRanges, type Plan } from '../../format/plan/plan.js';

interface Interval {
  readonly start: bigint;
  readonly end: bigint;
  readonly path: string;
}

export function redact(capture: Capture, plan: Plan): Capture {
  const site = capture.site === undefined ? undefined : plan.sites[capture.site];
  const secretPaths = new Set(
    flattenRanges(site?.ranges ?? [])
      .filter(({ range }) => range.secret)
      .map(({ range }) => range.path),
  );
  if (secretPaths.size === 0) return capture;
  const secrets: Interval[] = capture.ranges
    .filter((range) => secretPaths.has(range.path) && range.bytes.length > 0)
    .map((range) => ({
      start: range.address,
      end: range.address + BigInt(range.bytes.length),
      path: range.path,
    }))
    .toSorted((a, b) => (a.start < b.start ? -1 : 1));
  const missing: MissingRange[] = secrets.map(({ start, end, path }) => ({
    path,
    address: start,
    length: Number(end - start),
    reason: 'redacted',
    detail: 'its name or type is on the list of secrets of this host',
  }));
  const { written, ...rest } = capture;
  return {
    ...rest,
    // That something was written there is known; what it was would be the secret itself.
    ...(written === undefined || isCovered(written, secrets) ? {} : { written }),
    ranges: capture.ranges.flatMap((range) => cut(range, secrets)),
    missing: [...capture.missing, ...missing],
  };
}

function isCovered({ address, bytes }: WrittenMemory, secrets: readonly Interval[]): boolean {
  return secrets.some(({ start, end }) => address < end && address + BigInt(bytes) > start);
}

/** What is left of a range, in address order. */
function cut(range: CapturedRange, secrets: readonly Interval[]): CapturedRange[] {
  const end = range.address + BigInt(range.bytes.length);
  const pieces: CapturedRange[] = [];
  let at = range.address;
  const keep = (to: bigint): void => {
    if (to <= at) return;
    const bytes = range.bytes.slice(Number(at - range.address), Number(to - range.address));
    pieces.push({ ...range, address: at, bytes });
  };
  for (const secret of secrets) {
    if (secret.end <= at || secret.start >= end) continue;
    keep(secret.start);
    at = secret.end;
  }
  keep(end);
  return pieces;
}
