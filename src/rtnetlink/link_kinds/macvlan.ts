/**
 * macvlan, macvtap, ipvlan and ipvtap: links that share their parent with others, `IFLA_MACVLAN_*` and
 * `IFLA_IPVLAN_*` (`linux/if_link.h`).
 *
 * @module
 */
import { type Field, list, mapped, named, s32, u16, u32 } from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import { boolean, show } from "../../options.ts";
import { formatMac, parseMac } from "../../packet/address.ts";
import { checkMac, mac, readOnly } from "../fields.ts";
import type { LinkKind } from "./kind.ts";

/** Attribute numbers. */
export const IFLA_MACVLAN = {
  MODE: 1,
  FLAGS: 2,
  MACADDR_MODE: 3,
  MACADDR: 4,
  MACADDR_DATA: 5,
  MACADDR_COUNT: 6,
  BC_QUEUE_LEN: 7,
  BC_QUEUE_LEN_USED: 8,
  BC_CUTOFF: 9,
} as const;

/** Modes (`enum macvlan_mode`). */
export const MACVLAN_MODE: Readonly<Record<MacvlanMode, number>> = {
  private: 1,
  vepa: 2,
  bridge: 4,
  passthru: 8,
  source: 16,
};

/** Operations of a message on the list of source addresses (`enum macvlan_macaddr_mode`). */
export const MACVLAN_MACADDR = { add: 0, del: 1, flush: 2, set: 3 } as const;

/** Bits of IFLA_MACVLAN_FLAGS. */
export const MACVLAN_FLAG = { nopromisc: 1, nodst: 2 } as const;

/**
 * How the macvlans of a parent reach each other:
 *
 * - `bridge`: directly;
 * - `vepa`: by way of a switch outside, which has to send their packets back (a hairpin port);
 * - `private`: not even so. Broadcasts, ARP among them, do not reach siblings. A frame to a sibling's MAC
 *   that a switch sends back still arrives;
 * - `passthru`: there is one, which takes all of the parent's traffic and has its MAC;
 * - `source`: each gets the frames of listed sources, in addition to the link that they are addressed to.
 *
 * The parent itself does not hear them, other than through a hairpin port. Packet sockets on it do.
 */
export type MacvlanMode = "private" | "vepa" | "bridge" | "passthru" | "source";

/** Options of macvlans of every mode. */
export interface MacvlanQueueOptions {
  /**
   * Length of the queue of broadcast and multicast packets that wait for being copied to each macvlan;
   * 0..4,294,967,295 packets, default 1000. The parent has one queue: the longest asked for counts.
   * Linux 5.11.
   */
  bcQueueLen?: number;
  /**
   * A multicast group with more macvlans in it than this goes through that queue, others do not; -1:
   * nothing does. One value for all macvlans of a parent, the last one set; -2^31..2^31-1, default 1.
   * Linux 6.4. It is not reported when it is 1: older kernels, where all groups go through the queue,
   * cannot be told from that.
   */
  bcCutoff?: number;
}

/** The mode of a macvlan and its options. */
export type MacvlanModeOptions =
  | {
    /** How the macvlans of a parent reach each other. Default: `vepa`. */
    mode?: "bridge" | "vepa" | "private";
  }
  | {
    /** One macvlan has all of the parent's traffic and its MAC. Cannot be changed later. */
    mode: "passthru";
    /** Leaves the parent's promiscuous mode off: it lets other MACs pass. Default: false. */
    nopromisc?: boolean;
  }
  | {
    /** Packets of listed sources only. */
    mode: "source";
    /** The sources, in place of those listed before; unicast. Default: none. */
    macs?: readonly string[];
    /** Does not deliver packets of listed sources to their destination as well. Default: false. Linux 5.13. */
    nodst?: boolean;
  };

/** Options of a macvlan or macvtap. */
export type MacvlanOptions = MacvlanModeOptions & MacvlanQueueOptions;

