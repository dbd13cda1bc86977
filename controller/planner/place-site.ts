/** Which sites of a location may be moved to where a hit costs less, and where to. */
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import type { LocatedSite, ParsedLocation } from './location.js';
import { betterPlace } from './placement.js';

/** Registers mean what they hold at the very address that was asked for. */
const namesRegister = /\$(?!(?:return|duration|tid|pid|comm)\b)\w/;

export interface PlacingOptions {
  readonly symbols: ModuleSymbols;
  readonly kind: ParsedLocation['kind'];
  /** All expressions of the point. */
  readonly texts: readonly string[];
  /** Past loads too: what faults at one is then not a hit. */
  readonly cheap: boolean;
}

interface PlacedSite {
  readonly asked: LocatedSite;
  readonly better?: LocatedSite;
}

/** The sites, each with the one to try before it. */
export function placeSites(
  places: readonly LocatedSite[],
  { symbols, kind, texts, cheap }: PlacingOptions,
): readonly PlacedSite[] {
  const mayMove = (kind === 'line' || kind === 'function') && !texts.some((text) => namesRegister.test(text));
  if (!mayMove) return places.map((asked) => ({ asked }));
  const taken = new Set<bigint>(places.map(({ address }) => address));
  return places.map((asked) => {
    const atEntry = !asked.inlined && (kind === 'function' || asked.afterPrologue);
    const request = { symbols, address: asked.address, atEntry };
    const strict = betterPlace({ ...request, pastLoads: false });
    const past = strict === undefined ? betterPlace({ ...request, pastLoads: true }) : undefined;
    const address = strict ?? (cheap ? past : undefined);
    if (address === undefined && past !== undefined) return { asked: { ...asked, cheaper: past } };
    if (address === undefined || taken.has(address)) return { asked };
    taken.add(address);
    return {
      asked,
      better: {
        ...asked,
        address,
        movedFrom: asked.address,
        ...(past === undefined ? {} : { pastLoads: true }),
      },
    };
  });
}
