/**
 * Labs: whole networks from YAML or TypeScript, checked and with everything derived.
 *
 * @module
 */
export type * from "./resolved.ts";
