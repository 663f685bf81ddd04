/**
 * The output of `brctl`, as objects and as its text.
 *
 * @module
 */
import { connectionTo, type NetNsTarget, resolveNetNs } from "../netlink/connections.ts";
import { dumpLinks } from "../rtnetlink/link.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import { Bridge, type BridgePortInfo, type BridgePortState } from "./bridge.ts";

/** A bridge in `brctl show`. */
export interface BrctlBridge {
  /** Its name. */
  readonly name: string;
  /** Priority and address: `8000.02:00:00:00:00:01`. */
  readonly bridgeId: string;
  /** Spanning tree. */
  readonly stp: boolean;
  /** The names of its ports, in order. */
  readonly interfaces: readonly string[];
}

/** An address in `brctl showmacs`. */
export interface BrctlMac {
  /** Number of the port. */
  readonly portNo: number;
  /** The Ethernet address. */
  readonly mac: string;
  /** Whether it is the bridge's own. */
  readonly isLocal: boolean;
  /** Seconds since it was seen; 0 for addresses that do not age. */
  readonly ageing: number;
}

/** A bridge in `brctl showstp`. Times are in seconds. */
export interface BrctlStp {
  /** Its name. */
  readonly name: string;
  /** Priority and address: `8000.02:00:00:00:00:01`. */
  readonly bridgeId: string;
  /** The root of the spanning tree. */
  readonly designatedRoot: string;
  /** Number of the port towards the root; 0 on the root itself. */
  readonly rootPort: number;
  /** Cost of the path to the root. */
  readonly pathCost: number;
  /** Age at which a message expires. */
  readonly maxAge: number;
  /** Time between messages. */
  readonly helloTime: number;
  /** Time in the listening and in the learning state. */
  readonly forwardDelay: number;
  /** Time until a learned address is forgotten. */
  readonly ageingTime: number;
  /** Time until the next message. */
  readonly helloTimer: number;
  /** Time until the next topology change notification. */
  readonly tcnTimer: number;
  /** Time until the change counts as over. */
  readonly topologyChangeTimer: number;
  /** Time until old addresses are looked for. */
  readonly gcTimer: number;
  /** Whether the topology is changing. */
  readonly topologyChange: boolean;
  /** Whether this bridge has seen it change. */
  readonly topologyChangeDetected: boolean;
  /** The ports, by name. */
  readonly ports: readonly BrctlPortStp[];
}

/** A port in `brctl showstp`. Times are in seconds. */
export interface BrctlPortStp {
  /** Its name. */
  readonly name: string;
  /** Its number. */
  readonly portNo: number;
  /** Its priority and number. */
  readonly portId: number;
  /** Its spanning tree state: whether it learns and forwards. */
  readonly state: BridgePortState | number;
  /** The root of the spanning tree. */
  readonly designatedRoot: string;
  /** Cost of the path by this port. */
  readonly pathCost: number;
  /** The bridge that leads towards the root from here. */
  readonly designatedBridge: string;
  /** The port of that bridge. */
  readonly designatedPort: number;
  /** Cost of the path from it to the root. */
  readonly designatedCost: number;
  /** Time until the last message expires. */
  readonly messageAgeTimer: number;
  /** Time left in the listening or learning state. */
  readonly forwardDelayTimer: number;
  /** Time until the next message may be sent. */
  readonly holdTimer: number;
  /** Whether a message waits to be sent. */
  readonly configPending: boolean;
  /** Whether a topology change is being acknowledged. */
  readonly topologyChangeAck: boolean;
  /** Whether frames go back out of where they came in. */
  readonly hairpin: boolean;
}

/** Options of {@link show}. */
export interface BrctlShowOptions {
  /** The namespace. Default: the current one. */
  readonly netns?: NetNsTarget;
  /** Names of the bridges to show. Default: all. */
  readonly bridges?: readonly string[];
}

const byName = (a: { name: string }, b: { name: string }): number => a.name < b.name ? -1 : 1;

