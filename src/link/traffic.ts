/**
 * The members of every link that are about its packets: traffic control and captures.
 *
 * Layers below do the work; here they get the link. Traffic control comes from its slot, which
 * `@netloom/netloom/tc` fills.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { NetlinkError } from "../netlink/error.ts";
import { type Capture, type CaptureOptions, openCapture } from "../capture/capture.ts";
import type { NamedLink } from "../rtnetlink/link_target.ts";
import type { LinkClasses } from "../traffic/classes.ts";
import type { LinkFilters } from "../traffic/filters.ts";
import type { Impairment, ImpairTarget, PeerEnd } from "../traffic/impair.ts";
import type { ImpairOptions } from "../traffic/impairment_values.ts";
import type { Intercept, InterceptHandler, InterceptOptions } from "../traffic/intercept.ts";
import type { LinkQdiscs } from "../traffic/qdiscs.ts";
import { trafficControl } from "../traffic/slot.ts";
import { peerOf } from "./find.ts";

/** The base of {@link LinkBase}: the members for the packets of a link. */
export abstract class LinkTraffic implements NamedLink {
  /** Its namespace. */
  abstract get ref(): NetNsRef;

  /** Its index in its namespace. */
  abstract get index(): number;

  /** Its name, as far as this handle knows. */
  abstract get name(): string;

  /** The kind: `veth`, `bridge`; `undefined` for loopback and physical links. */
  abstract readonly kind: string | undefined;

  /**
   * Its queueing disciplines; needs `import "@netloom/netloom/tc"`.
   *
   * @throws {MissingImportError} Without that import.
   *
   * @example A queue of at most 100 packets
   * ```ts
   * import { Link, NetNs } from "@netloom/netloom";
   * import "@netloom/netloom/tc";
   * import { assertEquals } from "@std/assert";
   *
   * using netns = NetNs.create();
   * const { qdiscs } = Link.get("lo", { netns });
   * qdiscs.add({ kind: "pfifo", options: { limit: 100 } });
   * const pfifo = qdiscs.get("root");
   * assertEquals(pfifo.kind === "pfifo" && pfifo.options.limit, 100);
   * ```
   */
  get qdiscs(): LinkQdiscs {
    return new (trafficControl.partFor("link.qdiscs").LinkQdiscs)(this);
  }

  /**
   * The classes of its queueing disciplines; needs `import "@netloom/netloom/tc"`.
   *
   * @throws {MissingImportError} Without that import.
   */
  get classes(): LinkClasses {
    return new (trafficControl.partFor("link.classes").LinkClasses)(this);
  }

  /**
   * Its filters; needs `import "@netloom/netloom/tc"`.
   *
   * @throws {MissingImportError} Without that import.
   */
  get filters(): LinkFilters {
    return new (trafficControl.partFor("link.filters").LinkFilters)(this);
  }

