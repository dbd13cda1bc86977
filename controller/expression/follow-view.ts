/**
 * Where an object with a view leads: the characters of a string, the elements of a sequence, what a smart pointer owns, the nodes of a list. As recipes over the
 * object, so that whoever follows makes of them what its ranges need: from an address, from a register, from a range.
 */
import type { Limits } from '../../format/limits.js';
import { sizeOf, stripType } from '../types/layout.js';
import { heldPath, memberOf, type ValuePath } from '../types/path.js';
import { binary, choose, constant, type Recipe } from '../../format/recipe/recipe.js';
import type { Type } from '../types/type.js';
import type { Block, Fact, SequenceView, StringView, VariantView, View } from '../types/view.js';
import { viewOf } from '../types/views.js';

export type Lead =
  /** Bytes to bring. `expected`: how many there will be, about. */
  | {
      readonly kind: 'bytes';
      readonly address: Recipe;
      readonly bytes: Recipe;
      readonly maxBytes: number;
      readonly expected: number;
      readonly path: ValuePath;
    }
  /** A pointer, as one that is declared. */
  | { readonly kind: 'pointer'; readonly value: Recipe; readonly target: Type; readonly path: ValuePath }
  /** An object within the bytes of this one. */
  | {
      readonly kind: 'part';
      readonly type: Type;
      readonly offset: number;
      readonly exists?: Recipe;
      readonly path: ValuePath;
    }
  /** Objects side by side elsewhere, whose bytes another lead brings. */
  | {
      readonly kind: 'elements';
      readonly type: Type;
      readonly stride: number;
      /** The first. */
      readonly address: Recipe;
      readonly count: Recipe;
      readonly maxItems: number;
      readonly path: ValuePath;
    }
  | { readonly kind: 'block'; readonly block: Block; readonly path: ValuePath; readonly index: number };

/** Elements that are themselves followed. */
export const maxFollowedElements = 16;
/** What is expected of a sequence: most are short. */
const expectedSequenceBytes = 512;
const expectedStringBytes = 64;

export function leadsOf(view: View, path: ValuePath, limits: Limits): readonly Lead[] {
  switch (view.kind) {
    case 'string':
      return [
        ...loadLeads([view.length, view.data, view.capacity], path),
        ...stringLeads(view, path, limits),
      ];
    case 'sequence':
      return [
        ...loadLeads([view.length, view.data, view.capacity], path),
        ...sequenceLeads(view, path, limits),
      ];
    case 'pointer':
      return [
        ...loadLeads([view.pointer, view.valid], path),
        { kind: 'pointer', value: view.pointer, target: view.target(), path },
        ...factLeads(view.facts, path),
      ];
    case 'variant':
      return [...loadLeads([view.discriminant], path), ...variantLeads(view, path)];
    case 'wrapper': {
      const { type, offset } = view.content;
      return [{ kind: 'part', type: type(), offset, path }, ...factLeads(view.facts, path)];
    }
    case 'record':
      return view.fields.map(({ name, type, offset }) => ({
        kind: 'part',
        type: type(),
        offset,
        path: memberOf(path, name),
      }));
    case 'walked':
    case 'map':
    case 'dynamic':
      return [
        ...loadLeads([view.kind === 'dynamic' ? view.isNone : view.length], path),
        ...(view.kind === 'walked' ? factLeads(view.facts, path) : []),
        ...(view.blocks?.() ?? []).map((block, index): Lead => ({ kind: 'block', block, path, index })),
      ];
  }
}

function stringLeads(view: StringView, path: ValuePath, limits: Limits): Lead[] {
  const unit = sizeOf(view.unit) ?? 1;
  const { data } = view;
  // Those that lie in the object come with it.
  if (data.op === 'address') return [];
  const bytes = checkedBytes(view, unit);
  const outside = withoutOwn(data);
  return [
    {
      kind: 'bytes',
      address: outside,
      bytes: outside === data ? bytes : choose(binary(outside, '==', constant(0)), constant(0), bytes),
      maxBytes: limits.maxStringBytes,
      expected: Math.min(limits.maxStringBytes, expectedStringBytes),
      path,
    },
  ];
}

function sequenceLeads(view: SequenceView, path: ValuePath, limits: Limits): Lead[] {
  return pageLeads(view, path, { from: 0, to: limits.maxElements, limits });
}

