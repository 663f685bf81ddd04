/**
 * The steps from one state of a lab to the next one: each is about one object of the kernel, is shown by
 * `plan` and sent by `up`.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { type NetNsRef, newNetNs, within } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import type { Request } from "../netlink/message.ts";
import { NetlinkError } from "../netlink/error.ts";
import { shellWord } from "../netlink/trace.ts";
import { refusal } from "../link/create.ts";
import type { AddressMessage } from "../rtnetlink/address.ts";
import type { LinkMessage } from "../rtnetlink/link.ts";
import type { RouteMessage } from "../rtnetlink/route_message.ts";
import { NetNsCommand } from "../netns/run.ts";
import { sysctl } from "../netns/sysctl.ts";

/** The number of the descriptor of a node's namespace. */
export type FdOf = (node: string) => number;

/** The node whose socket sends a request: the name of a node, or this for a namespace without links. */
export const WORKSHOP = "";

/** A request that names namespaces by their descriptors. */
export type PlacedRequest = (fd: FdOf) => Request;

/** The node that stands for the machine's own namespace. */
export const MACHINE = "@";

/** The action of a step. */
export type Action =
  /** Creates or removes the namespace of the node. */
  | { readonly kind: "netns" }
  /** Sends a request over the socket of a node, or of the workshop. */
  | { readonly kind: "request"; readonly via: string; readonly request: Request | PlacedRequest }
  /** Writes a setting; `derived`: only where the namespace has it. */
  | {
    readonly kind: "sysctl";
    readonly name: string;
    readonly value: string;
    readonly derived?: boolean;
  }
  /** Runs a script of nft. */
  | { readonly kind: "nft"; readonly script: string };

/** A link of the machine in a node, and its state at home: all that the move makes it lose. */
export interface TakenLink {
  /** The node that it is in. */
  readonly node: string;
  /** Its name there. */
  readonly name: string;
  /** Its name at home. */
  readonly from: string;
  /** Its index at home. */
  readonly index: number;
  /** Its MAC address at home. */
  readonly mac?: string;
  /** Its MTU at home. */
  readonly mtu?: number;
  /** Whether it was up. */
  readonly up: boolean;
  /** Its addresses, without those that the kernel or a router gave it. */
  readonly addresses: readonly Omit<AddressMessage, "index">[];
  /** Its routes, without those of the kernel. */
  readonly routes: readonly RouteMessage[];
}

/** One step. */
export interface Step {
  /** Whether the object comes, changes or goes. */
  readonly verb: "create" | "change" | "remove";
  /** The node that has the object. */
  readonly node: string;
  /** The object: `veth h1:eth0 -- sw:h1`, `address 10.0.0.1/24 of h1:eth0`. */
  readonly object: string;
  /** The action. */
  readonly action: Action;
  /** The link of the machine that the step moves into its node: noted before. */
  readonly takes?: TakenLink;
  /** The link that is home when the step has been performed. */
  readonly returns?: TakenLink;
}

/** The namespaces that steps act on. */
export interface NodeRefs {
  /** The namespace of a node. */
  ref(node: string): NetNsRef;
  /** Creates the namespace of a node. */
  create(node: string): void;
  /** Removes the namespace of a node. */
  remove(node: string): void;
  /** Notes the value that a setting had before the first write. */
  setting(node: string, name: string, before: string): void;
  /** Notes a link of the machine that is about to move into a node. */
  take(link: TakenLink): void;
  /** Notes that such a link is home again. */
  giveBack(link: TakenLink): void;
}

/** The refusals of a removal that say that the object is gone already, as with the link it was on. */
const GONE: ReadonlySet<string> = new Set(["ENODEV", "ESRCH", "ENOENT", "EADDRNOTAVAIL"]);

/**
 * Performs steps in their order. Neighboring requests over one socket are one send, and the thread enters a
 * namespace once for neighboring settings.
 *
 * @throws The error of the first step that the kernel refuses. Later requests of the same send have been
 * sent by then.
 */
export function perform(steps: readonly Step[], nodes: NodeRefs): void {
  let workshop: NetNsRef | undefined;
  const refOf = (via: string): NetNsRef =>
    via === WORKSHOP ? workshop ??= newNetNs("the workshop of the lab") : nodes.ref(via);
  const fd = (name: string) => nodes.ref(name).fd.value;
  try {
    for (let at = 0; at < steps.length;) {
      const step = steps[at]!;
      const { action, node, verb } = step;
      const end = endOfRun(steps, at);
      const run = steps.slice(at, end);
      for (const { takes } of run) if (takes) nodes.take(takes);
      if (action.kind === "request") send(run, refOf(action.via), fd);
      else if (action.kind === "sysctl") write(node, run, nodes);
      else if (action.kind === "nft") runNft(nodes.ref(node), action.script);
      else if (verb === "remove") nodes.remove(node);
      else nodes.create(node);
      for (const { returns } of run) if (returns) nodes.giveBack(returns);
      at = end;
    }
  } finally {
    workshop?.close();
  }
}

