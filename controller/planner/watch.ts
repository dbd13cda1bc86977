/**
 * What is to be watched, to a plan: an object that lies where it lies for as long as the process runs, or until it is freed. Its address, the condition and the
 * captures are computed from globals and what they lead to: a write can come from any frame, so that no frame is at hand.
 */
import { linkAddress } from '../../format/address.js';
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { type PlanWatch, watchBytes } from '../../format/plan/watch.js';
import { checkExpression } from '../expression/check.js';
import { inText } from '../expression/in-text.js';
import { isUnlowered, lowerAddress } from '../expression/lower.js';
import type { Typed } from '../expression/typed.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { sizeOf } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import { openSite, type Site } from './site.js';

export interface WatchRequest {
  readonly onlyChanges: boolean;
}

/** What a watch is called where places in code have their location. */
export function writesOf(expression: string, { onlyChanges }: WatchRequest): string {
  return `${onlyChanges ? 'changes' : 'writes'} of ${expression}`;
}

/** Where there is no frame, so that only globals can be named. */
export function siteOfWatch(symbols: ModuleSymbols): Site {
  return openSite(symbols, { address: linkAddress(0n), function: '', inlined: false, afterPrologue: false });
}

/** Throws `bad-expression` or `unsupported`. */
export function planWatch(
  site: Site,
  expression: string,
  onlyChanges: boolean,
): { readonly watch: PlanWatch; readonly type: string } {
  const node = checkWatched(site, expression);
  const size = sizeOf(node.type);
  const bytes = watchBytes.find((known) => known === size);
  if (bytes === undefined) {
    const what = size === undefined ? 'of no size that is known' : `of ${size} bytes`;
    throw new StillframeError(
      'unsupported',
      `cannot watch "${expression}": it is a "${typeName(node.type)}" ${what}, and the processor watches 1, 2, 4 or 8`,
      { hint: 'name a member or an element of it' },
    );
  }
  if (node.kind === 'member' && node.bits !== undefined) {
    throw new StillframeError(
      'unsupported',
      `cannot watch "${expression}": it is a bit field, and shares its bytes with others`,
    );
  }
  const address = lowerAddress(node, site);
  if (isUnlowered(address)) {
    throw new StillframeError('unsupported', `cannot watch "${expression}": ${address.unsupported}`, {
      hint: whatCan,
    });
  }
  if (
    decodeExpression(address, { addressSize: 8, name: expression }).some(({ code }) => readsRegister(code))
  ) {
    throw new StillframeError('unsupported', `cannot watch "${expression}": it depends on registers`, {
      hint: whatCan,
    });
  }
  return { watch: { expression, address, bytes, onlyChanges }, type: typeName(node.type) };
}

const whatCan = 'globals, statics and what they lead to can be watched: a local ends with its frame';

function checkWatched(site: Site, expression: string): Typed {
  try {
    return inText(expression, () => checkExpression(expression, site.names));
  } catch (error) {
    const { code, message, detail, candidates, hint } = toStillframeError(error);
    if (code !== 'bad-expression' || hint !== undefined) throw error;
    throw new StillframeError(code, message, { detail, candidates, hint: whatCan, cause: error });
  }
}

const readsRegister = (code: number): boolean =>
  (code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31) || code === DW_OP.DW_OP_bregx;
