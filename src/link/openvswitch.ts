/**
 * Open vSwitch: a switch in the kernel that handles packets by its flows.
 *
 * @example Two ports: packets that enter at one leave at the other
 * ```ts
 * import { NetNs } from "@netloom/netloom/netns";
 * import { OvsDatapath } from "@netloom/netloom/openvswitch";
 *
 * if (OvsDatapath.supported()) {
 *   using netns = NetNs.create();
 *   using datapath = OvsDatapath.create({ name: "dp0", netns });
 *   const [a, b] = [datapath.addInternalPort("a"), datapath.addInternalPort("b")];
 *   datapath.addFlow(a, b);
 *   datapath.addFlow(b, a);
 * }
 * ```
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { getFamily } from "../genetlink/controller.ts";
import { deleteOvsDatapath, getOvsDatapath, newOvsDatapath } from "../genetlink/ovs_datapath.ts";
import { newOvsFlow } from "../genetlink/ovs_flow.ts";
import {
  deleteOvsVport,
  getOvsVport,
  newOvsVport,
  type OvsPortType,
} from "../genetlink/ovs_vport.ts";
import type { Connection } from "../netlink/connection.ts";
import {
  connectionTo,
  type NetNsTarget,
  type ResolvedNetNs,
  resolveNetNs,
} from "../netlink/connections.ts";
import { NETLINK } from "../netlink/message.ts";
import { NetlinkError } from "../netlink/error.ts";
import { checkLinkName } from "../rtnetlink/fields.ts";
import { indexOf, type LinkTarget } from "../rtnetlink/link_target.ts";
import type { Scope } from "../scope/scope.ts";
import { findLink } from "./find.ts";
import { Link } from "./link.ts";
import { checkOptions } from "../options.ts";

/** Options of {@link OvsDatapath.create}. */
export interface OvsDatapathOptions {
  /** Name of the datapath and of its local port, 1 to 15 bytes. */
  readonly name: string;
  /** Its namespace. Default: the current one. */
  readonly netns?: NetNsTarget;
  /** The owner: removes the datapath with everything else it owns. */
  readonly scope?: Scope;
}

const OPTIONS = { name: true, netns: true, scope: true };

/** A port of an {@link OvsDatapath}. */
export interface OvsPort {
  /** Its number in the datapath; 0 is the local port. */
  readonly number: number;
  /** Its link. */
  readonly link: Link;
}

/** The families' ids. They are given anew when the module is loaded anew. */
interface Families {
  readonly datapath: number;
  readonly vport: number;
  readonly flow: number;
}

/**
 * A datapath of Open vSwitch, without its daemon: ports, and flows from port to port. A packet that no
 * flow is for is dropped. Needs CONFIG_OPENVSWITCH.
 *
 * @example Two namespaces on it, where the kernel can
 * ```ts
 * import { NetNs } from "@netloom/netloom";
 * import { OvsDatapath } from "@netloom/netloom/openvswitch";
 * import { assertEquals } from "@std/assert";
 *
 * using hub = NetNs.create();
 * if (OvsDatapath.supported({ netns: hub })) {
 *   using datapath = OvsDatapath.create({ name: "dp0", netns: hub });
 *   const hosts = [NetNs.create(), NetNs.create()] as const;
 *   const ports = hosts.map((netns, i) => {
 *     const port = datapath.addInternalPort(`host${i}`);
 *     port.link.move(netns).up().addresses.add(`192.168.123.${i + 1}/24`);
 *     return port;
 *   });
 *   datapath.addFlow(ports[0]!, ports[1]!);
 *   datapath.addFlow(ports[1]!, ports[0]!);
 *   assertEquals((await hosts[0].ping("192.168.123.2")).received, 1);
 *   for (const netns of hosts) netns[Symbol.dispose]();
 * }
 * ```
 */
export class OvsDatapath implements Disposable {
  /** Its name. */
  readonly name: string;
  /** Its index: that of the link of its local port. */
  readonly index: number;
  readonly #netns: ResolvedNetNs;
  readonly #families: Families;

  private constructor(name: string, index: number, netns: ResolvedNetNs, families: Families) {
    this.name = name;
    this.index = index;
    this.#netns = netns;
    this.#families = families;
  }

