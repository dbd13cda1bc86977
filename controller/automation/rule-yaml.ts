/**
 * A YAML text as plain values, with the place of each. The text is whatever an editor, or somebody who should not, left there: its size,
 * nesting, aliases and nodes are bounded, before the parser sees what could exhaust it.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  type ParsedNode,
  Parser,
  parseDocument,
  type Range,
  type Scalar,
} from 'yaml';

export const maxFileBytes: number = 128 * 1024;
const maxNesting = 24;
const maxAliases = 100;
/** With what aliases repeat. */
const maxNodes = 20_000;

export interface YamlText {
  /** Maps have no prototype. */
  readonly value: unknown;
  readonly errors: readonly YamlError[];
  readonly places: Places;
}

export interface YamlError {
  readonly place: Place;
  readonly path: Path;
  readonly message: string;
}

export interface Place {
  /** From 1, both. */
  readonly line: number;
  readonly column: number;
}

export type Path = readonly (string | number)[];

export interface Places {
  /** Of the value, or where there is none of the nearest thing around it. */
  of(path: Path): Place;
  /** Of the key that leads to the value. */
  ofKey(path: Path): Place;
  /** Of a character of a text, where the file has it as it is; else of its beginning. */
  within(path: Path, position: number): Place;
}

export function parseYaml(text: string): YamlText {
  const places = new NodePlaces(text);
  const tooDeep = findNesting(text);
  if (tooDeep !== undefined) {
    const message = `nested deeper than ${maxNesting} levels`;
    return { value: undefined, errors: [{ place: places.at(tooDeep), path: [], message }], places };
  }
  const document = parseDocument(text, { prettyErrors: false });
  const errors: YamlError[] = [...document.errors, ...document.warnings].map((error) => ({
    place: places.at(error.pos[0]),
    path: [],
    message: yamlMessage(error.code, error.message),
  }));
  if (errors.length > 0) return { value: undefined, errors, places };
  const reader = new NodeReader(document, places);
  const value = document.contents === null ? undefined : reader.read(document.contents, []);
  return { value, errors: reader.errors, places };
}

/**
 * Offset of the first token that is nested too deep. NB: what makes nodes of tokens recurses, and a stack that runs out within a regular
 * expression ends the process. The tokens themselves are made without recursion.
 */
function findNesting(text: string): number | undefined {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    // Only what is open on the parser's stack is of interest here, not what it yields.
    for (const _ of parser.next(lexeme));
    if (parser.stack.length > maxNesting) return parser.offset;
  }
  return undefined;
}

const ownWords: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'tabs cannot indent: use spaces',
  DUPLICATE_KEY: 'this key stands here twice',
  MULTIPLE_DOCS: 'a rules file is one document: put all rules under one "rules"',
};

function yamlMessage(code: string, message: string): string {
  const [first = '', ...others] = message;
  return ownWords[code] ?? first.toLowerCase() + others.join('');
}

/** Nodes to plain values, within bounds; remembers the place of each. */
class NodeReader {
  readonly errors: YamlError[] = [];
  readonly #document: Document.Parsed;
  readonly #places: NodePlaces;
  #nodes = 0;
  #aliases = 0;
  #full = false;

  constructor(document: Document.Parsed, places: NodePlaces) {
    this.#document = document;
    this.#places = places;
  }

  read(node: ParsedNode, path: Path): unknown {
    if (this.#full) return undefined;
    if (++this.#nodes > maxNodes || path.length > maxNesting) {
      return this.#stop(
        node,
        path,
        `more than ${maxNodes} values, or nested deeper than ${maxNesting} levels`,
      );
    }
    this.#places.note(path, node);
    if (isAlias(node)) {
      if (++this.#aliases > maxAliases) return this.#stop(node, path, `more than ${maxAliases} aliases`);
      const anchored = node.resolve(this.#document) as ParsedNode | undefined;
      if (anchored !== undefined) return this.read(anchored, path);
      this.#fail(node, path, `there is no anchor "${node.source}" above`);
      return undefined;
    }
    if (isScalar(node)) return node.value;
    if (isSeq(node)) return node.items.map((item, i) => this.read(item, [...path, i]));
    if (!isMap(node)) return undefined;
    const map = Object.create(null) as Record<string, unknown>;
    for (const { key, value } of node.items) {
      if (!isScalar(key)) {
        this.#fail(key, path, 'a key must be a word; a value that begins with {{ must stand in quotes');
        continue;
      }
      const name = String(key.value);
      const inner = [...path, name];
      this.#places.noteKey(inner, key);
      map[name] = value === null ? null : this.read(value, inner);
    }
    return map;
  }

  #fail(node: { readonly range?: Range | null | undefined }, path: Path, message: string): void {
    this.errors.push({ place: this.#places.at(node.range?.[0] ?? 0), path, message });
  }

  #stop(node: ParsedNode, path: Path, message: string): undefined {
    this.#full = true;
    this.#fail(node, path, message);
  }
}

class NodePlaces implements Places {
  readonly #text: string;
  readonly #nodes = new Map<string, ParsedNode>();
  readonly #keys = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  at(offset: number): Place {
    const before = this.#text.slice(0, offset);
    return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
  }

  note(path: Path, node: ParsedNode): void {
    // The alias is where the reader looks, not the anchor.
    const name = JSON.stringify(path);
    if (!this.#nodes.has(name)) this.#nodes.set(name, node);
  }

  noteKey(path: Path, key: Scalar.Parsed): void {
    this.#keys.set(JSON.stringify(path), key.range[0]);
  }

  of(path: Path): Place {
    for (let length = path.length; length >= 0; length--) {
      const part = path.slice(0, length);
      const node = this.#nodes.get(JSON.stringify(part));
      if (node !== undefined) return this.at(node.range[0]);
      const key = this.#keys.get(JSON.stringify(part));
      if (key !== undefined) return this.at(key);
    }
    return { line: 1, column: 1 };
  }

  ofKey(path: Path): Place {
    const key = this.#keys.get(JSON.stringify(path));
    return key === undefined ? this.of(path) : this.at(key);
  }

  within(path: Path, position: number): Place {
    // A single text may stand for a list of one.
    const node = this.#nodes.get(JSON.stringify(path)) ?? this.#nodes.get(JSON.stringify(path.slice(0, -1)));
    if (node === undefined || !isScalar(node) || typeof node.value !== 'string') return this.of(path);
    const [start, end] = node.range;
    const quote = node.type === 'QUOTE_SINGLE' || node.type === 'QUOTE_DOUBLE' ? 1 : 0;
    const verbatim = this.#text.slice(start + quote, end - quote) === node.value;
    return this.at(verbatim ? start + quote + position : start);
  }
}