  /**
   * Impairs its packets in both directions: delay, loss, rate and more. The impairment is in force when the call
   * returns. Values that are not named stay as they are; `null` takes one off, `replace: true` all others.
   * It needs `import "@netloom/netloom/tc"`.
   *
   * Both ends of a veth pair have the same impairment, since one end receives what the other sends.
   *
   * @param options Values for both directions, and in `out` and `in` for one; `null` takes everything off.
   * @returns The impairment; for `null` the number of packets that were lost by taking it off.
   * @throws {MissingImportError} Without that import.
   * @throws {UnsupportedError} When neither the kernel nor this process can do it, or not the `engine` asked for.
   * @throws {NetlinkError} EPERM without privileges.
   * @throws {TypeError} For an unknown or malformed option, and for one without the one that it needs.
   * @throws {RangeError} For a value out of range.
   *
   * @example A slow and lossy link, where the kernel or this process can
   * ```ts
   * import { NetNs, Veth } from "@netloom/netloom";
   * import "@netloom/netloom/tc";
   * import { assertEquals } from "@std/assert";
   *
   * using netns = NetNs.create();
   * const link = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
   * link.impair({ rate: "10mbit" });
   * link.impair({ out: { rate: "1mbit" } }); // the other direction stays
   * assertEquals(link.impairment()?.values, { out: { rate: 1e6 }, in: { rate: 1e7 } });
   * link.impair(null);
   * ```
   */
  impair(options: ImpairOptions): Impairment;
  /** Clears the impairment, and returns the number of packets that were lost with it. */
  impair(options: null): number;
  impair(options: ImpairOptions | null): Impairment | number {
    const { impair, clear } = trafficControl.partFor("link.impair()");
    return options === null ? clear(this.#impaired) : impair(this.#impaired, options);
  }

  /**
   * Its impairment in both directions, also one of another process by the kernel; `undefined` without one. It needs
   * `import "@netloom/netloom/tc"`.
   *
   * @throws {MissingImportError} Without that import.
   */
  impairment(): Impairment | undefined {
    return trafficControl.partFor("link.impairment()").impairment(this.#impaired);
  }

  get #impaired(): ImpairTarget {
    return { link: this, peer: () => this.peerEnd() };
  }

  /** The other end of a veth pair, where it is within reach. */
  protected peerEnd(): PeerEnd | undefined {
    if (this.kind !== "veth") return undefined;
    try {
      const { netns, index, name } = peerOf(this);
      const { ref, owned } = netns;
      return { link: { ref, index, name, kind: "veth" }, close: () => owned && ref.close() };
    } catch (error) {
      // In no namespace that this process can enter.
      if (error instanceof NetlinkError && error.code === "ENODEV") return undefined;
      throw error;
    }
  }

  /**
   * Captures its frames, from this call on; see {@link Capture}. The loop ends with the link, and with this
   * handle where that has opened the namespace.
   *
   * @param options Filter, snap length, direction, until when.
   * @returns The frames. A frame's `data` is a view, valid until the next frame is asked for.
   * @throws {SyscallError} EPERM without CAP_NET_RAW, ENODEV when the link is gone.
   * @throws {TypeError} For malformed options.
   * @throws {RangeError} For numbers out of range.
   *
   * @example The first reply to a ping
   * ```ts
   * import { NetNs, Veth } from "@netloom/netloom";
   * import { assertEquals } from "@std/assert";
   *
   * using a = NetNs.create();
   * using b = NetNs.create();
   * const veth = Veth.create({
   *   name: "v0",
   *   netns: a,
   *   up: true,
   *   addresses: ["10.0.0.1/24"],
   *   peer: { name: "v0", netns: b, up: true, addresses: ["10.0.0.2/24"] },
   * });
   * await veth.waitFor((link) => link.operstate === "up");
   * using frames = veth.capture({ filter: { protocol: "icmp", srcHost: "10.0.0.2" } });
   * await a.ping("10.0.0.2");
   * for await (const frame of frames) {
   *   assertEquals([frame.direction, frame.length], ["in", 14 + 20 + 8 + 56]);
   *   break;
   * }
   * ```
   */
  capture(options: CaptureOptions = {}): Capture {
    return openCapture(this.ref, this, options);
  }

  /**
   * Hands each of its frames to a function before it goes on, from this call on; see {@link InterceptedFrame}. Frames
   * are as on a wire. Frames that the filter does not match are never copied to this program. It needs
   * `import "@netloom/netloom/tc"`.
   *
   * Several interceptions of a link follow each other in the order in which they were started. Outgoing frames go
   * through the link's queueing disciplines behind the last one.
   *
   * @param handler Decides about each frame; a frame about which it decides nothing passes. It may be async.
   * @param options Which frames, how many may wait, until when.
   * @returns The interception; closing it restores the link.
   * @throws {MissingImportError} Without that import.
   * @throws {NetlinkError} EOPNOTSUPP for the loopback link and links without Ethernet headers, ENODEV when it is
   * gone, EEXIST when it has the queueing discipline `ingress`, which has no place for outgoing frames, ENOENT when the
   * kernel lacks cls_bpf or mirred.
   * @throws {SyscallError} EPERM without privileges; ENOENT without TUN.
   * @throws {TypeError} For malformed options.
   * @throws {RangeError} For numbers out of range.
   *
   * @example Lose the first ping, and delay the others
   * ```ts
   * import { NetNs, Veth } from "@netloom/netloom";
   * import "@netloom/netloom/tc";
   * import { assertEquals } from "@std/assert";
   *
   * using a = NetNs.create();
   * using b = NetNs.create();
   * const veth = Veth.create({
   *   name: "v0",
   *   netns: a,
   *   up: true,
   *   addresses: ["10.0.0.1/24"],
   *   peer: { name: "v0", netns: b, up: true, addresses: ["10.0.0.2/24"] },
   * });
   * await veth.waitFor((link) => link.operstate === "up");
   * using _interception = veth.intercept((frame) => {
   *   if (frame.packet.icmp?.sequence === 1) frame.drop();
   *   else frame.delay(20);
   * }, { filter: { protocol: "icmp" }, direction: "out" });
   * const { received, min } = await a.ping("10.0.0.2", { count: 3, interval: 50, timeout: 500 });
   * assertEquals([received, min! >= 20], [2, true]);
   * ```
   */
  intercept(handler: InterceptHandler, options: InterceptOptions = {}): Intercept {
    const { Intercept } = trafficControl.partFor("link.intercept()");
    return new Intercept(this, handler, options);
  }
}
