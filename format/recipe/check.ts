/** Recipes that come from somebody else: as data they can say nothing but what `Recipe` says, and no more of it than is looked at. */
import { integer, integer64, literal, object, oneOf, parseShape, type Shape } from '../json-shape.js';
import type { BinaryOperator, IntegerSize, Recipe } from './recipe.js';

type Of<Op extends Recipe['op']> = Extract<Recipe, { op: Op }>;

/** Objects are not larger: offsets on both sides of where one begins. */
const offset = integer({ from: -(2 ** 31), to: 2 ** 31 - 1 });
export const integerSize: Shape<IntegerSize> = literal(1, 2, 4, 8);
const operator: Shape<BinaryOperator> = literal('+', '-', '*', '/', '&', '>>', '<<', '==', '<');

/** NB: shapes that contain themselves are asked for when they are used. */
export const recipeShape: Shape<Recipe> = (from, at) => recipes(from, at);

const recipes: Shape<Recipe> = oneOf<Recipe>('op', {
  constant: object<Of<'constant'>>({ op: literal('constant'), value: integer64 }),
  address: object<Of<'address'>>({ op: literal('address'), offset }),
  field: object<Of<'field'>>({
    op: literal('field'),
    offset,
    size: integerSize,
    signed: { optional: literal(true) },
  }),
  load: object<Of<'load'>>({
    op: literal('load'),
    address: recipeShape,
    size: integerSize,
    signed: { optional: literal(true) },
  }),
  binary: object<Of<'binary'>>({
    op: literal('binary'),
    operator,
    left: recipeShape,
    right: recipeShape,
  }),
  if: object<Of<'if'>>({
    op: literal('if'),
    condition: recipeShape,
    // eslint-disable-next-line unicorn/no-thenable
    then: recipeShape,
    otherwise: recipeShape,
  }),
});

/** `json`: what `toJson` makes of a recipe. Throws bad data where it is none. */
export function parseRecipe(json: unknown): Recipe {
  return parseShape('recipe', recipeShape, json);
}
