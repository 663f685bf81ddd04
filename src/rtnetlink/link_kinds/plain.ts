/**
 * Kinds without options of their own: dummy and ifb.
 *
 * @module
 */
import { type Schema, schema } from "../../netlink/schema.ts";
import type { LinkKind, NoOptions } from "./kind.ts";

const none: Schema<NoOptions> = schema<NoOptions>("IFLA_INFO_DATA ", {}, {});

/** dummy: a link that drops every packet. */
export const dummy: LinkKind<NoOptions, NoOptions, NoOptions> = {
  kind: "dummy",
  config: "DUMMY",
  data: none,
};

/** ifb: a link for packets that traffic control redirects. */
export const ifb: LinkKind<NoOptions, NoOptions, NoOptions> = {
  kind: "ifb",
  config: "IFB",
  data: none,
};
