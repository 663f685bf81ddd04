/**
 * Options of TUN and TAP links, and what the kernel reports of them, `IFLA_TUN_*` (`linux/if_link.h`).
 *
 * @module
 */
import { bool, named, u32, u8 } from "../netlink/attribute.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import type { Offload } from "../device/tun_queue.ts";
import type { LinkOptions } from "./options.ts";

/** Attribute numbers. */
export const IFLA_TUN = {
  OWNER: 1,
  GROUP: 2,
  TYPE: 3,
  PI: 4,
  VNET_HDR: 5,
  PERSIST: 6,
  MULTI_QUEUE: 7,
  NUM_QUEUES: 8,
  NUM_DISABLED_QUEUES: 9,
} as const;

/** IP packets, or Ethernet frames. */
export const TUN_TYPES = { tun: 1, tap: 2 } as const;

/** A TUN or TAP link as the kernel reports it. */
export interface TunInfo {
  /** What comes from it: IP packets, or Ethernet frames. */
  type: keyof typeof TUN_TYPES | number;
  /** User id that may attach to it without privileges; absent when nobody in particular may. */
  owner?: number;
  /** Group id whose members may. */
  ownerGroup?: number;
  /** Packets have a `struct tun_pi` in front. */
  packetInfo: boolean;
  /** Packets have a `struct virtio_net_hdr` in front. */
  vnetHdr: boolean;
  /** It stays when its last queue closes. */
  persistent: boolean;
  /** It may have several queues. */
  multiQueue: boolean;
  /** Queues that take part in its traffic; with `multiQueue`. */
  numQueues?: number;
  /** Queues that are detached; with `multiQueue`. */
  numDisabledQueues?: number;
}

/** Codec of what the kernel reports. */
export const tunSchema: Schema<TunInfo> = schema<TunInfo>("IFLA_TUN_", IFLA_TUN, {
  type: named(u8(IFLA_TUN.TYPE), TUN_TYPES),
  owner: u32(IFLA_TUN.OWNER),
  ownerGroup: u32(IFLA_TUN.GROUP),
  packetInfo: bool(u8(IFLA_TUN.PI)),
  vnetHdr: bool(u8(IFLA_TUN.VNET_HDR)),
  persistent: bool(u8(IFLA_TUN.PERSIST)),
  multiQueue: bool(u8(IFLA_TUN.MULTI_QUEUE)),
  numQueues: u32(IFLA_TUN.NUM_QUEUES),
  numDisabledQueues: u32(IFLA_TUN.NUM_DISABLED_QUEUES),
});

/** What a queue is like. */
export interface TunQueueOptions {
  /**
   * Each packet has a `struct virtio_net_hdr` of 10 bytes in front, which says what of the packet is
   * unfinished. Default: false, or true with `offloads`.
   */
  readonly vnetHdr?: boolean;
  /** Each packet has a `struct tun_pi` of 4 bytes in front: flags and the EtherType. Default: false. */
  readonly packetInfo?: boolean;
  /** What the kernel may hand over unfinished; `true`: the most it has. Default: nothing. */
  readonly offloads?: readonly Offload[] | boolean;
  /** Bytes of written packets on their way before writes wait, 1..2147483647. Default: the most. */
  readonly sendBuffer?: number;
}

/** Options of a TUN or TAP link. */
export interface TunOptions extends Omit<LinkOptions, "name">, TunQueueOptions {
  /** Name, or a pattern: `t%d` takes the first number that is free. Default: `tun%d` or `tap%d`. */
  readonly name?: string;
  /**
   * The link must not exist. Default: true. Without it, an existing one that fits is attached to and
   * set as said here; it stays when the handle is closed, as nobody here has made it.
   */
  readonly exclusive?: boolean;
  /** The link stays when its last queue closes, until something deletes it. Default: false. */
  readonly persistent?: boolean;
  /** User id that may attach to it without privileges. Default: nobody. */
  readonly owner?: number;
  /** Group id whose members may attach to it without privileges. Default: none. */
  readonly ownerGroup?: number;
  /** More queues can be opened: {@link TunLink.openQueue}. Default: false. */
  readonly multiQueue?: boolean;
  /** Link layer type as a number, `ARPHRD_*` of `linux/if_arp.h`. Default: 65534 (none), TAP 1 (Ethernet). */
  readonly linkType?: number;
}

/** Names of {@link TunOptions} that are not those of every link. */
export const TUN_OPTIONS = {
  vnetHdr: true,
  packetInfo: true,
  offloads: true,
  sendBuffer: true,
  exclusive: true,
  persistent: true,
  owner: true,
  ownerGroup: true,
  multiQueue: true,
  linkType: true,
};

/** A filter on what a TAP hands over. */
export interface TapFilter {
  /** Frames to these MACs are handed over; with none, all are. */
  readonly macs: readonly string[];
  /** Frames to any group address too. Default: false. */
  readonly allMulticast?: boolean;
}
