/** Builds `.eh_frame` and `.debug_frame` entries from literals, and ELF files that hold them. */
import { ByteWriter } from '../../format/bytes.js';
import type { ElfFile } from '../../format/elf/file.js';
import { bufferSource, openElf } from '../../format/elf/open.js';
import { writeElf } from './elf-writer.js';

export const textAddress = 0x1000n;
export const frameAddress = 0x4000n;

export interface CieSpec {
  readonly version?: number;
  readonly augmentation?: string;
  /** Contents of the augmentation data; its length is written before it when the augmentation begins with `z`. */
  readonly data?: readonly number[];
  readonly codeAlignment?: number;
  readonly dataAlignment?: number;
  readonly returnAddressRegister?: number;
  readonly instructions?: readonly number[];
}

/** CFA is rsp + 8, the return address stands at CFA - 8: as every function of x86-64 begins. */
export const usualInstructions: readonly number[] = [0x0c, 7, 8, 0x80 + 16, 1];

/** A section under construction; entries are padded to eight bytes. */
export class FrameSectionWriter {
  readonly #out = new ByteWriter();
  readonly #kind: 'eh_frame' | 'debug_frame';
  readonly #is64: boolean;

  constructor(kind: 'eh_frame' | 'debug_frame' = 'eh_frame', is64 = false) {
    this.#kind = kind;
    this.#is64 = is64;
  }

  get length(): number {
    return this.#out.length;
  }

  cie(spec: CieSpec = {}): number {
    const { version = 1, augmentation = '', data = [] } = spec;
    const body = new ByteWriter();
    body.u8(version).cstring(augmentation);
    if (version === 4) body.u8(8).u8(0);
    body.uleb(spec.codeAlignment ?? 1).sleb(spec.dataAlignment ?? -8);
    if (version === 1) body.u8(spec.returnAddressRegister ?? 16);
    else body.uleb(spec.returnAddressRegister ?? 16);
    if (augmentation.startsWith('z')) body.uleb(data.length);
    body.raw(Uint8Array.from(data)).raw(Uint8Array.from(spec.instructions ?? usualInstructions));
    const id = this.#kind === 'eh_frame' ? 0n : this.#is64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
    return this.#entry(() => id, body.finish());
  }

  /** `location` writes address and size as the CIE's encoding wants them, and augmentation data; it is told where it stands. */
  fde(
    cie: number,
    location: (out: ByteWriter, at: number) => void,
    instructions: readonly number[] = [],
  ): number {
    const head = this.#is64 ? 12 : 4;
    const bodyAt = this.#out.length + head + this.#idBytes;
    const body = new ByteWriter();
    location(body, bodyAt);
    body.raw(Uint8Array.from(instructions));
    const idAt = this.#out.length + head;
    return this.#entry(() => BigInt(this.#kind === 'eh_frame' ? idAt - cie : cie), body.finish());
  }

  raw(bytes: readonly number[]): this {
    this.#out.raw(Uint8Array.from(bytes));
    return this;
  }

  get #idBytes(): number {
    return this.#is64 && this.#kind === 'debug_frame' ? 8 : 4;
  }

  #entry(id: () => bigint, body: Uint8Array): number {
    const at = this.#out.length;
    const unpadded = this.#idBytes + body.length;
    const length = unpadded + ((8 - (unpadded % 8)) % 8);
    if (this.#is64) this.#out.u32(0xffff_ffff).u64(BigInt(length));
    else this.#out.u32(length);
    if (this.#idBytes === 8) this.#out.u64(id());
    else this.#out.u32(Number(id()));
    this.#out.raw(body).zeros(length - unpadded);
    return at;
  }

  finish(): Uint8Array {
    return this.#out.finish();
  }
}

/** A usual FDE body: absolute address and size of eight bytes. */
export const absolute =
  (start: bigint, size: bigint) =>
  (out: ByteWriter): void => {
    out.u64(start).u64(size);
  };

export interface FrameElfSpec {
  readonly ehFrame?: Uint8Array;
  readonly debugFrame?: Uint8Array;
  /** `.eh_frame_hdr`, at 0x3000. */
  readonly header?: Uint8Array;
  /** Leave section headers away. */
  readonly noSections?: boolean;
  /** `e_machine`; x86-64 unless told. */
  readonly machine?: number;
}

export const headerAddress = 0x3000n;

export function frameElf(spec: FrameElfSpec): ElfFile {
  const { ehFrame, debugFrame, header } = spec;
  const segments = [
    { flags: 5, virtualAddress: textAddress, bytes: new Uint8Array(0x1000) },
    ...(ehFrame === undefined ? [] : [{ flags: 4, virtualAddress: frameAddress, bytes: ehFrame }]),
    ...(header === undefined ? [] : [{ flags: 4, virtualAddress: headerAddress, bytes: header }]),
    ...(header === undefined ? [] : [{ type: 0x6474_e550, virtualAddress: headerAddress, bytes: header }]),
  ];
  const sections = [
    ...(ehFrame === undefined ? [] : [{ name: '.eh_frame', address: frameAddress, bytes: ehFrame }]),
    ...(debugFrame === undefined ? [] : [{ name: '.debug_frame', bytes: debugFrame }]),
  ];
  const machine = spec.machine ?? 62;
  const bytes = writeElf({ machine, segments, ...(spec.noSections === true ? {} : { sections }) });
  return openElf(bufferSource('test.elf', bytes));
}