/** The end of the steps that are performed together with the one at `from`. */
function endOfRun(steps: readonly Step[], from: number): number {
  const first = steps[from]!;
  const place = placeOf(first);
  let end = from + 1;
  if (place === undefined) return end;
  while (end < steps.length && placeOf(steps[end]!) === place) {
    if (steps[end]!.action.kind !== first.action.kind) break;
    end++;
  }
  return end;
}

function placeOf({ action, node }: Step): string | undefined {
  return action.kind === "request" ? action.via : action.kind === "sysctl" ? node : undefined;
}

function send(steps: readonly Step[], ref: NetNsRef, fd: FdOf): void {
  const results = connectionTo(ref).batch((add) => {
    for (const { action } of steps) if (action.kind === "request") add(requestOf(action, fd));
  });
  for (const [i, result] of results.entries()) {
    if (result.ok) continue;
    const { error } = result;
    const { verb, action } = steps[i]!;
    if (verb === "remove" && error instanceof NetlinkError && GONE.has(error.code)) continue;
    throw action.kind === "request" ? explained(requestOf(action, fd), error, ref) : error;
  }
}

function requestOf({ request }: Extract<Action, { kind: "request" }>, fd: FdOf): Request {
  return typeof request === "function" ? request(fd) : request;
}

/** Adds the reason to the refusal of a link: a kind or option that the kernel lacks, a name that is taken. */
function explained({ message }: Request, error: Error, ref: NetNsRef): Error {
  const kind = (message as LinkMessage).linkInfo?.kind;
  return kind === undefined ? error : refusal(kind, error, message, ref);
}

function write(node: string, steps: readonly Step[], nodes: NodeRefs): void {
  const ref = nodes.ref(node);
  within(ref, () => {
    for (const { action } of steps) {
      if (action.kind !== "sysctl") continue;
      const { name, value, derived = false } = action;
      try {
        // What the lab derives it derives for links and namespaces of its own.
        if (!derived) nodes.setting(node, name, sysctl(ref, name));
        sysctl(ref, name, value);
      } catch (error) {
        const none = error instanceof SyscallError && error.code === "ENOENT";
        if (!derived || !none) throw error;
      }
    }
  });
}

/**
 * Runs a script of nft in a namespace. The script is one transaction.
 *
 * @throws {Error} With the message of nft.
 */
export function runNft(ref: NetNsRef, script: string): void {
  const { success, stderr } = new NetNsCommand(ref, "nft", {
    args: [script],
    mounts: false,
    stdin: "null",
  }).outputSync();
  if (success) return;
  throw new Error(`nft in ${ref.label}: ${new TextDecoder().decode(stderr).trim()}`);
}

/** The names of things in command lines. */
export interface Names {
  /** The namespace of a node as `ip link set netns` takes it. */
  netns(node: string): string;
  /** A command that runs in the namespace of a node. */
  inside(node: string, command: string): string;
  /** The link of a node with an index. */
  link(node: string, index: number): string | undefined;
}

/** The equivalent command line of iproute2, sysctl or nft. */
export function commandOf({ action, node, verb }: Step, names: Names): string {
  switch (action.kind) {
    case "netns":
      return `ip netns ${verb === "remove" ? "delete" : "add"} ${shellWord(names.netns(node))}`;
    case "sysctl":
      return names.inside(node, `sysctl -w ${shellWord(`${action.name}=${action.value}`)}`);
    case "nft":
      return names.inside(node, `nft ${shellWord(action.script)}`);
    case "request":
      return requestCommand(action, names);
  }
}

/** Above all numbers of descriptors: stands for a namespace that need not exist yet. */
const NO_FD = 1_000_000_000;

function requestCommand(
  action: Extract<Action, { kind: "request" }>,
  names: Names,
): string {
  const { via } = action;
  const nodes: string[] = [];
  const line = requestOf(action, (node) => NO_FD + nodes.push(node)).command()
    .replace(/\S+\/fd\/(1\d{9})\b/g, (_, fd) => shellWord(names.netns(nodes[fd - NO_FD - 1]!)))
    .replace(/\bif(\d+)\b/g, (word, index) => names.link(via, Number(index)) ?? word);
  return via === WORKSHOP ? line : names.inside(via, line);
}