/** Lists bridges with their ports, by name. */
export function show(options: BrctlShowOptions = {}): BrctlBridge[] {
  const { ref, owned } = resolveNetNs(options.netns);
  let links: LinkInfo[];
  try {
    links = connectionTo(ref).dump(dumpLinks({ stats: false })).sort(byName);
  } finally {
    if (owned) ref.close();
  }
  return links
    .filter((link) => link.kind === "bridge")
    .filter(({ name }) => options.bridges?.includes(name) ?? true)
    .map(({ index, name, options: { bridgeId = "", stp = false } }) => {
      const interfaces = links.filter(({ master }) => master === index).map(({ name }) => name);
      return { name, bridgeId, stp, interfaces };
    });
}

/** Lists the addresses behind a bridge's ports, in order. */
export function showmacs(
  bridge: string,
  options: { readonly netns?: NetNsTarget } = {},
): BrctlMac[] {
  using found = Bridge.get(bridge, options);
  const numbers = new Map(found.ports().map((port) => [port.index, port.options().no ?? 0]));
  return found.fdb.list()
    // An address of the bridge's own is behind no port; one that has aged waits to be removed.
    .filter(({ index, state }) => numbers.has(index) && state !== "stale")
    .map(({ index, mac, state, updated }) => ({
      portNo: numbers.get(index)!,
      mac,
      isLocal: state === "permanent",
      ageing: state === "dynamic" ? updated : 0,
    }))
    .sort((a, b) => a.mac < b.mac ? -1 : 1);
}

/** Shows the state of the spanning tree on a bridge and its ports. */
export function showstp(
  bridge: string,
  options: { readonly netns?: NetNsTarget } = {},
): BrctlStp {
  using found = Bridge.get(bridge, options);
  const info = found.options();
  return {
    name: found.name,
    bridgeId: info.bridgeId ?? "",
    designatedRoot: info.rootId ?? "",
    rootPort: info.rootPort ?? 0,
    pathCost: info.rootPathCost ?? 0,
    maxAge: seconds(info.maxAge),
    helloTime: seconds(info.helloTime),
    forwardDelay: seconds(info.forwardDelay),
    ageingTime: seconds(info.ageingTime),
    helloTimer: seconds(info.helloTimer),
    tcnTimer: seconds(info.tcnTimer),
    topologyChangeTimer: seconds(info.topologyChangeTimer),
    gcTimer: seconds(info.gcTimer),
    topologyChange: info.topologyChange ?? false,
    topologyChangeDetected: info.topologyChangeDetected ?? false,
    ports: found.ports().map((port) => portStp(port.name, port.options())).sort(byName),
  };
}

function portStp(name: string, info: BridgePortInfo): BrctlPortStp {
  return {
    name,
    portNo: info.no ?? 0,
    portId: info.id ?? 0,
    state: info.state ?? 0,
    designatedRoot: info.rootId ?? "",
    pathCost: info.cost ?? 0,
    designatedBridge: info.bridgeId ?? "",
    designatedPort: info.designatedPort ?? 0,
    designatedCost: info.designatedCost ?? 0,
    messageAgeTimer: seconds(info.messageAgeTimer),
    forwardDelayTimer: seconds(info.forwardDelayTimer),
    holdTimer: seconds(info.holdTimer),
    configPending: info.configPending ?? false,
    topologyChangeAck: info.topologyChangeAck ?? false,
    hairpin: info.hairpin ?? false,
  };
}

function seconds(hundredths = 0): number {
  return hundredths / 100;
}

/** The text of `brctl show`: none where there is no bridge. */
export function formatShow(bridges: readonly BrctlBridge[]): string {
  const lines = bridges.flatMap(({ name, bridgeId, stp, interfaces }) => {
    const [first = "", ...more] = interfaces;
    const line = `${name}\t\t${plainId(bridgeId)}\t${stp ? "yes" : "no"}\t\t${first}`;
    return [line, ...more.map((name) => `\t\t\t\t\t\t\t${name}`)];
  });
  if (lines.length === 0) return "";
  return text(["bridge name\tbridge id\t\tSTP enabled\tinterfaces", ...lines]);
}

