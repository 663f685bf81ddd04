/**
 * The members of every namespace that are about its network: its tables, its firewall, its packets.
 *
 * Layers below do the work; here they get the namespace. The firewall comes from its slot, which
 * `@netloom/netloom/nftables` fills.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { type Capture, type CaptureOptions, openCapture } from "../capture/capture.ts";
import { type Batch, batch, type NetNsHandle } from "../netlink/connections.ts";
import type { Result } from "../netlink/outbox.ts";
import type { Nftables } from "../nftables/nftables.ts";
import type { DropOptions, MasqueradeOptions, OwnTable } from "../nftables/own_table.ts";
import { nftables } from "../nftables/slot.ts";
import {
  type Monitor,
  monitor,
  type MonitorOptions,
  NETNS_MONITOR_OPTIONS,
} from "../observe/monitor.ts";
import { checkOptions } from "../options.ts";
import { ping, type PingOptions, type PingResult } from "./ping.ts";
import { NetNsRoutes } from "./routes.ts";
import { NetNsNexthops, NetNsRules } from "./routing.ts";
import { sysctl } from "./sysctl.ts";
import { NetNsAddresses, NetNsLinks, NetNsNeighbors } from "./tables.ts";

/** The base of {@link NetNs}: the members for the network of a namespace. */
export abstract class NetNsNetwork implements NetNsHandle {
  /** What lower layers work with. */
  abstract get ref(): NetNsRef;

  /** Its links. */
  get links(): NetNsLinks {
    return new NetNsLinks(this);
  }

  /** Its IP addresses. */
  get addresses(): NetNsAddresses {
    return new NetNsAddresses(this);
  }

  /** Its routes. */
  get routes(): NetNsRoutes {
    return new NetNsRoutes(this);
  }

  /** Its nexthop objects, which routes share. */
  get nexthops(): NetNsNexthops {
    return new NetNsNexthops(this);
  }

  /** Its policy rules: which packets look for their route in which table. */
  get rules(): NetNsRules {
    return new NetNsRules(this);
  }

  /** Its neighbors: the tables of ARP and neighbor discovery. */
  get neighbors(): NetNsNeighbors {
    return new NetNsNeighbors(this);
  }

  /**
   * Its firewall: the tables of nftables; needs `import "@netloom/netloom/nftables"`.
   *
   * @throws {MissingImportError} Without that import.
   *
   * @example Only answers and SSH come in
   * ```ts
   * import { NetNs } from "@netloom/netloom";
   * import "@netloom/netloom/nftables";
   * import { assertEquals } from "@std/assert";
   *
   * using netns = NetNs.create();
   * netns.nftables.add({
   *   family: "inet",
   *   name: "filter",
   *   chains: [{
   *     name: "input",
   *     hook: "input",
   *     policy: "drop",
   *     rules: [
   *       { "ct state": ["established", "related"], verdict: "accept" },
   *       { "tcp dport": 22, counter: true, verdict: "accept" },
   *     ],
   *   }],
   * });
   * assertEquals(netns.nftables.rules.list().map(({ text }) => text), [
   *   "ct state established,related accept",
   *   "tcp dport 22 counter packets 0 bytes 0 accept",
   * ]);
   * ```
   */
  get nftables(): Nftables {
    return new (nftables.partFor("netns.nftables").Nftables)(this);
  }

  /**
   * Translates the source of packets that leave by a link into the link's address (masquerade), in a table of
   * its own. The namespace forwards packets only with the settings `net.ipv4.ip_forward` and
   * `net.ipv6.conf.all.forwarding`. It needs `import "@netloom/netloom/nftables"`.
   *
   * @param options The links.
   * @returns Deletes the table when disposed; without `using` it stays.
   * @throws {MissingImportError} Without that import.
   * @throws {UnsupportedError} When the kernel lacks nftables or its translations.
   * @throws {TypeError} For malformed options.
   */
  masquerade(options: MasqueradeOptions): OwnTable {
    return nftables.partFor("netns.masquerade()").masquerade(this, options);
  }

