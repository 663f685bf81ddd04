/**
 * ingress and clsact: no queues, but places for filters (tc(8)).
 *
 * @module
 */
import type { NoOptions } from "../link_kinds/kind.ts";
import { noAttributes, type QdiscKind } from "./kind.ts";

const common = {
  config: "NET_SCH_INGRESS",
  ingress: true,
  data: noAttributes<NoOptions>("TCA_"),
  encode: () => undefined,
} as const;

/** ingress: a place for filters of incoming packets. */
export const ingress: QdiscKind<NoOptions, NoOptions, NoOptions> = { ...common, kind: "ingress" };

/** clsact: places for filters of incoming and of outgoing packets. */
export const clsact: QdiscKind<NoOptions, NoOptions, NoOptions> = { ...common, kind: "clsact" };
