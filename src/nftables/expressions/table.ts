/**
 * The expressions that netloom knows, by the kernel's names.
 *
 * @module
 */
export {
  bitwise,
  byteorder,
  cmp,
  ct,
  immediate,
  lookup,
  meta,
  numgen,
  payload,
  range,
} from "./compute.ts";
export {
  counter,
  dup,
  dynset,
  fwd,
  limit,
  log,
  masq,
  nat,
  notrack,
  queue,
  quota,
  redir,
  reject,
} from "./act.ts";
