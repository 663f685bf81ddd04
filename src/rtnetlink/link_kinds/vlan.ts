/**
 * vlan, `IFLA_VLAN_*` (`linux/if_link.h`, `linux/if_vlan.h`).
 *
 * @module
 */
import { be16, type Field, list, named, struct, u16 } from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import { boolean, type OptionNames, show } from "../../options.ts";
import { VLAN_PROTOCOL, type VlanProtocol } from "../constants.ts";
import type { LinkKind } from "./kind.ts";
import { groupSwitches, kernelWord } from "../fields.ts";

/** Attribute numbers. */
export const IFLA_VLAN = {
  ID: 1,
  FLAGS: 2,
  EGRESS_QOS: 3,
  INGRESS_QOS: 4,
  PROTOCOL: 5,
} as const;

/** Attribute numbers inside the QoS maps. */
export const IFLA_VLAN_QOS = { MAPPING: 1 } as const;

/** Bits of `struct ifla_vlan_flags`. */
export const VLAN_FLAG = {
  reorderHdr: 1,
  gvrp: 2,
  looseBinding: 4,
  mvrp: 8,
  bridgeBinding: 16,
} as const;

/** Switches of a VLAN link. */
export interface VlanFlags {
  /** Packets are handed on without the tag. Default: true. */
  reorderHdr?: boolean;
  /** Registers the VLAN with the switch by GVRP. Default: false. */
  gvrp?: boolean;
  /** Registers the VLAN with the switch by MVRP. Default: false. */
  mvrp?: boolean;
  /** Does not follow the parent when that goes up or down. Default: false. */
  looseBinding?: boolean;
  /** On a bridge: carries when a port that is in the VLAN does. Default: false. Linux 5.2. */
  bridgeBinding?: boolean;
}

/** The flags when the kernel reports none. */
const FLAGS_OFF: Readonly<Required<VlanFlags>> = {
  reorderHdr: false,
  gvrp: false,
  mvrp: false,
  looseBinding: false,
  bridgeBinding: false,
};

/** A map of priorities: `{ 3: 5 }` maps 3 to 5. */
export type QosMap = Readonly<Record<number, number>>;

/** Maps of priorities. A priority that is not mapped becomes 0. */
export interface VlanMaps {
  /** The tag's priority, 0..7, of a packet that comes in to its priority in the kernel, 0..2^32-1. */
  ingressQosMap?: QosMap;
  /** A packet's priority in the kernel, 0..2^32-1, to the priority in the tag it leaves with, 0..7. */
  egressQosMap?: QosMap;
}

/** Options of a VLAN link. */
export interface VlanOptions extends VlanFlags, VlanMaps {
  /** The VLAN's number, 0..4094; 0 is for tags that have a priority only. */
  id: number;
  /** The tag's protocol. Default: `802.1Q`. */
  protocol?: VlanProtocol;
}

/** A VLAN link as the kernel reports it. */
export interface VlanInfo extends Required<VlanFlags>, Required<VlanMaps> {
  /** The VLAN's number. */
  id: number;
  /** The tag's protocol; a number when a newer kernel has one that netloom does not know. */
  protocol: VlanProtocol | number;
}

/** Options as the kernel groups them. */
export interface VlanData extends VlanMaps {
  /** The VLAN's number. */
  id?: number;
  /** The tag's protocol. */
  protocol?: VlanProtocol | number;
  /** Switches: those that are named. */
  flags?: VlanFlags;
}

/** `struct ifla_vlan_flags`: values, and a mask of those that are meant. */
const flags: Field<VlanFlags> = struct<VlanFlags>(
  IFLA_VLAN.FLAGS,
  8,
  (view, at, value) => {
    let [bits, mask] = [0, 0];
    for (const [key, on] of Object.entries(value)) {
      mask |= VLAN_FLAG[key as keyof VlanFlags];
      if (boolean(on, key)) bits |= VLAN_FLAG[key as keyof VlanFlags];
    }
    view.setUint32(at, bits, true);
    view.setUint32(at + 4, mask, true);
  },
  (view, at) => {
    const bits = view.getUint32(at, true);
    const on = (bit: number) => (bits & bit) !== 0;
    return {
      reorderHdr: on(VLAN_FLAG.reorderHdr),
      gvrp: on(VLAN_FLAG.gvrp),
      mvrp: on(VLAN_FLAG.mvrp),
      looseBinding: on(VLAN_FLAG.looseBinding),
      bridgeBinding: on(VLAN_FLAG.bridgeBinding),
    };
  },
);