/** The text of `brctl showmacs`. */
export function formatShowmacs(macs: readonly BrctlMac[]): string {
  const lines = macs.map(({ portNo, mac, isLocal, ageing }) =>
    `${pad(portNo, 3)}\t${mac}\t${isLocal ? "yes" : "no"}\t\t${timer(ageing)}`
  );
  return text(["port no\tmac addr\t\tis local?\tageing timer", ...lines]);
}

/** The text of `brctl showstp`. */
export function formatShowstp(stp: BrctlStp): string {
  const flags = words({
    TOPOLOGY_CHANGE: stp.topologyChange,
    TOPOLOGY_CHANGE_DETECTED: stp.topologyChangeDetected,
  });
  // The kernel reports the times in force only, for which brctl has a second column.
  return text([
    stp.name,
    ` bridge id\t\t${plainId(stp.bridgeId)}`,
    ` designated root\t${plainId(stp.designatedRoot)}`,
    ` root port\t\t${pad(stp.rootPort, 4)}\t\t\tpath cost\t\t${pad(stp.pathCost, 4)}`,
    ` max age\t\t${timer(stp.maxAge)}\t\t\tbridge max age\t\t${timer(stp.maxAge)}`,
    ` hello time\t\t${timer(stp.helloTime)}\t\t\tbridge hello time\t${timer(stp.helloTime)}`,
    ` forward delay\t\t${timer(stp.forwardDelay)}\t\t\tbridge forward delay\t${
      timer(stp.forwardDelay)
    }`,
    ` ageing time\t\t${timer(stp.ageingTime)}`,
    ` hello timer\t\t${timer(stp.helloTimer)}\t\t\ttcn timer\t\t${timer(stp.tcnTimer)}`,
    ` topology change timer\t${timer(stp.topologyChangeTimer)}\t\t\tgc timer\t\t${
      timer(stp.gcTimer)
    }`,
    ` flags\t\t\t${flags}`,
    "",
    "",
    ...stp.ports.flatMap(portLines),
  ]);
}

function portLines(port: BrctlPortStp): string[] {
  const flags = words({
    CONFIG_PENDING: port.configPending,
    TOPOLOGY_CHANGE_ACK: port.topologyChangeAck,
  });
  return [
    `${port.name} (${port.portNo})`,
    ` port id\t\t${hex(port.portId)}\t\t\tstate\t\t${String(port.state).padStart(15)}`,
    ` designated root\t${plainId(port.designatedRoot)}\tpath cost\t\t${pad(port.pathCost, 4)}`,
    ` designated bridge\t${plainId(port.designatedBridge)}\tmessage age timer\t${
      timer(port.messageAgeTimer)
    }`,
    ` designated port\t${hex(port.designatedPort)}\t\t\tforward delay timer\t${
      timer(port.forwardDelayTimer)
    }`,
    ` designated cost\t${pad(port.designatedCost, 4)}\t\t\thold timer\t\t${timer(port.holdTimer)}`,
    ` flags\t\t\t${flags}`,
    ...(port.hairpin ? [` hairpin mode\t\t${pad(1, 4)}`] : []),
    "",
  ];
}

const text = (lines: readonly string[]): string => lines.join("\n") + "\n";
const pad = (value: number, width: number): string => String(value).padStart(width);
const timer = (seconds: number): string => seconds.toFixed(2).padStart(7);
const hex = (value: number): string => value.toString(16).padStart(4, "0");
const plainId = (id: string): string => id.replaceAll(":", "");
const words = (flags: Record<string, boolean>): string =>
  Object.keys(flags).filter((name) => flags[name]).map((name) => `${name} `).join("");
