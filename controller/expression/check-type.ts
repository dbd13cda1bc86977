/** A type as written to a type of the program. */
import { StillframeError } from '../../format/error.js';
import { typeName } from '../types/type-name.js';
import type { Type } from '../types/type.js';
import type { Span, TypeSyntax } from './ast.js';
import { builtinType, pointerTo } from './c-types.js';
import { aliasOf, languageType } from './language-types.js';
import { didYouMean } from './near-match.js';
import type { NameScope } from './scope.js';
import { badExpression } from './syntax-error.js';

export function resolveType(syntax: TypeSyntax, scope: NameScope): Type {
  switch (syntax.kind) {
    case 'named':
      return namedType(syntax.name, syntax, scope);
    case 'pointer':
      return pointerTo(resolveType(syntax.target, scope));
    case 'reference': {
      const target = resolveType(syntax.target, scope);
      return { ...pointerTo(target), flavor: 'reference' };
    }
    case 'array': {
      const element = resolveType(syntax.element, scope);
      const count = syntax.count === undefined ? {} : { count: syntax.count };
      return { kind: 'array', element: () => element, ...count };
    }
    case 'slice':
      return namedType(`[]${typeName(resolveType(syntax.element, scope))}`, syntax, scope);
    case 'channel':
      return namedType(`chan ${typeName(resolveType(syntax.element, scope))}`, syntax, scope);
    case 'map': {
      const [key, value] = [syntax.key, syntax.value].map((part) => typeName(resolveType(part, scope)));
      return namedType(`map[${key}]${value}`, syntax, scope);
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

/** In the words of the language of the code at hand; a complaint that several are meant points to the name. */
export function typeCalled(written: string, scope: NameScope): Type | undefined {
  const name = aliasOf(written, scope.language);
  if (scope.language === 'go' || scope.language === 'rust') {
    return scope.findType(name) ?? languageType(name, scope.language) ?? builtinType(name);
  }
  return builtinType(name) ?? scope.findType(name);
}

function namedType(name: string, span: Span, scope: NameScope): Type {
  const type = pointingTo(span, () => typeCalled(name, scope) ?? scope.findInstance?.(name));
  if (type !== undefined) return type;
  const candidates = otherSpellings(name).filter((each) => scope.findType(each) !== undefined);
  throw badExpression(`no type "${name}" in scope`, span, { candidates, hint: didYouMean(candidates) });
}

/** What a scope complains of points to the name that it was asked for. */
export function pointingTo<T>(span: Span, find: () => T): T {
  try {
    return find();
  } catch (error) {
    if (!(error instanceof StillframeError) || error.code !== 'bad-expression') throw error;
    if (error.detail.position !== undefined) throw error;
    throw badExpression(error.message, span, { hint: error.hint, candidates: error.candidates });
  }
}

/** `order` for `struct order`, and the other way round. */
function otherSpellings(name: string): string[] {
  const bare = name.replace(/^(struct|union|enum|class) /, '');
  return [bare, ...['struct', 'union', 'enum'].map((tag) => `${tag} ${bare}`)].filter(
    (spelling) => spelling !== name,
  );
}
