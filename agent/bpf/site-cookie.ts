/** A program that serves many sites of a plan knows which one it is at by the cookie of its place: the site's number above its link address. */
import type { Assembler } from './assembler.js';
import { bpfHelpers } from './helper-calls.js';

/** The link address of the site of a program, or that it is in the cookie. */
export type SiteAddress = bigint | 'cookie';

export const cookieSiteBits = 16;
const addressBits = 64 - cookieSiteBits;

/** Undefined where they do not fit. */
export function siteCookie(siteIndex: number, linkAddress: bigint): bigint | undefined {
  if (siteIndex >= 1 << cookieSiteBits || linkAddress >= 1n << BigInt(addressBits)) return undefined;
  return (BigInt(siteIndex) << BigInt(addressBits)) | linkAddress;
}

/** Emits r0 = the cookie; r1 to r5 are lost. */
export function loadCookie(asm: Assembler): void {
  asm.mov(1, 6).call(bpfHelpers.bpf_get_attach_cookie);
}

/** Emits r0 = the number of the site. */
export function loadSiteIndex(asm: Assembler): void {
  loadCookie(asm);
  asm.aluImm('rsh', 0, addressBits);
}
