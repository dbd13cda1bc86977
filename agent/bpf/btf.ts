/**
 * BTF, the kernel's own type information (Documentation/bpf/btf.rst): which id a kernel function has, where a member of a
 * kernel structure lies. Pure but for {@link readKernelBtf}; reads only the kinds that it is asked about and skips the rest.
 */
import { readFileSync } from 'node:fs';
import { ByteCursor, decodeUtf8 } from '../../format/bytes.js';
import { StillframeError, badData } from '../../format/error.js';

const BTF_MAGIC = 0xeb9f;
const kinds = {
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;
type Kind = keyof typeof kinds;

/** Bytes that follow a type's twelve: fixed, and for each of its `vlen` entries. */
const tails: Readonly<Record<Kind, readonly [fixed: number, entry: number]>> = {
  INT: [4, 0],
  PTR: [0, 0],
  ARRAY: [12, 0],
  STRUCT: [0, 12],
  UNION: [0, 12],
  ENUM: [0, 8],
  FWD: [0, 0],
  TYPEDEF: [0, 0],
  VOLATILE: [0, 0],
  CONST: [0, 0],
  RESTRICT: [0, 0],
  FUNC: [0, 0],
  FUNC_PROTO: [0, 8],
  VAR: [4, 0],
  DATASEC: [0, 12],
  FLOAT: [0, 0],
  DECL_TAG: [4, 0],
  TYPE_TAG: [0, 0],
  ENUM64: [0, 12],
};
const kindNames: ReadonlyMap<number, Kind> = new Map(
  (Object.keys(kinds) as Kind[]).map((name) => [kinds[name], name]),
);
const maxTypes = 2_000_000;
const maxNesting = 32;

export interface BtfMember {
  /** In bytes from the beginning of the outermost structure. */
  readonly offset: number;
  /** Of the member's type, in bytes. */
  readonly size: number;
}

interface BtfType {
  readonly kind: Kind;
  readonly nameOffset: number;
  readonly vlen: number;
  readonly bitfields: boolean;
  /** Size of a structure or integer, type of a pointer or qualifier. */
  readonly sizeOrType: number;
  /** Offset of what follows the type's twelve bytes. */
  readonly tail: number;
}

export class Btf {
  readonly #name: string;
  readonly #strings: Buffer;
  /** Where each type begins; type 0 is void. */
  readonly #offsets: number[] = [0];
  readonly #view: DataView;

  constructor(bytes: Uint8Array, name: string) {
    this.#name = name;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const head = new ByteCursor(bytes, name);
    if (head.u16() !== BTF_MAGIC) throw badData(`cannot parse ${name}: it is not BTF`);
    const version = head.u8();
    if (version !== 1) throw badData(`cannot parse ${name}: BTF version ${version} is not known`);
    head.skip(1);
    const headBytes = head.u32();
    const [typesAt, typesBytes, stringsAt, stringsBytes] = [head.u32(), head.u32(), head.u32(), head.u32()];
    const strings = new ByteCursor(bytes, name, Math.min(headBytes + stringsAt, bytes.length)).take(
      stringsBytes,
    );
    this.#strings = Buffer.from(strings.buffer, strings.byteOffset, strings.byteLength);
    this.#index(new ByteCursor(bytes, name, Math.min(headBytes + typesAt, bytes.length)).sub(typesBytes));
  }

  #index(types: ByteCursor): void {
    while (!types.atEnd) {
      const at = types.offset;
      if (this.#offsets.length > maxTypes)
        throw new StillframeError('limit', `${this.#name} has more than ${maxTypes} types`);
      types.skip(4);
      const info = types.u32();
      types.skip(4);
      const kind = kindNames.get((info >>> 24) & 0x1f);
      if (kind === undefined) throw types.error(`unknown kind ${(info >>> 24) & 0x1f} of BTF type`, at);
      const [fixed, entry] = tails[kind];
      types.skip(fixed + entry * (info & 0xffff));
      this.#offsets.push(at);
    }
  }

  #type(id: number): BtfType {
    const at = this.#offsets[id];
    if (id === 0 || at === undefined) throw badData(`cannot parse ${this.#name}: there is no type ${id}`);
    const info = this.#view.getUint32(at + 4, true);
    return {
      kind: kindNames.get((info >>> 24) & 0x1f) ?? 'FWD',
      nameOffset: this.#view.getUint32(at, true),
      vlen: info & 0xffff,
      bitfields: info >>> 31 === 1,
      sizeOrType: this.#view.getUint32(at + 8, true),
      tail: at + 12,
    };
  }

  /** Where a name stands in the string section: names are there once. */
  #nameOffset(name: string): number | undefined {
    const at = this.#strings.indexOf(`\0${name}\0`, 0, 'latin1');
    return at < 0 ? undefined : at + 1;
  }

  #find(kind: Kind, name: string): number | undefined {
    const nameOffset = this.#nameOffset(name);
    if (nameOffset === undefined) return undefined;
    for (let id = 1; id < this.#offsets.length; id++) {
      const at = this.#offsets[id] ?? 0;
      if (this.#view.getUint32(at, true) !== nameOffset) continue;
      if (((this.#view.getUint32(at + 4, true) >>> 24) & 0x1f) === kinds[kind]) return id;
    }
    return undefined;
  }

  /** The id of a kernel function; undefined where this kernel has none of that name. */
  findFunction(name: string): number | undefined {
    return this.#find('FUNC', name);
  }

  /** Where `path` (`thread.fsbase`) lies in a structure, through members without a name too; undefined when it is not there. */
  findMember(struct: string, path: string): BtfMember | undefined {
    let id = this.#find('STRUCT', struct);
    let offset = 0;
    for (const name of path.split('.')) {
      if (id === undefined) return undefined;
      const nameOffset = this.#nameOffset(name);
      const found = nameOffset === undefined ? undefined : this.#memberOf(id, nameOffset, 0);
      if (found === undefined) return undefined;
      offset += found.offset;
      id = found.type;
    }
    return id === undefined ? undefined : { offset, size: this.#sizeOf(id, 0) };
  }

  #memberOf(id: number, nameOffset: number, depth: number): { offset: number; type: number } | undefined {
    if (depth > maxNesting) throw badData(`cannot parse ${this.#name}: type ${id} is nested too deep`);
    const struct = this.#type(this.#unqualified(id));
    if (struct.kind !== 'STRUCT' && struct.kind !== 'UNION') return undefined;
    for (let i = 0; i < struct.vlen; i++) {
      const at = struct.tail + i * 12;
      const memberName = this.#view.getUint32(at, true);
      const type = this.#view.getUint32(at + 4, true);
      const bits = this.#view.getUint32(at + 8, true);
      const bitSize = struct.bitfields ? bits >>> 24 : 0;
      const offset = (struct.bitfields ? bits & 0xff_ffff : bits) / 8;
      if (memberName === nameOffset && bitSize === 0) return { offset, type };
      if (this.#stringAt(memberName) !== '') continue;
      const inner = this.#memberOf(type, nameOffset, depth + 1);
      if (inner !== undefined) return { offset: offset + inner.offset, type: inner.type };
    }
    return undefined;
  }

  #stringAt(offset: number): string {
    const end = this.#strings.indexOf(0, offset);
    return decodeUtf8(this.#strings.subarray(offset, end < 0 ? undefined : end));
  }

  #unqualified(id: number): number {
    let at = id;
    for (let i = 0; i < maxNesting; i++) {
      const type = this.#type(at);
      if (!['TYPEDEF', 'VOLATILE', 'CONST', 'RESTRICT', 'TYPE_TAG'].includes(type.kind)) return at;
      at = type.sizeOrType;
    }
    throw badData(`cannot parse ${this.#name}: type ${id} is qualified too often`);
  }

  #sizeOf(id: number, depth: number): number {
    if (depth > maxNesting) throw badData(`cannot parse ${this.#name}: type ${id} is nested too deep`);
    const type = this.#type(this.#unqualified(id));
    if (type.kind === 'PTR') return 8;
    if (type.kind !== 'ARRAY') return type.sizeOrType;
    const element = this.#view.getUint32(type.tail, true);
    return this.#sizeOf(element, depth + 1) * this.#view.getUint32(type.tail + 8, true);
  }
}

const kernelBtfPath = '/sys/kernel/btf/vmlinux';
let kernelBtf: Btf | undefined;

/** The running kernel's BTF, parsed once; undefined where the kernel has none (`CONFIG_DEBUG_INFO_BTF`). */
export function readKernelBtf(): Btf | undefined {
  if (kernelBtf !== undefined) return kernelBtf;
  let bytes: Buffer;
  try {
    bytes = readFileSync(kernelBtfPath);
  } catch {
    return undefined;
  }
  kernelBtf = new Btf(bytes, `"${kernelBtfPath}"`);
  return kernelBtf;
}
