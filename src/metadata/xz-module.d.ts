/** The decoder of xz (formats/decompress-xz.ts), imported as a file. It is not committed: src/local/xz-module.ts takes it out of its package. */
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
