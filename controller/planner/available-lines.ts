/** Lines of the same function where all variables of an expression have a location: where the point could go instead. */
import { isAbsent } from '../../format/absent.js';
import { linkAddress } from '../../format/address.js';
import { type Typed } from '../expression/typed.js';
import type { AddressRange, VariableSymbol } from '../symbols/module-symbols.js';
import type { Site } from './site.js';
import { objectsRead } from './touched.js';

/** Lines around the point that are looked at. */
const reach = 200;
const maxCandidates = 5;

export function availableLines(
  site: Site,
  node: Typed,
): { readonly hint: string; readonly candidates: readonly string[] } | undefined {
  const { file, line } = site.frame ?? {};
  const ranges = site.symbols.functionAt(site.address)?.ranges;
  if (file === undefined || line === undefined || ranges === undefined) return undefined;
  const variables = objectsRead(node).flatMap((object) =>
    object.kind === 'variable' ? [object.variable] : [],
  );
  const missing = variables.filter((variable) => isAbsent(site.variableLocation(variable)));
  if (missing.length === 0) return undefined;
  const short = file.slice(file.lastIndexOf('/') + 1);
  const lines = site.symbols
    .linesWithCode(file)
    .filter((candidate) => Math.abs(candidate - line) <= reach && candidate !== line)
    .filter((candidate) => isAvailable(site, candidate, file, ranges, missing))
    .toSorted((a, b) => Math.abs(a - line) - Math.abs(b - line) || a - b)
    .slice(0, maxCandidates)
    .toSorted((a, b) => a - b);
  const names = [...new Set(missing.map((variable) => `"${variable.name}"`))].join(' and ');
  if (lines.length === 0) return { hint: `no line of this function near it has ${names}`, candidates: [] };
  return {
    hint: `${names} can be had at line${lines.length === 1 ? '' : 's'} ${lines.join(', ')}`,
    candidates: lines.map((candidate) => `${short}:${candidate}`),
  };
}

/** Every address of the line within the function must have them: a point on it probes them all. */
function isAvailable(
  site: Site,
  line: number,
  file: string,
  ranges: readonly AddressRange[],
  variables: readonly VariableSymbol[],
): boolean {
  const addresses = site.symbols
    .findLine(file, line)
    .map(({ address }) => address)
    .filter((address) => ranges.some(({ start, end }) => address >= start && address < end));
  return (
    addresses.length > 0 &&
    addresses.every((address) =>
      variables.every((variable) => !isAbsent(variable.locationAt(linkAddress(address)))),
    )
  );
}
