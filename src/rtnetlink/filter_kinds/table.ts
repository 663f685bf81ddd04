/**
 * The classifiers that netloom knows.
 *
 * @module
 */
export { bpf, fw, matchall, u32Filter as u32 } from "./classifiers.ts";
export { flower } from "./flower.ts";
