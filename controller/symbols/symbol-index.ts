/**
 * The index of one file's debug information, as it lies in the cache: tables of rows of 32-bit numbers, sorted by their first. It says where
 * to look and nothing else: names are hashes, and what is found is read from the file itself and compared. Read by blocks, each with a
 * checksum, so that a question costs a few of them; every bound is checked. docs/operating.md says where it is kept.
 */
import type { ByteSource } from '../../format/byte-source.js';
import { crc32 } from '../../format/compress/checksum.js';
import { badData } from '../../format/error.js';

/** Rows have so many numbers; the first is what they are found by. */
export const indexTables = {
  /** Hash of a name, its kind (see {@link ./file-names.ts KIND}, and 5 for enumerators), the DIE; of an enumerator, its enumeration. */
  names: 3,
  /** A DIE, and one whose DW_AT_specification or DW_AT_abstract_origin it is. */
  links: 2,
  /** A unit, and a subprogram of it that has code, in the order written. */
  subprograms: 2,
  /** An abstract instance, a copy that was inlined, the subprogram that it stands in. */
  inlined: 3,
  /** Hash of the last component of a path, and a unit whose line table names it. */
  files: 2,
} as const;

export type IndexTable = keyof typeof indexTables;
export const tableNames = Object.keys(indexTables) as IndexTable[];

/** Which file an index is of. */
export interface IndexIdentity {
  /** Empty where there is none; then `file` says which file it was. */
  readonly buildId: string;
  /** Device, inode and time of change; empty where there is a build id. */
  readonly file: string;
  readonly size: number;
  /** Of `.debug_info`, `.debug_types`, `.debug_abbrev`, `.debug_str` and `.debug_line`. */
  readonly sections: readonly number[];
}

/** Changed with whatever goes into an index, or how it is written. */
export const indexVersion = 1;
const magic = 'SFSYMIDX';
/** Magic, version, bytes of the description, its checksum, reserved. */
const prefixBytes = 24;
const blockBytes = 16 * 1024;
const maxDescriptionBytes = 8 * 1024 * 1024;

interface Description {
  readonly identity: IndexIdentity;
  /** Of all that follows the description. */
  readonly bytes: number;
  readonly rows: Readonly<Record<IndexTable, number>>;
  /** A checksum for each block of {@link blockBytes}. */
  readonly blocks: readonly number[];
}

/** Pieces that follow each other in the file. `tables`: rows one after another, sorted. */
export function encodeIndex(
  identity: IndexIdentity,
  tables: Readonly<Record<IndexTable, Uint32Array>>,
): Uint8Array[] {
  const parts = tableNames.map((name) => tables[name]);
  const bytes = Buffer.concat(
    parts.map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength)),
  );
  const blocks: number[] = [];
  for (let at = 0; at < bytes.length; at += blockBytes)
    blocks.push(crc32(bytes.subarray(at, at + blockBytes)));
  const rows = Object.fromEntries(tableNames.map((name) => [name, tables[name].length / indexTables[name]]));
  const description = Buffer.from(JSON.stringify({ identity, bytes: bytes.length, rows, blocks }), 'utf8');
  const prefix = Buffer.alloc(prefixBytes);
  prefix.write(magic, 'latin1');
  prefix.writeUInt32LE(indexVersion, 8);
  prefix.writeUInt32LE(description.length, 12);
  prefix.writeUInt32LE(crc32(description), 16);
  return [prefix, description, bytes];
}

/** Throws `bad-data`, with the reason, for what is not a sound index of that file. */
export function openSymbolIndex(source: ByteSource, identity: IndexIdentity): SymbolIndex {
  const description = readDescription(source);
  const found = description.identity;
  const same =
    found.buildId === identity.buildId &&
    found.file === identity.file &&
    found.size === identity.size &&
    found.sections.join() === identity.sections.join();
  if (!same) throw damaged(source, 'it is of another file');
  return new SymbolIndex(source, description);
}

