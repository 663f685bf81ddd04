/**
 * The queueing disciplines that netloom knows, one line each. A kind is told by its file in this folder.
 *
 * @module
 */
export { bfifo, pfifo } from "./fifo.ts";
export { clsact, ingress } from "./hooks.ts";
export { fq_codel } from "./fq_codel.ts";
export { htb } from "./htb.ts";
export { netem } from "./netem.ts";
export { prio } from "./prio.ts";
export { tbf } from "./tbf.ts";
