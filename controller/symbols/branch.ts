/** Where an x86-64 instruction may go on besides at the next one. Intel SDM volume 2. Pure. */

export type Branch =
  /** `jmp` and `jcc` to an address; `loop` and `jrcxz` are conditional too. */
  | { readonly kind: 'jump' | 'conditional jump'; readonly target: bigint }
  | { readonly kind: 'call'; readonly target?: bigint }
  /** Through a register or memory: a switch, or a call of another function in place of a return. */
  | { readonly kind: 'indirect jump' }
  | { readonly kind: 'return' };

const prefixBytes: ReadonlySet<number> = new Set([
  0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
]);

/** `bytes`: exactly those of the instruction; `next`: the address behind it. Undefined: it always goes on at the next one. */
export function branchOf(bytes: Uint8Array, next: bigint): Branch | undefined {
  let at = 0;
  while (prefixBytes.has(bytes[at] ?? -1)) at++;
  if (((bytes[at] ?? 0) & 0xf0) === 0x40) at++;
  const opcode = bytes[at] ?? -1;
  const near = (size: 1 | 4): bigint => BigInt.asUintN(64, next + displacement(bytes, size));
  if ((opcode >= 0x70 && opcode <= 0x7f) || (opcode >= 0xe0 && opcode <= 0xe3)) {
    return { kind: 'conditional jump', target: near(1) };
  }
  switch (opcode) {
    case 0xeb:
      return { kind: 'jump', target: near(1) };
    case 0xe9:
      return { kind: 'jump', target: near(4) };
    case 0xe8:
      return { kind: 'call', target: near(4) };
    case 0xc2:
    case 0xc3:
    case 0xca:
    case 0xcb:
    case 0xcf:
      return { kind: 'return' };
    case 0xc7:
      // xbegin: where a transaction that fails goes on.
      return bytes[at + 1] === 0xf8 ? { kind: 'conditional jump', target: near(4) } : undefined;
    case 0x0f: {
      const second = bytes[at + 1] ?? 0;
      return second >= 0x80 && second <= 0x8f ? { kind: 'conditional jump', target: near(4) } : undefined;
    }
    case 0xff: {
      const operation = ((bytes[at + 1] ?? 0) >> 3) & 7;
      if (operation === 2 || operation === 3) return { kind: 'call' };
      return operation === 4 || operation === 5 ? { kind: 'indirect jump' } : undefined;
    }
    default:
      return undefined;
  }
}

/** The last bytes of the instruction, signed. */
function displacement(bytes: Uint8Array, size: 1 | 4): bigint {
  let value = 0n;
  for (let i = 0; i < size; i++) value |= BigInt(bytes[bytes.length - size + i] ?? 0) << BigInt(i * 8);
  return BigInt.asIntN(size * 8, value);
}
