/**
 * The commands of `brctl`, for those who know them: same names, same order of arguments, times in
 * seconds. Everything is in {@link Bridge} too.
 *
 * @example As with brctl
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import * as brctl from "@netloom/netloom/brctl";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
 * brctl.addbr("br0", { netns });
 * brctl.addif("br0", "v1", { netns });
 * brctl.stp("br0", true, { netns });
 * brctl.setfd("br0", 4, { netns });
 * const [bridge] = brctl.show({ netns });
 * assertEquals(bridge?.interfaces, ["v1"]);
 * ```
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { show as quote } from "../options.ts";
import { connectionTo, type NetNsTarget } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { getLink } from "../rtnetlink/link.ts";
import { indexOf, type LinkTarget } from "../rtnetlink/link_target.ts";
import { Bridge, type BridgeOptions, type BridgePortOptions } from "./bridge.ts";
import { nameRelated } from "./find.ts";

export {
  type BrctlBridge,
  type BrctlMac,
  type BrctlPortStp,
  type BrctlShowOptions,
  type BrctlStp,
  formatShow,
  formatShowmacs,
  formatShowstp,
  show,
  showmacs,
  showstp,
} from "./brctl_show.ts";

/** Where a command acts. */
export interface BrctlOptions {
  /** The namespace. Default: the current one. */
  readonly netns?: NetNsTarget;
}

/** Options of a command about a port. */
export interface BrctlPortOptions extends BrctlOptions {
  /** The port. */
  readonly port: LinkTarget;
}

/**
 * Creates a bridge. It stays when the handle is disposed.
 *
 * @throws {NetlinkError} EEXIST when the name is taken.
 */
export function addbr(name: string, options: BrctlOptions = {}): Bridge {
  return Bridge.create({ ...options, name }).persist();
}

/**
 * Deletes a bridge; its ports are released.
 *
 * @throws {NetlinkError} EBUSY while the bridge is up, as with `brctl`; {@link Bridge.delete} does not mind.
 */
export function delbr(bridge: string, options: BrctlOptions = {}): void {
  using found = Bridge.get(bridge, options);
  if (found.read().up) throw busy(found, `delete bridge ${quote(bridge)}`, "It is up");
  found.delete();
}

/**
 * Adds a link to a bridge as a port.
 *
 * @throws {NetlinkError} EBUSY when it has a master, as with `brctl`; {@link Bridge.addPort} moves it.
 */
export function addif(bridge: string, port: LinkTarget, options: BrctlOptions = {}): void {
  using found = Bridge.get(bridge, options);
  const { ref } = found;
  const connection = connectionTo(ref);
  const link = connection.request(getLink(indexOf(port, ref, "port"), { stats: false }));
  if (link.master) {
    nameRelated(connection, [link]);
    const operation = `add port ${quote(link.name)} to bridge ${quote(bridge)}`;
    throw busy(found, operation, `Its master is ${quote(link.masterName ?? `if${link.master}`)}`);
  }
  found.addPort(link.index);
}

/** Releases a port. Throws `TypeError` when the link is not a port of this bridge. */
export function delif(bridge: string, port: LinkTarget, options: BrctlOptions = {}): void {
  using found = Bridge.get(bridge, options);
  found.deletePort(port);
}

/** Switches spanning tree on or off. */
export function stp(bridge: string, on: boolean, options: BrctlOptions = {}): void {
  set(bridge, { stp: on }, options);
}

/** Sets the bridge priority, 0..65535; the lowest becomes root. */
export function setbridgeprio(bridge: string, priority: number, options: BrctlOptions = {}): void {
  set(bridge, { priority }, options);
}

/** Sets the seconds in the listening and in the learning state: 2..30, without spanning tree 0..30. */
export function setfd(bridge: string, seconds: number, options: BrctlOptions = {}): void {
  set(bridge, { forwardDelay: hundredths(seconds, "setfd") }, options);
}

/** Sets the seconds between spanning tree messages: 1..10. */
export function sethello(bridge: string, seconds: number, options: BrctlOptions = {}): void {
  set(bridge, { helloTime: hundredths(seconds, "sethello") }, options);
}

/** Sets the seconds after which a spanning tree message expires: 6..40. */
export function setmaxage(bridge: string, seconds: number, options: BrctlOptions = {}): void {
  set(bridge, { maxAge: hundredths(seconds, "setmaxage") }, options);
}

/** Sets the seconds until a learned address is forgotten: 0..1,000,000; 0: at once. */
export function setageing(bridge: string, seconds: number, options: BrctlOptions = {}): void {
  set(bridge, { ageingTime: hundredths(seconds, "setageing") }, options);
}

/** Sets a port's spanning tree path cost, 1..65535. */
export function setpathcost(
  bridge: string,
  options: BrctlPortOptions & { readonly cost: number },
): void {
  const { cost, ...at } = options;
  setPort(bridge, { cost }, at);
}

/** Sets a port's spanning tree priority, 0..63. */
export function setportprio(
  bridge: string,
  options: BrctlPortOptions & { readonly priority: number },
): void {
  const { priority, ...at } = options;
  setPort(bridge, { priority }, at);
}

/** Lets a port send frames back out of where they came in, or not. */
export function hairpin(
  bridge: string,
  options: BrctlPortOptions & { readonly on: boolean },
): void {
  const { on, ...at } = options;
  setPort(bridge, { hairpin: on }, at);
}

function set(bridge: string, settings: BridgeOptions, options: BrctlOptions): void {
  using found = Bridge.get(bridge, options);
  found.set(settings);
}

function setPort(bridge: string, settings: BridgePortOptions, options: BrctlPortOptions): void {
  const { port, ...where } = options;
  using found = Bridge.get(bridge, where);
  found.port(port).set(settings);
}

/** The kernel's hundredths of a second; `brctl` takes fractions as well. */
function hundredths(seconds: number, command: string): number {
  if (typeof seconds === "number" && seconds >= 0 && seconds < Infinity) {
    return Math.round(seconds * 100);
  }
  throw new RangeError(
    `${command} takes seconds, 0 or more: got ${quote(seconds)}`,
  );
}

function busy({ ref }: Bridge, operation: string, text: string): NetlinkError {
  return new NetlinkError({ operation, netns: ref.description, errno: ERRNO.EBUSY, text });
}
