/**
 * Labs: whole networks from YAML or TypeScript, checked and with everything derived.
 *
 * @module
 */
export type * from "./resolved.ts";
export { Lab } from "./lab.ts";
export { LabError } from "./transaction.ts";
export { up, type UpOptions } from "./up.ts";
