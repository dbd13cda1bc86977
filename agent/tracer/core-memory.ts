/**
 * Which memory of a copied process goes into its core: what is resident and is the process's own. Pages of files that it has not changed are
 * left to the files, reserved address space has nothing. Where bytes are limited: stacks, then data and heap, then the rest.
 */
import type { CapturedThread, Mapping, MissingRange } from '../../format/capture.js';
import type { Provenance } from '../../format/memory.js';
import { readUserRegister } from '../../format/registers/x86-64.js';
import type { PageKind, PageRun } from '../linux/pagemap.js';

export interface CorePiece {
  readonly address: bigint;
  readonly length: number;
  readonly permissions: string;
  readonly provenance: Provenance;
  readonly path: string;
}

export interface CoreMemory {
  /** Ascending, disjoint. */
  readonly pieces: readonly CorePiece[];
  readonly missing: readonly MissingRange[];
}

export interface CoreMemoryRequest {
  readonly mappings: readonly Mapping[];
  readonly threads: readonly CapturedThread[];
  readonly maxBytes: number;
  /** Parts that debuggers need first: the link map, what a stack share is for. */
  readonly wanted: readonly { readonly address: bigint; readonly length: number }[];
  /** Of the copy, or of the process for shared memory, whose pages a copy maps only when it uses them. */
  readonly runs: (mapping: Mapping, kind: PageKind, joined: number) => readonly PageRun[];
}

/** Pages that are not there read as zeros in anonymous memory: holes up to this are part of a piece, and cost no space in a sparse file. */
const maxHole = 16 * 1024 * 1024;
const maxStackBytes = 1024 * 1024;
const redZone = 128n;
const pageBytes = 4096n;
/** A program header each. */
const maxPieces = 60_000;

interface Candidate extends CorePiece {
  readonly rank: number;
}

export function chooseMemory(request: CoreMemoryRequest): CoreMemory {
  const candidates = request.mappings.flatMap((mapping) => candidatesOf(mapping, request));
  const firsts = [...stacksOf(request), ...request.wanted.map(pagesOf)];
  const split = candidates.flatMap((candidate) => splitBy(candidate, firsts));
  const byRank = split.toSorted((a, b) => a.rank - b.rank);
  const chosen: CorePiece[] = [];
  let left = request.maxBytes;
  let leftOut = 0;
  for (const { rank: _, ...piece } of byRank) {
    const length = Math.min(piece.length, left - (left % Number(pageBytes)));
    if (length > 0 && chosen.length < maxPieces) {
      chosen.push({ ...piece, length });
      left -= length;
      leftOut += piece.length - length;
    } else {
      leftOut += piece.length;
    }
  }
  const missing: MissingRange[] =
    leftOut === 0
      ? []
      : [
          {
            path: 'memory',
            length: leftOut,
            reason: 'limit',
            detail: `${request.maxBytes} bytes are the most for this core: stacks come first, then data and heap`,
          },
        ];
  return { pieces: joinNeighbours(chosen), missing };
}

function candidatesOf(mapping: Mapping, request: CoreMemoryRequest): Candidate[] {
  const { permissions, path, start, end } = mapping;
  if (!permissions.startsWith('r') || path === '[vsyscall]' || path.startsWith('[vvar')) return [];
  const isShared = permissions[3] === 's';
  const isFile = path.startsWith('/') && !(isShared && isMemoryOnly(mapping));
  if (isFile && isShared) return [];
  const isWritable = permissions[1] === 'w';
  const name = path === '' ? 'anonymous' : path;
  const whole: PageRun = { address: start, length: Number(end - start) };
  const runs =
    path === '[vdso]' || (isFile && isWritable)
      ? [whole]
      : isFile
        ? request.runs(mapping, 'own', 0)
        : request.runs(mapping, 'all', maxHole);
  const rank = isFile || path === '[heap]' || path === '[vdso]' ? 1 : isWritable ? 2 : 3;
  return runs.map(({ address, length }) => ({
    address,
    length,
    permissions,
    provenance: isShared ? 'racy' : 'stopped',
    path: name,
    rank,
  }));
}

/** Shared memory without a file that could be looked into later. */
function isMemoryOnly({ path, deleted }: Mapping): boolean {
  return deleted || /^\/(?:memfd:|dev\/zero|SYSV|dev\/shm\/)/.test(path);
}

interface Span {
  readonly start: bigint;
  readonly end: bigint;
}

function stacksOf({ threads, mappings }: CoreMemoryRequest): Span[] {
  return threads.flatMap(({ registers }) => {
    if (registers === undefined) return [];
    const sp = readUserRegister(registers, 'rsp') - redZone;
    const mapping = mappings.find(({ start, end }) => sp >= start && sp < end);
    if (mapping === undefined) return [];
    return [pagesOf({ address: sp, length: Math.min(maxStackBytes, Number(mapping.end - sp)) })];
  });
}

function pagesOf({ address, length }: { readonly address: bigint; readonly length: number }): Span {
  const start = address - (address % pageBytes);
  return { start, end: ((address + BigInt(length) + pageBytes - 1n) / pageBytes) * pageBytes };
}

/** What lies in one of the spans comes first. */
function splitBy(candidate: Candidate, spans: readonly Span[]): Candidate[] {
  const end = candidate.address + BigInt(candidate.length);
  const inside = spans.filter((span) => span.start < end && span.end > candidate.address);
  if (inside.length === 0) return [candidate];
  const cuts = new Set<bigint>([candidate.address, end]);
  for (const span of inside) {
    if (span.start > candidate.address) cuts.add(span.start);
    if (span.end < end) cuts.add(span.end);
  }
  const points = [...cuts].toSorted((a, b) => (a < b ? -1 : 1));
  return points.slice(0, -1).map((address, i) => {
    const length = Number((points[i + 1] ?? end) - address);
    const isFirst = inside.some((span) => span.start <= address && address < span.end);
    return { ...candidate, address, length, rank: isFirst ? 0 : candidate.rank };
  });
}

function joinNeighbours(pieces: readonly CorePiece[]): CorePiece[] {
  const joined: CorePiece[] = [];
  for (const piece of pieces.toSorted((a, b) => (a.address < b.address ? -1 : 1))) {
    const last = joined.at(-1);
    const fits =
      last !== undefined &&
      last.address + BigInt(last.length) === piece.address &&
      last.permissions === piece.permissions &&
      last.provenance === piece.provenance &&
      last.path === piece.path;
    if (fits) joined[joined.length - 1] = { ...last, length: last.length + piece.length };
    else joined.push(piece);
  }
  return joined;
}
