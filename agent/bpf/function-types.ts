/**
 * The types that the kernel wants of a program with functions which helpers call (BTF, Documentation/bpf/btf.rst). All it asks is that they are functions, and static. Pure.
 */
import { ByteWriter } from '../../format/bytes.js';

const BTF_MAGIC = 0xeb9f;
const BTF_KIND_INT = 1;
const BTF_KIND_FUNC = 12;
const BTF_KIND_FUNC_PROTO = 13;
const BTF_INT_SIGNED = 1;
const headerBytes = 24;

/** Of the function in {@link functionTypes}. */
export const functionTypeId = 3;

/** `int`, a function that returns it, and such a one with static linkage. */
export function functionTypes(): Uint8Array {
  const names = ['', 'int', 'run'];
  const strings = new TextEncoder().encode(`${names.join('\0')}\0`);
  const [intName, runName] = [1, 5];
  const types = new ByteWriter();
  types
    .u32(intName)
    .u32(BTF_KIND_INT << 24)
    .u32(4)
    .u32((BTF_INT_SIGNED << 24) | 32);
  types
    .u32(0)
    .u32(BTF_KIND_FUNC_PROTO << 24)
    .u32(1);
  types
    .u32(runName)
    .u32(BTF_KIND_FUNC << 24)
    .u32(2);
  const typeBytes = types.finish();
  return new ByteWriter()
    .u16(BTF_MAGIC)
    .u8(1)
    .u8(0)
    .u32(headerBytes)
    .u32(0)
    .u32(typeBytes.length)
    .u32(typeBytes.length)
    .u32(strings.length)
    .raw(typeBytes)
    .raw(strings)
    .finish();
}
