/**
 * Linkage names as a person reads them: `_ZN4shop5OrderC1Ev` is `shop::Order::Order()`; of Rust both manglings. For functions that only the symbol
 * table knows: what debug information describes has its names there.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as glue from 'gecko-profiler-demangle/index_bg.js';

/** A longer name is left as it is: manglings can unfold to far more than they are. */
const maxMangled = 4096;
const maxDemangled = 16 * 1024;
const maxKnown = 10_000;
/** Traps that are borne before nothing is demangled any more: each costs a new instance. */
const maxTraps = 20;

const known = new Map<string, string>();
let code: WebAssembly.Module | undefined;
let isReady = false;
let traps = 0;

export function isMangled(name: string): boolean {
  return /^_(?:Z|R)/.test(name);
}

/** The name itself where it is no mangled one. */
export function demangled(name: string): string {
  if (!isMangled(name) || name.length > maxMangled) return name;
  let found = known.get(name);
  if (found === undefined) {
    found = demangle(name);
    if (known.size < maxKnown) known.set(name, found);
  }
  return found;
}

function demangle(name: string): string {
  if (traps >= maxTraps) return name;
  try {
    start();
    const found = glue.demangle_any(name);
    // What it does not know comes back, without the underscore that other systems put before all names.
    const isKnown = found !== '' && found !== name.slice(1);
    return isKnown && found.length <= maxDemangled ? found : name;
  } catch (error) {
    // It ran out of its stack, or met what it does not know; its memory is not to be trusted any more.
    if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError)) throw error;
    isReady = false;
    traps += 1;
    return name;
  }
}

function start(): void {
  if (isReady) return;
  code ??= new WebAssembly.Module(
    readFileSync(createRequire(import.meta.url).resolve('gecko-profiler-demangle/index_bg.wasm')),
  );
  const { exports } = new WebAssembly.Instance(code, { './index_bg.js': { ...glue } });
  glue.__wbg_set_wasm(exports);
  const { __wbindgen_start: begin } = exports;
  if (typeof begin === 'function') begin();
  isReady = true;
}
