/**
 * Options of a monitor.
 *
 * @module
 */
import type { NetNsTarget } from "../netlink/target.ts";
import type { Watched } from "./state.ts";
import { show, unknownOption } from "../options.ts";

/**
 * Options of {@link monitor}: which tables, where, and until when. With none of the tables `true` these
 * are links, addresses, routes and neighbors, without those that are `false`.
 */
export interface MonitorOptions {
  /** The namespace. Default: the one calls land in now. */
  readonly netns?: NetNsTarget;
  /** Watch links, and the state of bridge ports. */
  readonly links?: boolean;
  /** Watch IP addresses. */
  readonly addresses?: boolean;
  /** Watch the routes of all tables. */
  readonly routes?: boolean;
  /** Watch neighbors: ARP and neighbor discovery. */
  readonly neighbors?: boolean;
  /** Watch forwarding entries of bridges and VXLANs. Not watched by default. */
  readonly fdb?: boolean;
  /** Ends the monitor: a pending or the next `next()` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Bytes of messages the kernel keeps until they are read; more is an overrun. Default: 16 MiB, room for
   * 7,000 messages about links or 40,000 about routes. Without CAP_NET_ADMIN in the first user namespace
   * at most `net.core.rmem_max`.
   */
  readonly receiveBuffer?: number;
}

const DEFAULT: Watched = {
  links: true,
  addresses: true,
  routes: true,
  neighbors: true,
  fdb: false,
};

const NONE: Watched = {
  links: false,
  addresses: false,
  routes: false,
  neighbors: false,
  fdb: false,
};

/** Which tables options ask for. */
export function watchedOf(options: { [K in keyof Watched]?: boolean | undefined }): Watched {
  for (const [key, value] of Object.entries(options)) {
    if (!Object.hasOwn(NONE, key)) throw unknownOption(key, key, Object.keys(NONE));
    if (value !== undefined && typeof value !== "boolean") {
      throw new TypeError(`${key} must be true or false: got ${show(value)}`);
    }
  }
  const named = Object.fromEntries(Object.entries(options).filter(([, it]) => it !== undefined));
  const watched = { ...Object.values(named).includes(true) ? NONE : DEFAULT, ...named };
  if (Object.values(watched).includes(true)) return watched;
  throw new TypeError("A monitor needs a table to watch: all are false");
}
