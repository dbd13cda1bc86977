/** What `gecko-profiler-demangle` needs around its WebAssembly; its own entry imports that in a way that Node 20 does not know. */
declare module 'gecko-profiler-demangle/index_bg.js' {
  export function __wbg_set_wasm(exports: WebAssembly.Exports): void;
  export function demangle_any(name: string): string;
}

/** As much of it as is used here: the types of Node 20 leave it to those of browsers. */
declare namespace WebAssembly {
  type Exports = Readonly<Record<string, unknown>>;
  interface Module {
    readonly [Symbol.toStringTag]: string;
  }
  const Module: new (bytes: Uint8Array) => Module;
  class Instance {
    readonly exports: Exports;
    constructor(module: Module, imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>);
  }
  class RuntimeError extends Error {}
}
