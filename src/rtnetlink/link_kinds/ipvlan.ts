/**
 * ipvlan and ipvtap, `IFLA_IPVLAN_*` (`linux/if_link.h`).
 *
 * @module
 */
import { named, u16 } from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import type { LinkKind } from "./kind.ts";

/** Attribute numbers. */
export const IFLA_IPVLAN = { MODE: 1, FLAGS: 2 } as const;

/** Modes (`enum ipvlan_mode`). */
export const IPVLAN_MODE: Readonly<Record<IpvlanMode, number>> = { l2: 0, l3: 1, l3s: 2 };

/** Bits of IFLA_IPVLAN_FLAGS; `bridge` is none of them. */
export const IPVLAN_F: Readonly<Record<IpvlanFlag, number>> = { bridge: 0, private: 1, vepa: 2 };

/**
 * Where packets leave the ipvlan for the parent:
 *
 * - `l2`: as frames. ARP, neighbor discovery, broadcast and multicast work;
 * - `l3`: as packets, which the parent's namespace routes. No ARP, broadcast or multicast: others need
 *   a route by way of the parent to reach it;
 * - `l3s`: as `l3`, and incoming packets pass the netfilter hooks and the connection tracking of the
 *   parent's namespace, too.
 */
export type IpvlanMode = "l2" | "l3" | "l3s";

/**
 * How the ipvlans of a parent reach each other:
 *
 * - `bridge`: directly;
 * - `private`: never;
 * - `vepa`: by way of a switch outside, which has to send their packets back.
 */
export type IpvlanFlag = "bridge" | "private" | "vepa";

/** Options of an ipvlan or ipvtap. All ipvlans of a parent share them: the last values set. */
export interface IpvlanOptions {
  /** Where packets leave it for the parent. Default: `l3`. */
  mode?: IpvlanMode;
  /** How those on a parent reach each other. Default: `bridge`. */
  flag?: IpvlanFlag;
}

/** An ipvlan or ipvtap as the kernel reports it: names, and numbers for values that netloom does not know. */
export interface IpvlanInfo {
  /** Where packets leave it for the parent. */
  mode?: IpvlanMode | number;
  /** How those on a parent reach each other. */
  flag?: IpvlanFlag | number;
}

/** The attribute set of ipvlan and ipvtap. */
export const ipvlanSchema: Schema<IpvlanInfo> = schema<IpvlanInfo>("IFLA_IPVLAN_", IFLA_IPVLAN, {
  mode: named(u16(IFLA_IPVLAN.MODE, { max: 2 }), IPVLAN_MODE),
  flag: named(u16(IFLA_IPVLAN.FLAGS, { max: 2 }), IPVLAN_F),
});

const common: Omit<LinkKind<IpvlanOptions, IpvlanInfo, IpvlanInfo>, "kind" | "config"> = {
  data: ipvlanSchema,
  options: { mode: true, flag: true },
  parent: "required",
  encode: (options, current) =>
    // At creation the kernel would keep the flag that the parent's ipvlans have, but not their mode.
    // In a change of the mode alone it would reset the flag to bridge.
    current === undefined
      ? { flag: "bridge", ...options }
      : options.mode === undefined || options.flag !== undefined
      ? options
      : { ...options, flag: current().flag! },
  commandNames: { flag: (value) => String(value) },
};

/** ipvlan: links that share the MAC of their parent. */
export const ipvlan: LinkKind<IpvlanOptions, IpvlanInfo, IpvlanInfo> = {
  ...common,
  kind: "ipvlan",
  config: "IPVLAN",
};

/** ipvtap: an ipvlan whose packets go to a character device. */
export const ipvtap: LinkKind<IpvlanOptions, IpvlanInfo, IpvlanInfo> = {
  ...common,
  kind: "ipvtap",
  config: "IPVTAP",
};
