/** Recipes of views to DWARF expressions: what the planner follows objects with. */
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { Recipe } from '../../format/recipe/recipe.js';
import { emitComparison } from './lower-integer.js';
import { OpWriter } from './op-writer.js';

/** Code that leaves the address of an object, or its bytes as a number of at most 64 bits. */
export interface RecipeBase {
  readonly kind: 'address' | 'value';
  readonly code: Uint8Array;
}

/** Leaves the value of a recipe over an object; undefined where the object is in no memory and would have to be. */
export function lowerRecipe(recipe: Recipe, base: RecipeBase): Uint8Array | undefined {
  const out = new OpWriter();
  return emitRecipe(out, recipe, base) ? out.finish() : undefined;
}

function emitRecipe(out: OpWriter, recipe: Recipe, base: RecipeBase): boolean {
  switch (recipe.op) {
    case 'constant':
      out.constant(recipe.value);
      return true;
    case 'address':
      if (base.kind === 'value') return false;
      out.raw(base.code).plus(BigInt(recipe.offset));
      return true;
    case 'field':
      if (base.kind === 'value') {
        if (recipe.offset < 0 || recipe.offset + recipe.size > 8) return false;
        out.raw(base.code);
        if (recipe.offset > 0) out.constant(BigInt(recipe.offset * 8)).op(DW_OP.DW_OP_shr);
        if (recipe.size < 8) narrow(out, recipe.size, recipe.signed === true);
        return true;
      }
      out.raw(base.code).plus(BigInt(recipe.offset)).dereference(recipe.size);
      if (recipe.signed === true) narrow(out, recipe.size, true);
      return true;
    case 'load':
      if (!emitRecipe(out, recipe.address, base)) return false;
      out.dereference(recipe.size);
      if (recipe.signed === true) narrow(out, recipe.size, true);
      return true;
    case 'if': {
      const [yes, end] = [out.label(), out.label()];
      if (!emitRecipe(out, recipe.condition, base)) return false;
      out.jump(DW_OP.DW_OP_bra, yes);
      if (!emitRecipe(out, recipe.otherwise, base)) return false;
      out.jump(DW_OP.DW_OP_skip, end).bind(yes);
      if (!emitRecipe(out, recipe.then, base)) return false;
      out.bind(end);
      return true;
    }
    case 'binary':
      if (!emitRecipe(out, recipe.left, base) || !emitRecipe(out, recipe.right, base)) return false;
      emitOperator(out, recipe.operator);
      return true;
  }
}

function emitOperator(out: OpWriter, operator: (Recipe & { readonly op: 'binary' })['operator']): void {
  switch (operator) {
    case '+':
      out.op(DW_OP.DW_OP_plus);
      return;
    case '-':
      out.op(DW_OP.DW_OP_minus);
      return;
    case '*':
      out.op(DW_OP.DW_OP_mul);
      return;
    case '/':
      out.op(DW_OP.DW_OP_div);
      return;
    case '&':
      out.op(DW_OP.DW_OP_and);
      return;
    case '>>':
      out.op(DW_OP.DW_OP_shr);
      return;
    case '<<':
      out.op(DW_OP.DW_OP_shl);
      return;
    case '==':
      out.op(DW_OP.DW_OP_eq);
      return;
    case '<':
      emitComparison(out, '<', true);
      return;
  }
}

/** Brings the top of the stack into the range of an integer. */
function narrow(out: OpWriter, size: number, signed: boolean): void {
  const excess = BigInt(64 - size * 8);
  if (excess === 0n) return;
  if (signed) out.constant(excess).op(DW_OP.DW_OP_shl).constant(excess).op(DW_OP.DW_OP_shra);
  else out.constant((1n << BigInt(size * 8)) - 1n).op(DW_OP.DW_OP_and);
}
