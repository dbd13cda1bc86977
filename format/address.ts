/**
 * Kinds of numbers that must never be mixed up, as types. Crossing from one kind to another is a named function.
 */
declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** An address in a live process (or in its core). */
export type RuntimeAddress = Branded<bigint, 'RuntimeAddress'>;
/** An address as the linker wrote it into the file. */
export type LinkAddress = Branded<bigint, 'LinkAddress'>;
/** A byte offset into a file; uprobes are placed by it. */
export type FileOffset = Branded<number, 'FileOffset'>;
/** A byte offset into the section of that name, without the dot. */
export type SectionOffset<S extends string> = Branded<number, S>;
/** What a module was moved by when it was loaded: runtime address = link address + bias, modulo 2^64. */
export type LoadBias = Branded<bigint, 'LoadBias'>;

export const runtimeAddress = (value: bigint): RuntimeAddress => BigInt.asUintN(64, value) as RuntimeAddress;
export const linkAddress = (value: bigint): LinkAddress => BigInt.asUintN(64, value) as LinkAddress;
export const fileOffset = (value: number): FileOffset => value as FileOffset;
export const loadBias = (value: bigint): LoadBias => BigInt.asUintN(64, value) as LoadBias;
export const sectionOffset = <S extends string>(value: number): SectionOffset<S> => value as SectionOffset<S>;

export const toRuntime = (address: LinkAddress, bias: LoadBias): RuntimeAddress =>
  runtimeAddress(address + bias);
export const toLink = (address: RuntimeAddress, bias: LoadBias): LinkAddress => linkAddress(address - bias);

/** `0x401136`. */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