/** A macvlan or macvtap as the kernel reports it. */
export interface MacvlanInfo extends MacvlanQueueOptions {
  /** Its mode; a number when a newer kernel has one that netloom does not know. */
  mode: MacvlanMode | number;
  /** Mode `passthru`: whether the parent's promiscuous mode is left off. */
  nopromisc: boolean;
  /** Mode `source`: whether packets of listed sources are not delivered to their destination as well. */
  nodst: boolean;
  /** Mode `source`: the listed sources, ascending. */
  macs: string[];
  /** Length of the parent's queue: the longest any of its macvlans asked for. Linux 5.11. */
  bcQueueLenUsed?: number;
}

/** Options as the kernel groups them. */
export interface MacvlanData extends MacvlanQueueOptions {
  /** How the macvlans of a parent reach each other. */
  mode?: MacvlanMode | number;
  /** All flags: one that is not named is off. */
  flags?: MacvlanFlags;
  /** A command: the operation of `mac` or `macs` on the list. */
  macaddrMode?: keyof typeof MACVLAN_MACADDR | number;
  /** The address that is added or deleted. */
  mac?: string;
  /** The addresses in the list. */
  macs?: readonly string[];
  /** Their number. */
  macCount?: number;
  /** Length of the parent's queue. */
  bcQueueLenUsed?: number;
}

/** The flags of a macvlan. */
export type MacvlanFlags = { [K in keyof typeof MACVLAN_FLAG]?: boolean };

const M = IFLA_MACVLAN;

/**
 * Checks the source address; the kernel does not check those of a list.
 *
 * @returns The address in the kernel's spelling.
 * @throws {TypeError} For a malformed address.
 * @throws {RangeError} For one that no source can have.
 */
export function checkSource(value: string, path: string): string {
  const text = checkMac(value, path);
  const bytes = parseMac(text);
  if (!(bytes[0]! & 1) && bytes.some((byte) => byte !== 0)) return text;
  throw new RangeError(`${path} must be a unicast address: got ${show(value)}`);
}

function sourceMac(type: number): Field<string> {
  const any = mac(type);
  return {
    ...any,
    write: (writer, value, path) => any.write(writer, checkSource(value, path), path),
  };
}

const addresses = list(M.MACADDR_DATA, sourceMac(M.MACADDR));

/** The list, each address once and ascending: the kernel's order is that of its hash table. */
const macs: Field<readonly string[]> = {
  ...addresses,
  write: (writer, value, path) => {
    if (!Array.isArray(value)) {
      throw new TypeError(
        `${path} must be a list of addresses: got ${show(value)}`,
      );
    }
    addresses.write(writer, value, path);
  },
  read: (source, at, length) => addresses.read(source, at, length).sort(),
};

const flags: Field<MacvlanFlags> = mapped(u16(M.FLAGS), (value) => {
  let bits = 0;
  for (const [key, bit] of Object.entries(MACVLAN_FLAG)) {
    const on = value[key as keyof MacvlanFlags];
    if (on !== undefined && boolean(on, key)) bits |= bit;
  }
  return bits;
}, (bits) => ({
  nopromisc: (bits & MACVLAN_FLAG.nopromisc) !== 0,
  nodst: (bits & MACVLAN_FLAG.nodst) !== 0,
}));

/** The attribute set of macvlan and macvtap. */
export const macvlanSchema: Schema<MacvlanData> = schema<MacvlanData>("IFLA_MACVLAN_", M, {
  mode: named(u32(M.MODE), MACVLAN_MODE),
  flags,
  macaddrMode: named(u32(M.MACADDR_MODE, { max: 3 }), MACVLAN_MACADDR),
  mac: sourceMac(M.MACADDR),
  macs,
  macCount: readOnly(u32(M.MACADDR_COUNT)),
  bcQueueLen: u32(M.BC_QUEUE_LEN, { unit: "packets" }),
  bcQueueLenUsed: readOnly(u32(M.BC_QUEUE_LEN_USED)),
  bcCutoff: s32(M.BC_CUTOFF),
});

/** Addresses as a list reads back: each once, in the kernel's spelling, ascending. */
function canonical(macs: readonly string[]): string[] {
  return [...new Set(macs.map((mac) => formatMac(parseMac(mac))))].sort();
}

