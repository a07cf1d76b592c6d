/**
 * Keeps V8 from optimising the SQL parser, which is WebAssembly: compiling it costs more time and
 * some 100 MB more memory than parsing thousands of scripts can gain. A process-wide setting, so
 * it is the command line's to make, not the library's.
 */
export async function tuneForParser(): Promise<void> {
  const { setFlagsFromString } = await import('node:v8');
  // Most of the parser never runs: what does is compiled when it is called for the first time.
  setFlagsFromString('--wasm-lazy-compilation');
  setFlagsFromString('--wasm-lazy-validation');
  // each alone still leaves the other way to the optimising compiler
  setFlagsFromString('--no-wasm-tier-up');
  setFlagsFromString('--no-wasm-dynamic-tiering');
}
