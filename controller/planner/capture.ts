/** The ranges of one site: what was asked for first, then parameters and locals of its frame, all followed to the depth. */
import { type Absent, isAbsent } from '../../format/absent.js';
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { Limits } from '../../format/limits.js';
import { dwarfRsp } from '../../format/registers/x86-64.js';
import { checkExpression } from '../expression/check.js';
import { isUnlowered, lowerAddress, lowerValue } from '../expression/lower.js';
import { OpWriter } from '../expression/op-writer.js';
import type { SliceNode, Typed } from '../expression/typed.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import { asArray, isCharacter, isPointer, sizeOf } from '../types/layout.js';
import { rootPath } from '../types/path.js';
import { typeName } from '../types/type-name.js';
import { constantLength, type Draft, type Drafts } from './draft.js';
import { Follower, shownSize } from './follow.js';
import type { Site } from './site.js';
import { objectsRead } from './touched.js';

export interface CaptureOptions {
  readonly limits: Limits;
  readonly depth: number;
  readonly stackBytes: number;
}

/** What became of an expression that was to be captured. */
export interface CaptureOutcome {
  readonly expression: string;
  readonly type: string;
  /** Why nothing of it can be collected at this site. */
  readonly absent?: { readonly reason: Absent['absent']; readonly detail: string };
}

/** Below the stack pointer lies the red zone of leaf functions, which the stack window takes along. */
const redZoneBytes = 128;

export class SiteCapture {
  readonly #site: Site;
  readonly #drafts: Drafts;
  readonly #options: CaptureOptions;
  readonly #follower: Follower;

  constructor(site: Site, drafts: Drafts, options: CaptureOptions) {
    this.#site = site;
    this.#drafts = drafts;
    this.#options = options;
    this.#follower = new Follower(drafts, options.limits);
  }

  /** Throws `bad-expression` when it does not parse or check; what a probe cannot collect is an outcome. */
  addExpression(text: string): CaptureOutcome {
    const node = checkExpression(text, this.#site.names);
    const isPlace = node.kind === 'slice' || sizeOf(node.type) !== undefined;
    for (const object of objectsRead(node)) if (object !== node) this.#addRead(object);
    const outcome = { expression: text, type: typeName(node.type) };
    const failed = isPlace ? this.#addResult(node, text) : undefined;
    return failed === undefined ? outcome : { ...outcome, absent: failed };
  }

  /** What the condition reads, so that the snapshot shows why it held. */
  addCondition(node: Typed): void {
    for (const object of objectsRead(node)) this.#addRead(object);
  }

  addVariable(variable: VariableSymbol): void {
    const location = this.#site.variableLocation(variable);
    if (isAbsent(location)) return;
    const type = variable.type();
    const path = rootPath(variable.name);
    const { depth } = this.#options;
    if (location.kind === 'value') {
      this.#follower.addPointer(location.expression, type, path, depth);
      return;
    }
    const address = location.expression;
    this.#addFixed(variable.name, address, shownSize(type, this.#options.limits));
    this.#follower.addObject({ type, path, depth, address });
  }

  finish(): void {
    this.#follower.run();
  }

  /** The value itself, and what it leads to. */
  #addResult(node: Typed, text: string): CaptureOutcome['absent'] {
    const path = rootPath(text);
    const { depth } = this.#options;
    const address = lowerAddress(node, this.#site);
    if (!isUnlowered(address)) {
      const range = this.#addObject(node, text, address);
      this.#follower.addObject({
        type: node.type,
        path,
        depth,
        address,
        ...(range === undefined ? {} : { range }),
      });
      return undefined;
    }
    if (isPointer(node.type)) {
      const value = lowerValue(node, this.#site);
      if (!isUnlowered(value)) {
        this.#follower.addPointer(value, node.type, path, depth);
        return undefined;
      }
      return { reason: value.absent?.absent ?? 'unsupported', detail: value.unsupported };
    }
    // A number that is computed needs only what it is computed from; it fails when that has no location.
    const value = lowerValue(node, this.#site);
    return isUnlowered(value) && value.absent !== undefined
      ? { reason: value.absent.absent, detail: value.unsupported }
      : undefined;
  }

  #addObject(node: Typed, text: string, address: Uint8Array): Draft | undefined {
    if (node.kind === 'slice') return this.#addSlice(node, text, address);
    return this.#addFixed(text, address, shownSize(node.type, this.#options.limits));
  }

  /** A slice whose length is known only at the hit. */
  #addSlice(node: SliceNode, text: string, address: Uint8Array): Draft | undefined {
    const known = shownSize(node.type, this.#options.limits);
    if (known !== undefined) return this.#addFixed(text, address, known);
    const count = lowerValue(node.count, this.#site);
    if (isUnlowered(count)) return undefined;
    const { maxElements, maxStringBytes } = this.#options.limits;
    const element = asArray(node.type)?.element();
    const most = element !== undefined && isCharacter(element) ? maxStringBytes : maxElements * node.size;
    const maxBytes = Math.max(1, Math.min(most, this.#drafts.bytesLeft));
    return this.#drafts.add(undefined, {
      path: text,
      address,
      absolute: address,
      length: new OpWriter().raw(count).constant(BigInt(node.size)).op(DW_OP.DW_OP_mul).finish(),
      maxBytes,
      untilNul: false,
      expectedBytes: maxBytes,
    });
  }

  #addRead(object: Typed): void {
    const address = lowerAddress(object, this.#site);
    if (!isUnlowered(address)) this.#addFixed(object.path, address, sizeOf(object.type));
  }

  #addFixed(path: string, address: Uint8Array, size: number | undefined): Draft | undefined {
    if (size === undefined || size === 0 || this.#inStackWindow(address, size)) return undefined;
    return this.#drafts.add(undefined, {
      path,
      address,
      absolute: address,
      length: constantLength(size),
      maxBytes: size,
      untilNul: false,
      expectedBytes: size,
    });
  }

  /** Whether the stack window is sure to bring it: only offsets from the stack pointer itself say so. */
  #inStackWindow(address: Uint8Array, size: number): boolean {
    const operations = decodeExpression(address, { addressSize: 8, name: 'plan expression' });
    const [first, second] = operations;
    if (first?.code !== DW_OP.DW_OP_breg0 + dwarfRsp || operations.length > 2) return false;
    if (second !== undefined && second.code !== DW_OP.DW_OP_plus_uconst) return false;
    const offset = first.a + (second?.a ?? 0n);
    return (
      offset >= -BigInt(redZoneBytes) &&
      offset + BigInt(size) <= BigInt(this.#options.stackBytes - redZoneBytes)
    );
  }
}