/** Options as the kernel groups them. */
function toMacvlanData(options: MacvlanOptions): MacvlanData {
  const { mode, nopromisc, nodst, macs, ...queue } = options as MacvlanOptions & {
    nopromisc?: boolean;
    nodst?: boolean;
    macs?: readonly string[];
  };
  // The kernel takes them in any mode, where they do nothing.
  for (
    const [key, value, home] of [
      ["nopromisc", nopromisc, "passthru"],
      ["nodst", nodst, "source"],
      ["macs", macs, "source"],
    ]
  ) {
    if (value === undefined || mode === home) continue;
    throw new TypeError(`${key} needs mode: "${home}": got ${show(mode)}`);
  }
  const data: MacvlanData = mode === undefined ? {} : { mode };
  if (nopromisc !== undefined) data.flags = { nopromisc };
  if (nodst !== undefined) data.flags = { nodst };
  Object.assign(data, queue);
  // Last: in a command line, addresses follow `macaddr set`.
  if (macs?.length === 0) data.macaddrMode = "flush";
  else if (macs !== undefined) Object.assign(data, { macaddrMode: "set", macs });
  return data;
}

const macvlanCommon: Omit<LinkKind<MacvlanOptions, MacvlanInfo, MacvlanData>, "kind" | "config"> = {
  data: macvlanSchema,
  options: {
    mode: true,
    nopromisc: true,
    nodst: true,
    macs: true,
    bcQueueLen: true,
    bcCutoff: true,
  } satisfies Record<MacvlanOptionName, true>,
  parent: "required",
  mtuUpToParent: true,
  encode: toMacvlanData,
  decode: ({ flags, macs = [], mode = "vepa", bcQueueLen, bcQueueLenUsed, bcCutoff }) => ({
    mode,
    nopromisc: false,
    nodst: false,
    ...flags,
    macs: [...macs],
    ...(bcQueueLen !== undefined && { bcQueueLen }),
    ...(bcQueueLenUsed !== undefined && { bcQueueLenUsed }),
    ...(bcCutoff !== undefined && { bcCutoff }),
  }),
  requires: {
    bcQueueLen: { linux: "5.11", probe: 2000 },
    bcCutoff: { linux: "6.4", probe: 2 },
  },
  notReadBack: ["macaddrMode", "mac"],
  tolerates: (option, asked, read) => {
    const { macs = [], bcCutoff } = read as MacvlanData;
    if (option === "macs") return String(canonical(asked as string[])) === String(macs);
    // The kernel does not report the default.
    return option === "bcCutoff" && asked === 1 && bcCutoff === undefined;
  },
  commandNames: {
    flags: (value) => {
      const names = Object.entries(value as MacvlanFlags).filter(([, on]) => on);
      return names.map(([name]) => `flag ${name}`).join(" ") || "flag null";
    },
    macaddrMode: "macaddr",
    // iproute2 takes fewer spellings than netloom.
    mac: (value) => canonical([value as string]).join(),
    macs: (value) => canonical(value as string[]).join(" "),
    bcQueueLen: "bcqueuelen",
    bcCutoff: "bclim",
  },
};

/** Every name in any part of the union {@link MacvlanOptions}. */
type MacvlanOptionName = MacvlanOptions extends infer O ? O extends O ? keyof O : never : never;

/** macvlan: links with MACs of their own on one parent. */
export const macvlan: LinkKind<MacvlanOptions, MacvlanInfo, MacvlanData> = {
  ...macvlanCommon,
  kind: "macvlan",
  config: "MACVLAN",
};

/** macvtap: a macvlan whose packets go to a character device. */
export const macvtap: LinkKind<MacvlanOptions, MacvlanInfo, MacvlanData> = {
  ...macvlanCommon,
  kind: "macvtap",
  config: "MACVTAP",
};

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

const ipvlanCommon: Omit<LinkKind<IpvlanOptions, IpvlanInfo, IpvlanInfo>, "kind" | "config"> = {
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
  ...ipvlanCommon,
  kind: "ipvlan",
  config: "IPVLAN",
};

/** ipvtap: an ipvlan whose packets go to a character device. */
export const ipvtap: LinkKind<IpvlanOptions, IpvlanInfo, IpvlanInfo> = {
  ...ipvlanCommon,
  kind: "ipvtap",
  config: "IPVTAP",
};
