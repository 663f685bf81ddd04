/**
 * The queueing disciplines that netloom knows, one line each. A kind is told by its file in this folder.
 *
 * @module
 */
export { fq_codel } from "./fq_codel.ts";
export { htb } from "./htb.ts";
export { netem } from "./netem.ts";
export { bfifo, clsact, ingress, pfifo, prio } from "./plain.ts";
export { tbf } from "./tbf.ts";