/** Elements `from` up to `to`, as far as there are so many. */
export function pageLeads(
  view: StringView | SequenceView,
  path: ValuePath,
  { from, to, limits }: { readonly from: number; readonly to: number; readonly limits: Limits },
): Lead[] {
  const element = view.kind === 'string' ? view.unit : view.element();
  const stride = sizeOf(element);
  if (stride === undefined || stride === 0 || to <= from) return [];
  const leads: Lead[] = [];
  const { data, length } = view;
  if (data.op !== 'address') {
    const maxBytes = Math.min((to - from) * stride, limits.maxHitBytes);
    const all = checkedBytes(view, stride);
    const skipped = constant(from * stride);
    leads.push({
      kind: 'bytes',
      address: from === 0 ? data : binary(data, '+', skipped),
      bytes:
        from === 0
          ? all
          : choose(binary(constant(from), '<', length), binary(all, '-', skipped), constant(0)),
      maxBytes,
      expected: Math.min(maxBytes, Math.max(stride, expectedSequenceBytes)),
      path,
    });
  }
  if (!leadsOn(element, limits.maxNesting)) return leads;
  const units = checkedBytes(view, 1);
  leads.push({
    kind: 'elements',
    type: element,
    stride,
    address: from === 0 ? data : binary(data, '+', constant(from * stride)),
    count:
      from === 0
        ? units
        : choose(binary(constant(from), '<', length), binary(units, '-', constant(from)), constant(0)),
    maxItems: Math.min(to - from, limits.maxElements),
    path,
  });
  return leads;
}

/** Bytes in all; none where the object contradicts itself. */
function checkedBytes(view: StringView | SequenceView, stride: number): Recipe {
  let bytes: Recipe = stride === 1 ? view.length : binary(view.length, '*', constant(stride));
  if (view.capacity !== undefined) {
    bytes = choose(binary(view.capacity, '<', view.length), constant(0), bytes);
  }
  return view.valid === undefined ? bytes : choose(view.valid, bytes, constant(0));
}

/** An address that is sometimes one within the object, which needs no range: then zero. */
function withoutOwn(data: Recipe): Recipe {
  if (data.op === 'address') return constant(0);
  if (data.op !== 'if') return data;
  const [yes, no] = [withoutOwn(data.then), withoutOwn(data.otherwise)];
  return yes === data.then && no === data.otherwise ? data : choose(data.condition, yes, no);
}

function variantLeads(view: VariantView, path: ValuePath): Lead[] {
  return view.alternatives.flatMap(({ name, content, discriminants }): Lead[] => {
    if (content === undefined) return [];
    const exists = discriminants === undefined ? isNone(view) : isWithin(view.discriminant, discriminants);
    const { type, offset } = content;
    return [{ kind: 'part', type: type(), offset, exists, path: heldPath(path, name) }];
  });
}

/** The discriminant is that of none of the others. */
function isNone(view: VariantView): Recipe {
  const named = view.alternatives.flatMap(({ discriminants = [] }) => discriminants);
  return binary(isWithin(view.discriminant, named), '==', constant(0));
}

function isWithin(value: Recipe, ranges: readonly { readonly from: bigint; readonly to: bigint }[]): Recipe {
  return ranges.reduce<Recipe>((rest, { from, to }) => {
    const width = BigInt.asUintN(64, to - from);
    const isThis =
      width === 0n
        ? binary(value, '==', constant(from))
        : binary(binary(constant(width), '<', binary(value, '-', constant(from))), '==', constant(0));
    return choose(isThis, constant(1), rest);
  }, constant(0));
}

function factLeads(facts: readonly Fact[] | undefined, path: ValuePath): Lead[] {
  return loadLeads(
    (facts ?? []).map(({ value }) => value),
    path,
  );
}

/** What recipes read outside of the object must be there when they are read again. */
function loadLeads(recipes: readonly (Recipe | undefined)[], path: ValuePath): Lead[] {
  const leads: Lead[] = [];
  const seen = new Set<string>();
  const visit = (recipe: Recipe): void => {
    if (recipe.op === 'load') {
      const key = JSON.stringify(recipe, (_, value: unknown) =>
        typeof value === 'bigint' ? value.toString() : value,
      );
      if (!seen.has(key)) {
        seen.add(key);
        const { address, size } = recipe;
        const isThere = binary(constant(0xffff), '<', address);
        const bytes = choose(isThere, constant(size), constant(0));
        leads.push({ kind: 'bytes', address, bytes, maxBytes: size, expected: size, path });
      }
      visit(recipe.address);
    } else if (recipe.op === 'binary') {
      visit(recipe.left);
      visit(recipe.right);
    } else if (recipe.op === 'if') {
      visit(recipe.condition);
      visit(recipe.then);
      visit(recipe.otherwise);
    }
  };
  for (const recipe of recipes) if (recipe !== undefined) visit(recipe);
  return leads;
}

/** Whether there can be something to follow in a type. */
export function leadsOn(type: Type, maxNesting: number): boolean {
  if (maxNesting <= 0) return false;
  const view = viewOf(type);
  if (view !== undefined) {
    if (view.kind === 'wrapper') return leadsOn(view.content.type(), maxNesting - 1);
    return true;
  }
  const plain = stripType(type);
  if (plain.kind === 'array') return leadsOn(plain.element(), maxNesting - 1);
  return plain.kind === 'pointer' || plain.kind === 'struct' || plain.kind === 'class';
}