/** `struct ifla_vlan_qos_mapping` */
const mapping = struct<[from: number, to: number]>(
  IFLA_VLAN_QOS.MAPPING,
  8,
  (view, at, [from, to]) => {
    view.setUint32(at, from, true);
    view.setUint32(at + 4, to, true);
  },
  (view, at) => [view.getUint32(at, true), view.getUint32(at + 4, true)],
);

/** A map from 0..`from` to 0..`to`; out of range, the kernel silently takes the low bits. */
function map(type: number, from: number, to: number): Field<QosMap> {
  const mappings = list(type, mapping);
  const within = (value: unknown, max: number) =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
  return {
    ...mappings,
    write: (writer, value, path) => {
      if (typeof value !== "object" || value === null) {
        throw new TypeError(`${path} must map numbers: got ${show(value)}`);
      }
      const pairs = Object.entries(value).map(([key, to]) => [Number(key), to] as [number, number]);
      for (const pair of pairs) {
        if (within(pair[0], from) && within(pair[1], to)) continue;
        throw new RangeError(
          `${path} must map 0..${from} to 0..${to}: got ${pair[0]} to ${pair[1]}`,
        );
      }
      mappings.write(writer, pairs, path);
    },
    read: (source, at, length) => Object.fromEntries(mappings.read(source, at, length)),
  };
}

/** The attribute set of a VLAN link. */
export const vlanSchema: Schema<VlanData> = schema<VlanData>("IFLA_VLAN_", IFLA_VLAN, {
  id: u16(IFLA_VLAN.ID, { max: 4094 }),
  protocol: named(be16(IFLA_VLAN.PROTOCOL), VLAN_PROTOCOL),
  flags,
  ingressQosMap: map(IFLA_VLAN.INGRESS_QOS, 7, 0xffffffff),
  egressQosMap: map(IFLA_VLAN.EGRESS_QOS, 0xffffffff, 7),
});

const words = (name: string) => (value: unknown): string => {
  const pairs = Object.entries(value as QosMap).map(([from, to]) => `${from}:${to}`);
  return pairs.length > 0 ? `${name} ${pairs.join(" ")}` : "";
};

/** vlan: one VLAN of a parent, as a link of its own (IEEE 802.1Q, 802.1ad). */
export const vlan: LinkKind<VlanOptions, VlanInfo, VlanData> = {
  kind: "vlan",
  config: "VLAN_8021Q",
  module: "8021q",
  data: vlanSchema,
  options: {
    id: true,
    protocol: true,
    reorderHdr: true,
    gvrp: true,
    mvrp: true,
    looseBinding: true,
    bridgeBinding: true,
    ingressQosMap: true,
    egressQosMap: true,
  } satisfies OptionNames<VlanOptions>,
  parent: "required",
  mtuUpToParent: true,
  encode: (options, current) => {
    if (current) {
      for (const key of ["id", "protocol"] as const) {
        if (options[key] === undefined) continue;
        throw new TypeError(`${key} of a vlan cannot be changed: got ${show(options[key])}`);
      }
    } else if (options.id === undefined) {
      throw new TypeError("id must be the number of a VLAN: got undefined");
    }
    return groupSwitches(options, VLAN_FLAG, "flags");
  },
  decode: ({ id = 0, protocol = "802.1Q", flags, ingressQosMap = {}, egressQosMap = {} }) => ({
    id,
    protocol,
    ...FLAGS_OFF,
    ...flags,
    ingressQosMap,
    egressQosMap,
  }),
  // Switches that the kernel does not report are off; priorities that it does not report map to 0.
  tolerates: (option, asked, read) => {
    const { flags = {}, ...maps } = read as VlanData;
    if (option === "flags") {
      return Object.entries(asked as VlanFlags)
        .every(([key, on]) => (flags[key as keyof VlanFlags] ?? false) === on);
    }
    if (option !== "ingressQosMap" && option !== "egressQosMap") return false;
    return Object.entries(asked as QosMap)
      .every(([from, to]) => (maps[option]?.[Number(from)] ?? 0) === to);
  },
  commandNames: {
    flags: (value) =>
      Object.entries(value as VlanFlags)
        .map(([key, on]) => `${kernelWord(key)} ${on ? "on" : "off"}`).join(" "),
    ingressQosMap: words("ingress-qos-map"),
    egressQosMap: words("egress-qos-map"),
  },
};