  /**
   * Drops packets that come into the namespace or leave its programs, in a table of its own. A program of the
   * namespace that sends such a packet gets EPERM. It needs `import "@netloom/netloom/nftables"`.
   *
   * @param options Which packets: all of it must match.
   * @returns Deletes the table when disposed; without `using` it stays. It counts the packets.
   * @throws {MissingImportError} Without that import.
   * @throws {UnsupportedError} When the kernel lacks nftables.
   * @throws {TypeError} For malformed options, and without any.
   *
   * @example A peer that does not answer any more, for a while
   * ```ts
   * import { NetNs, Veth } from "@netloom/netloom";
   * import "@netloom/netloom/nftables";
   * import { assertEquals } from "@std/assert";
   *
   * using near = NetNs.create();
   * using far = NetNs.create();
   * const end = { name: "eth0", up: true };
   * const peer = { ...end, netns: far, addresses: ["10.0.0.2/24"] };
   * Veth.create({ ...end, netns: near, addresses: ["10.0.0.1/24"], peer });
   * {
   *   using cut = far.drop({ from: "10.0.0.1", proto: "icmp" });
   *   assertEquals((await near.ping("10.0.0.2", { timeout: 50 })).received, 0);
   *   assertEquals(cut.packets, 1);
   * }
   * assertEquals((await near.ping("10.0.0.2")).received, 1);
   * ```
   */
  drop(options: DropOptions): OwnTable {
    return nftables.partFor("netns.drop()").drop(this, options);
  }

  /** Sends many requests at once; see {@link batch}. */
  batch(build: (batch: Batch) => void): Result<unknown>[] {
    return batch(build, { netns: this });
  }

  /** Follows changes of links, addresses, routes and neighbors; see {@link monitor}. */
  monitor(options: Omit<MonitorOptions, "netns"> = {}): Monitor {
    checkOptions(options, NETNS_MONITOR_OPTIONS);
    return monitor({ ...options, netns: this });
  }

  /**
   * Captures the frames of all its links, from this call on, as {@link Link.capture} does those of one. A
   * link's name in {@link Frame.interface} is the one it has when its first frame is read.
   *
   * @param options Filter, snap length, direction, until when; not `promiscuous`.
   * @throws {SyscallError} EPERM without CAP_NET_RAW.
   * @throws {TypeError} For malformed options.
   * @throws {RangeError} For numbers out of range.
   */
  capture(options: Omit<CaptureOptions, "promiscuous"> = {}): Capture {
    return openCapture(this.ref.check("capture"), undefined, options);
  }

  /**
   * Reads or writes a kernel setting of this namespace.
   *
   * @param name As in `sysctl(8)`: `net.ipv4.ip_forward`, with `/` for a dot inside a link's name; or
   * `net/ipv4/ip_forward`, with dots as they are.
   * @param value One line of text or a number to write; without it the setting is only read.
   * @returns The setting afterwards, without the closing newline.
   * @throws {SyscallError} ENOENT when there is no such setting; the message has the nearest one.
   * @throws {TypeError} For a name outside `net.`, and for any other value.
   */
  sysctl(name: string, value?: string | number): string {
    return sysctl(this.ref.check(`sysctl ${name}`), name, value);
  }

  /**
   * Sends ICMP echo requests, IPv4 or IPv6, over a raw socket: no `ping` program, and no privileges
   * beyond those for creating namespaces. At a multicast or broadcast address all hosts may reply.
   *
   * @param address The IP address; a link-local one with its link as zone: `fe80::1%eth0`.
   * @param options Count, interval, timeout, concurrency, size, signal.
   * @returns Statistics, also when no reply came.
   * @throws {SyscallError} ENETUNREACH when there is no route.
   * @throws {TypeError} For a malformed address or option.
   */
  ping(address: string, options: PingOptions = {}): Promise<PingResult> {
    return ping(this.ref.check(`ping ${address}`), address, options);
  }
}
