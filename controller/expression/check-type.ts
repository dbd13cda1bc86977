/** A type as written to a type of the program. */
import type { Type } from '../types/type.js';
import type { TypeSyntax } from './ast.js';
import { builtinType, pointerTo } from './c-types.js';
import { didYouMean } from './near-match.js';
import type { NameScope } from './scope.js';
import { badExpression } from './syntax-error.js';

export function resolveType(syntax: TypeSyntax, scope: NameScope): Type {
  switch (syntax.kind) {
    case 'named': {
      const type = builtinType(syntax.name) ?? scope.findType(syntax.name);
      if (type !== undefined) return type;
      const candidates = otherSpellings(syntax.name).filter((name) => scope.findType(name) !== undefined);
      throw badExpression(`no type "${syntax.name}" in scope`, syntax, {
        candidates,
        hint: didYouMean(candidates),
      });
    }
    case 'pointer':
      return pointerTo(resolveType(syntax.target, scope));
    case 'array': {
      const element = resolveType(syntax.element, scope);
      const count = syntax.count === undefined ? {} : { count: syntax.count };
      return { kind: 'array', element: () => element, ...count };
    }
    case 'function': {
      const result = resolveType(syntax.result, scope);
      const parameters = syntax.parameters.map((parameter) => resolveType(parameter, scope));
      return {
        kind: 'function',
        result: () => result,
        parameters: () => parameters,
        prototyped: true,
        variadic: syntax.variadic,
      };
    }
  }
}

/** `order` for `struct order`, and the other way round. */
function otherSpellings(name: string): string[] {
  const bare = name.replace(/^(struct|union|enum|class) /, '');
  return [bare, ...['struct', 'union', 'enum'].map((tag) => `${tag} ${bare}`)].filter(
    (spelling) => spelling !== name,
  );
}
