/** Strings: `String`, `&str`, `Box<str>`, `Rc<str>`, and those of the system: `OsString`, `PathBuf`, `CString`. UTF-8 or not: units are bytes. */
import { sizeOf, stripType } from '../layout.js';
import { binary, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { CompositeType, Type } from '../type.js';
import type { StringView, View } from '../view.js';
import { partAt, targetOf, wordOf } from './layout.js';
import { shortPath } from './names.js';
import { vecParts } from './vec.js';

/** `String`, `OsString`, `PathBuf`: a `Vec<u8>` behind names. */
export function stringView(type: CompositeType): StringView | undefined {
  const found = vecInside(type);
  const parts = found === undefined ? undefined : vecParts(found.type, found.offset);
  if (parts === undefined || sizeOf(parts.element) !== 1) return undefined;
  const { data, length, capacity, element } = parts;
  return { kind: 'string', data, length, unit: element, ...(capacity === undefined ? {} : { capacity }) };
}

const maxWrappers = 8;

/** The `Vec` that a string is made of, behind structs that hold nothing else. */
function vecInside(type: Type): { readonly type: Type; readonly offset: number } | undefined {
  let at = { type, offset: 0 };
  for (let i = 0; i < maxWrappers; i++) {
    const plain = stripType(at.type);
    if (plain.kind !== 'struct') return undefined;
    if (shortPath(plain.name ?? '') === 'alloc::Vec') return at;
    const filled = plain.members().filter((member) => sizeOf(member.type()) !== 0);
    const [member] = filled;
    if (member === undefined) return undefined;
    at = { type: member.type(), offset: at.offset + member.byteOffset };
  }
  return undefined;
}

/** A wide pointer to what is only bytes: `&str`, `&Path`, `&OsStr`, `&CStr`. */
export function textBehind(pointee: string, type: CompositeType): StringView | undefined {
  const data = wordOf(partAt(type, 'data_ptr'));
  const length = wordOf(partAt(type, 'length'));
  const target = targetOf(partAt(type, 'data_ptr'));
  if (data === undefined || length === undefined || target === undefined) return undefined;
  const unit = byteOf(target);
  if (unit === undefined) return undefined;
  if (/^str(?:$|[,>])/.test(pointee)) return { kind: 'string', data, length, unit };
  if (/^std::(?:\w+::)*(?:Path|OsStr)(?:$|[,>])/.test(pointee)) return { kind: 'string', data, length, unit };
  if (!/^core::(?:\w+::)*CStr(?:$|[,>])/.test(pointee)) return undefined;
  return { kind: 'string', data, length: withoutEnd(length), unit };
}

/** The byte that a `str`, or a struct around one, is made of. */
export function byteOf(type: Type): Type | undefined {
  let at = type;
  for (let i = 0; i < maxWrappers; i++) {
    const plain = stripType(at);
    if (plain.kind === 'base') return plain.byteSize === 1 ? at : undefined;
    if (plain.kind !== 'struct') return undefined;
    const [member, ...others] = plain.members();
    if (member === undefined || others.length > 0 || member.byteOffset !== 0) return undefined;
    at = member.type();
  }
  return undefined;
}

/** `CString`: its length counts the NUL. */
export function cStringView(type: CompositeType): View | undefined {
  const boxed = partAt(type, 'inner');
  const data = wordOf(partAt(type, 'inner', 'data_ptr'));
  const length = wordOf(partAt(type, 'inner', 'length'));
  const unit = boxed === undefined ? undefined : targetOf(partAt(boxed.type, 'data_ptr'));
  if (data === undefined || length === undefined || unit === undefined) return undefined;
  return { kind: 'string', data, length: withoutEnd(length), unit };
}

const withoutEnd = (length: Recipe): Recipe => binary(length, '-', constant(1));
