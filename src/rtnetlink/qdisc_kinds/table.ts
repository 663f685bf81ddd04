/**
 * The queueing disciplines that netloom knows, one line each. A kind is told by its file in this folder.
 *
 * @module
 */
export { bfifo, pfifo } from "./fifo.ts";
export { clsact, ingress } from "./hooks.ts";
export { tbf } from "./tbf.ts";
