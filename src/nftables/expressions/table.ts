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
  fib,
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
  objref,
  queue,
  quota,
  redir,
  reject,
} from "./act.ts";