  /**
   * Creates a datapath.
   *
   * @param options Its name, where, and who owns it.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken, ENOENT when the kernel has no Open vSwitch.
   * @throws {TypeError} For a malformed name or an unknown option; nothing is created then.
   */
  static create(options: OvsDatapathOptions): OvsDatapath {
    checkOptions(options, OPTIONS);
    const { scope } = options;
    const name = checkLinkName(options.name);
    const netns = resolveNetNs(options.netns);
    try {
      const connection = generic(netns.ref);
      const families = findFamilies(connection);
      connection.request(newOvsDatapath(families.datapath, name));
      const { index } = connection.request(getOvsDatapath(families.datapath, name));
      const datapath = new OvsDatapath(name, index, netns, families);
      return scope ? scope.use(datapath) : datapath;
    } catch (error) {
      if (netns.owned) netns.ref.close();
      throw error;
    }
  }

  /** Whether the running kernel has Open vSwitch; asking loads its module. */
  static supported(options: { readonly netns?: NetNsTarget } = {}): boolean {
    const netns = resolveNetNs(options.netns);
    try {
      findFamilies(generic(netns.ref));
      return true;
    } catch (error) {
      if (error instanceof NetlinkError && error.code === "ENOENT") return false;
      throw error;
    } finally {
      if (netns.owned) netns.ref.close();
    }
  }

  /** Its namespace. */
  get ref(): NetNsRef {
    return this.#netns.ref;
  }

  /**
   * Adds a link as a port.
   *
   * @param link A handle, a name or an index in the datapath's namespace.
   * @throws {NetlinkError} EEXIST when it is a port already, EBUSY when it is a bridge's, EINVAL for `lo`.
   */
  addPort(link: LinkTarget): OvsPort {
    const { info } = findLink(indexOf(link, this.ref, "port"), { netns: this });
    return this.#add(info.name, "netdev");
  }

  /**
   * Creates a port with a link of its own, which can be moved to another namespace.
   *
   * @param name The name of the link, 1 to 15 bytes.
   * @throws {NetlinkError} EEXIST when the name is taken.
   */
  addInternalPort(name: string): OvsPort {
    return this.#add(checkLinkName(name), "internal");
  }

  /** Takes a port away, by the name its link had when it was added; an internal one's link is deleted. */
  deletePort(name: string): void {
    generic(this.ref).request(deleteOvsVport(this.#families.vport, this.index, name));
  }

  /**
   * Sends all that comes in by a port out by others.
   *
   * @param from The port where packets come in.
   * @param to The ports where they go out; with none, they are dropped.
   * @throws {NetlinkError} EEXIST when the port has a flow.
   */
  addFlow(from: OvsPort, ...to: OvsPort[]): void {
    const flow = { inPort: from.number, output: to.map(({ number }) => number) };
    generic(this.ref).request(newOvsFlow(this.#families.flow, this.index, flow));
  }

  /** Removes the datapath with its ports and flows. One that is gone already is no error. */
  [Symbol.dispose](): void {
    if (this.ref.fd.closed) return;
    try {
      generic(this.ref).request(deleteOvsDatapath(this.#families.datapath, this.name));
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.code !== "ENODEV") throw error;
    } finally {
      if (this.#netns.owned) this.#netns.ref.close();
    }
  }

  #add(name: string, type: OvsPortType): OvsPort {
    const connection = generic(this.ref);
    const { vport } = this.#families;
    connection.request(newOvsVport(vport, this.index, { name, type }));
    const { number } = connection.request(getOvsVport(vport, this.index, name));
    return { number: number!, link: Link.get(name, { netns: this }) };
  }
}

function generic(ref: NetNsRef): Connection {
  return connectionTo(ref, NETLINK.GENERIC);
}

function findFamilies(connection: Connection): Families {
  const find = (name: string) => connection.request(getFamily(name)).id;
  try {
    return { datapath: find("ovs_datapath"), vport: find("ovs_vport"), flow: find("ovs_flow") };
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.code !== "ENOENT") throw error;
    const { operation, netns, errno } = error;
    const hint = "the running kernel lacks Open vSwitch: CONFIG_OPENVSWITCH, module openvswitch, " +
      "brings it";
    throw new NetlinkError({ operation, netns, errno, hint });
  }
}
