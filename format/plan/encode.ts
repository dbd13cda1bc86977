/**
 * Plans as bytes: the same plan always gives the same bytes, so that plans can be compared and digested. Our own compact form: magic
 * `SFPL`, version, then fields in the order of `plan.ts`; numbers in ULEB128, texts and expressions with their length before them.
 * Decoding checks the form only; {@link ./verify.ts verifyPlan} checks the sense.
 */
import { ByteCursor, ByteWriter } from '../bytes.js';
import { defaultLimits } from '../limits.js';
import type { Plan, PlanRange, PlanSite } from './plan.js';

const magic = 0x4c504653;
const version = 1;

const siteFlags = { inlined: 1, file: 2, line: 4, condition: 8 } as const;
const rangeFlags = { untilNul: 1, secret: 2 } as const;

export function encodePlan(plan: Plan): Uint8Array {
  const out = new ByteWriter();
  out.u32(magic).uleb(version);
  writeText(out, plan.module.buildId);
  writeText(out, plan.module.path);
  out.uleb(plan.stackBytes).uleb(plan.maxBytes);
  const { location, condition, captures } = plan.request;
  writeText(out, location);
  out.u8(condition === undefined ? 0 : 1);
  if (condition !== undefined) writeText(out, condition);
  out.uleb(captures.length);
  for (const capture of captures) writeText(out, capture);
  out.uleb(plan.sites.length);
  for (const site of plan.sites) writeSite(out, site);
  return out.finish();
}

/** Throws `bad-data` for anything that {@link encodePlan} would not have written. */
export function decodePlan(bytes: Uint8Array): Plan {
  const cursor = new ByteCursor(bytes, 'plan');
  if (cursor.remaining < 4 || cursor.u32() !== magic) throw cursor.error('no plan magic', 0);
  const found = cursor.ulebNumber();
  if (found !== version) throw cursor.error(`version ${found} is not known`, 4);
  const module = { buildId: readText(cursor), path: readText(cursor) };
  const stackBytes = cursor.ulebNumber();
  const maxBytes = cursor.ulebNumber();
  const location = readText(cursor);
  const condition = readFlags(cursor, 1) === 1 ? readText(cursor) : undefined;
  const captures = readList(cursor, () => readText(cursor));
  const request = { location, ...(condition === undefined ? {} : { condition }), captures };
  const sites = readList(cursor, () => readSite(cursor));
  if (!cursor.atEnd) throw cursor.error('bytes after the plan');
  return { version, module, sites, stackBytes, maxBytes, request };
}

function writeSite(out: ByteWriter, site: PlanSite): void {
  out.uleb(site.linkAddress).uleb(site.fileOffset);
  out.u8(
    (site.inlined ? siteFlags.inlined : 0) |
      (site.file === undefined ? 0 : siteFlags.file) |
      (site.line === undefined ? 0 : siteFlags.line) |
      (site.condition === undefined ? 0 : siteFlags.condition),
  );
  writeText(out, site.function);
  if (site.file !== undefined) writeText(out, site.file);
  if (site.line !== undefined) out.uleb(site.line);
  if (site.condition !== undefined) writeBytes(out, site.condition);
  writeRanges(out, site.ranges);
}

function readSite(cursor: ByteCursor): PlanSite {
  const linkAddress = cursor.uleb();
  const fileOffset = cursor.ulebNumber();
  const flags = readFlags(cursor, 15);
  const name = readText(cursor);
  return {
    linkAddress,
    fileOffset,
    function: name,
    ...((flags & siteFlags.file) === 0 ? {} : { file: readText(cursor) }),
    ...((flags & siteFlags.line) === 0 ? {} : { line: cursor.ulebNumber() }),
    inlined: (flags & siteFlags.inlined) !== 0,
    ...((flags & siteFlags.condition) === 0 ? {} : { condition: readBytes(cursor) }),
    ranges: readRanges(cursor, 0),
  };
}

function writeRanges(out: ByteWriter, ranges: readonly PlanRange[]): void {
  out.uleb(ranges.length);
  for (const range of ranges) {
    writeText(out, range.path);
    writeBytes(out, range.address);
    writeBytes(out, range.length);
    out.uleb(range.maxBytes);
    out.u8((range.untilNul ? rangeFlags.untilNul : 0) | (range.secret ? rangeFlags.secret : 0));
    writeRanges(out, range.children);
  }
}

function readRanges(cursor: ByteCursor, depth: number): PlanRange[] {
  if (depth > defaultLimits.maxNesting + 1) throw cursor.error('ranges nested too deep');
  return readList(cursor, () => {
    const path = readText(cursor);
    const address = readBytes(cursor);
    const length = readBytes(cursor);
    const maxBytes = cursor.ulebNumber();
    const flags = readFlags(cursor, 3);
    return {
      path,
      address,
      length,
      maxBytes,
      untilNul: (flags & rangeFlags.untilNul) !== 0,
      secret: (flags & rangeFlags.secret) !== 0,
      children: readRanges(cursor, depth + 1),
    };
  });
}

function readFlags(cursor: ByteCursor, known: number): number {
  const at = cursor.offset;
  const flags = cursor.u8();
  if ((flags & ~known) !== 0) throw cursor.error(`unknown flags 0x${flags.toString(16)}`, at);
  return flags;
}

function readList<T>(cursor: ByteCursor, read: () => T): T[] {
  const at = cursor.offset;
  const count = cursor.ulebNumber();
  // Every entry has at least one byte.
  if (count > cursor.remaining) throw cursor.error(`${count} entries in ${cursor.remaining} bytes`, at);
  return Array.from({ length: count }, read);
}

function writeBytes(out: ByteWriter, bytes: Uint8Array): void {
  out.uleb(bytes.length).raw(bytes);
}

function readBytes(cursor: ByteCursor): Uint8Array {
  return cursor.take(cursor.ulebNumber()).slice();
}

function writeText(out: ByteWriter, text: string): void {
  writeBytes(out, new TextEncoder().encode(text));
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readText(cursor: ByteCursor): string {
  const at = cursor.offset;
  const bytes = cursor.take(cursor.ulebNumber());
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw cursor.error('text that is not UTF-8', at);
  }
}
