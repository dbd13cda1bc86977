/** The header of a line number program in `.debug_line` (DWARF5 6.2.4): directories, files, and how opcodes count. */
import type { ByteCursor } from '../../format/bytes.js';
import { DW_LNCT } from './constants.js';
import { type FormValue, readForm } from './form.js';
import { type DebugSections, type Encoding, readInitialLength, readOffset } from './sections.js';
import { stringAt, textOf } from './string.js';

export interface LineHeader extends Encoding {
  readonly offset: number;
  /** Of the first opcode, and of the byte after the last one. */
  readonly program: number;
  readonly end: number;
  readonly minimumInstructionLength: number;
  readonly maximumOperations: number;
  readonly defaultIsStatement: boolean;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** Numbers of LEB128 operands by opcode; [0] is unused. */
  readonly operandCounts: readonly number[];
  readonly directories: readonly string[];
  /** As written; see {@link LineHeader.file}: version 5 counts from 0, those before from 1. */
  readonly files: LineFile[];
}

export interface LineFile {
  readonly name: string;
  readonly directory: number;
  /** Lower-case hex. */
  readonly md5?: string;
}

/** The file that a row or a DW_AT_decl_file means by a number; undefined for 0 before version 5 ("no file") and for numbers past the end. */
export function lineFile(header: LineHeader, index: number): LineFile | undefined {
  return header.files[header.version >= 5 ? index : index - 1];
}

/** The path of a file as the compiler wrote it: its directory, relative ones below the compilation directory, then its name. */
export function lineFilePath(header: LineHeader, file: LineFile, compilationDirectory: string): string {
  const { name, directory } = file;
  if (name.startsWith('/')) return normalizePath(name);
  // Version 5 writes the compilation directory as entry 0; before, 0 means it without writing it.
  const folder = header.version >= 5 || directory > 0 ? directoryAt(header, directory) : '';
  // Type units do not say where they were compiled; since version 5 the first directory does.
  // NB: entry 0 is that directory itself, which may be a relative path: not below itself once more.
  const isItself = header.version >= 5 && directory === 0;
  const base = isItself ? '' : compilationDirectory || (header.version >= 5 ? directoryAt(header, 0) : '');
  return normalizePath([folder.startsWith('/') ? '' : base, folder, name].filter(Boolean).join('/'));
}

function directoryAt(header: LineHeader, index: number): string {
  return header.directories[header.version >= 5 ? index : index - 1] ?? '';
}

/** `/a/./b/../c` and `/a//c` are `/a/c`; what is relative stays so. */
export function normalizePath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '..' || !path.startsWith('/')) parts.push(part);
  }
  return (path.startsWith('/') ? '/' : '') + parts.join('/');
}

/** What a unit knows that versions before 5 do not repeat in the header. */
export function parseLineHeader(sections: DebugSections, offset: number, addressSize: number): LineHeader {
  const cursor = sections.at('debug_line', offset);
  const { length, offsetSize } = readInitialLength(cursor);
  const end = cursor.offset + length;
  const version = cursor.u16();
  if (version < 2 || version > 5) {
    throw cursor.error(`line table of version ${version}, which is not one of 2 to 5`, offset);
  }
  let size = addressSize;
  if (version >= 5) {
    size = cursor.u8();
    if (size !== 4 && size !== 8) throw cursor.error(`addresses of ${size} bytes`, offset);
    cursor.skip(1); // segment selector size
  }
  const headerLength = readOffset(cursor, offsetSize);
  const program = cursor.offset + headerLength;
  if (program > end) throw cursor.error(`header of ${headerLength} bytes is longer than its unit`, offset);
  const minimumInstructionLength = cursor.u8();
  const maximumOperations = version >= 4 ? cursor.u8() : 1;
  const defaultIsStatement = cursor.u8() !== 0;
  const lineBase = cursor.i8();
  const lineRange = cursor.u8();
  const opcodeBase = cursor.u8();
  if (maximumOperations === 0) throw cursor.error('maximum_operations_per_instruction is 0', offset);
  if (opcodeBase === 0) throw cursor.error('opcode_base is 0', offset);
  const operandCounts = [0];
  for (let i = 1; i < opcodeBase; i++) operandCounts.push(cursor.u8());
  const encoding = { version, offsetSize, addressSize: size };
  const { directories, files } =
    version >= 5 ? readModernEntries(sections, cursor, encoding) : readOldEntries(cursor);
  if (cursor.offset > program) throw cursor.error('tables reach past the header', offset);
  return {
    ...encoding,
    offset,
    program,
    end,
    minimumInstructionLength,
    maximumOperations,
    defaultIsStatement,
    lineBase,
    lineRange,
    opcodeBase,
    operandCounts,
    directories,
    files,
  };
}

function readOldEntries(cursor: ByteCursor): { directories: string[]; files: LineFile[] } {
  const directories: string[] = [];
  for (let name = cursor.cstring(); name !== ''; name = cursor.cstring()) directories.push(name);
  const files: LineFile[] = [];
  for (let name = cursor.cstring(); name !== ''; name = cursor.cstring()) {
    files.push(readOldFile(cursor, name));
  }
  return { directories, files };
}

/** What follows the name in a file entry of versions 2 to 4, and in DW_LNE_define_file. */
export function readOldFile(cursor: ByteCursor, name: string): LineFile {
  const directory = cursor.ulebNumber();
  cursor.uleb(); // time
  cursor.uleb(); // size
  return { name, directory };
}

function readModernEntries(
  sections: DebugSections,
  cursor: ByteCursor,
  encoding: Encoding,
): { directories: string[]; files: LineFile[] } {
  const directories = readEntryTable(sections, cursor, encoding).map((file) => file.name);
  return { directories, files: readEntryTable(sections, cursor, encoding) };
}

function readEntryTable(sections: DebugSections, cursor: ByteCursor, encoding: Encoding): LineFile[] {
  const formats: { content: number; form: number }[] = [];
  for (let count = cursor.u8(); count > 0; count--) {
    formats.push({ content: cursor.ulebNumber(), form: cursor.ulebNumber() });
  }
  const at = cursor.offset;
  const count = cursor.ulebNumber();
  const entries: LineFile[] = [];
  for (let i = 0; i < count; i++) {
    const before = cursor.offset;
    let name = '';
    let directory = 0;
    let md5: string | undefined;
    for (const { content, form } of formats) {
      const value = readForm(cursor, form, undefined, { ...encoding, offset: 0 });
      if (content === DW_LNCT.path) name = pathText(sections, value, cursor);
      else if (content === DW_LNCT.directory_index && value.kind === 'constant') {
        directory = Number(value.value);
      } else if (content === DW_LNCT.MD5 && value.kind === 'block') {
        md5 = Buffer.from(value.bytes).toString('hex');
      }
    }
    // Entries that take no bytes would let a count of 2^60 run forever.
    if (cursor.offset === before) throw cursor.error(`${count} entries of no bytes`, at);
    entries.push({ name, directory, ...(md5 === undefined ? {} : { md5 }) });
  }
  return entries;
}

function pathText(sections: DebugSections, value: FormValue, cursor: ByteCursor): string {
  if (value.kind !== 'string') throw cursor.error(`path of kind ${value.kind} in a line table`);
  if (value.section === 'debug_info') {
    // DW_FORM_string: the characters stand in the section that is being read.
    return textOf(cursor.bytes, value.offset, cursor.bytes.indexOf(0, value.offset));
  }
  return stringAt(sections, value.section, value.offset);
}
