/** A little-endian integer of any width. */
export function decodeInteger(bytes: Uint8Array, signed: boolean): bigint {
  let raw = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) raw = (raw << 8n) | BigInt(bytes[i] ?? 0);
  return signed ? BigInt.asIntN(bytes.length * 8, raw) : raw;
}