function readDescription(source: ByteSource): Description {
  if (source.size < prefixBytes) throw damaged(source, `it has ${source.size} bytes`);
  const prefix = Buffer.from(source.read(0, prefixBytes));
  if (prefix.toString('latin1', 0, 8) !== magic) throw damaged(source, 'it is no index');
  const version = prefix.readUInt32LE(8);
  if (version !== indexVersion)
    throw damaged(source, `it has version ${version}, and ${indexVersion} is meant`);
  const length = prefix.readUInt32LE(12);
  if (length > maxDescriptionBytes || prefixBytes + length > source.size) {
    throw damaged(source, `it has ${source.size} bytes, and its description ${length}`);
  }
  const text = source.read(prefixBytes, length);
  if (crc32(text) !== prefix.readUInt32LE(16))
    throw damaged(source, 'the checksum of its description is wrong');
  // NB: what has the right checksum was written by this version; its shape is looked at all the same.
  const parsed = parseJson(Buffer.from(text).toString('utf8'));
  if (!isDescription(parsed)) throw damaged(source, 'its description is of another shape');
  const rowBytes = tableNames.reduce((sum, name) => sum + parsed.rows[name] * indexTables[name] * 4, 0);
  if (rowBytes !== parsed.bytes || parsed.blocks.length !== Math.ceil(parsed.bytes / blockBytes)) {
    throw damaged(source, 'its tables do not fit its description');
  }
  if (prefixBytes + length + parsed.bytes !== source.size) {
    throw damaged(source, `it has ${source.size} bytes instead of ${prefixBytes + length + parsed.bytes}`);
  }
  return parsed;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isDescription(value: unknown): value is Description {
  if (typeof value !== 'object' || value === null) return false;
  const { identity, bytes, rows, blocks } = value as Partial<Record<string, unknown>>;
  const isCount = (count: unknown): boolean => Number.isSafeInteger(count) && Number(count) >= 0;
  const { buildId, file, size, sections } = (identity ?? {}) as Partial<Record<string, unknown>>;
  return (
    typeof buildId === 'string' &&
    typeof file === 'string' &&
    isCount(size) &&
    Array.isArray(sections) &&
    isCount(bytes) &&
    typeof rows === 'object' &&
    tableNames.every((name) => isCount((rows as Partial<Record<string, unknown>> | null)?.[name])) &&
    Array.isArray(blocks) &&
    blocks.every(isCount)
  );
}

function damaged(source: ByteSource, reason: string): Error {
  return badData(`cannot use the symbol index "${source.name}": ${reason}`, {
    detail: { file: source.name },
  });
}

interface Rows {
  /** Of the first row, in words from the beginning of all tables. */
  readonly start: number;
  readonly count: number;
  readonly words: number;
}

export class SymbolIndex {
  readonly #source: ByteSource;
  readonly #start: number;
  readonly #bytes: number;
  readonly #checksums: readonly number[];
  readonly #blocks = new Map<number, Uint32Array>();
  readonly #tables: ReadonlyMap<IndexTable, Rows>;

  constructor(source: ByteSource, description: Description) {
    this.#source = source;
    this.#start = source.size - description.bytes;
    this.#bytes = description.bytes;
    this.#checksums = description.blocks;
    const tables = new Map<IndexTable, Rows>();
    let start = 0;
    for (const name of tableNames) {
      const count = description.rows[name];
      tables.set(name, { start, count, words: indexTables[name] });
      start += count * indexTables[name];
    }
    this.#tables = tables;
  }

  /** Rows of a table whose first number is `key`, in order. Throws `bad-data` when a block that it needs is damaged. */
  find(table: IndexTable, key: number): (readonly number[])[] {
    const rows = this.#rowsOf(table);
    let low = 0;
    let high = rows.count;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#word(rows.start + middle * rows.words) < key) low = middle + 1;
      else high = middle;
    }
    const found: number[][] = [];
    for (; low < rows.count && this.#word(rows.start + low * rows.words) === key; low++) {
      found.push(this.#row(rows, low));
    }
    return found;
  }

  *all(table: IndexTable): Generator<readonly number[]> {
    const rows = this.#rowsOf(table);
    for (let i = 0; i < rows.count; i++) yield this.#row(rows, i);
  }

  #rowsOf(table: IndexTable): Rows {
    const rows = this.#tables.get(table);
    if (rows === undefined) throw new RangeError(`no table "${table}"`);
    return rows;
  }

  #row({ start, words }: Rows, index: number): number[] {
    return Array.from({ length: words }, (_, i) => this.#word(start + index * words + i));
  }

  #word(at: number): number {
    const block = Math.floor((at * 4) / blockBytes);
    const words = this.#blocks.get(block) ?? this.#readBlock(block);
    const word = words[at - (block * blockBytes) / 4];
    if (word === undefined) throw damaged(this.#source, `it has no word ${at}`);
    return word;
  }

  #readBlock(block: number): Uint32Array {
    const offset = block * blockBytes;
    const length = Math.min(blockBytes, this.#bytes - offset);
    if (!(length > 0)) throw damaged(this.#source, `it has no block ${block}`);
    // A copy: what was read may stand at any place in memory.
    const bytes = Uint8Array.from(this.#source.read(this.#start + offset, length));
    if (crc32(bytes) !== this.#checksums[block])
      throw damaged(this.#source, `the checksum of block ${block} is wrong`);
    const words = new Uint32Array(bytes.buffer, 0, length / 4);
    this.#blocks.set(block, words);
    return words;
  }
}

/** FNV-1a of the characters of a name as UTF-8. */
export function hashOf(name: string): number {
  const bytes = Buffer.from(name, 'utf8');
  return hashBytes(bytes, 0, bytes.length);
}

export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  return hash >>> 0;
}
