/**
 * The policy rules of a namespace, which choose the table that packets look in, and the nexthop objects that
 * routes share.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { type NetNsRef, newNetNs } from "../../ffi/namespace.ts";
import {
  addAll,
  convert,
  deleteAll,
  flushAll,
  type Inspect,
  inspectList,
  type Many,
  replaceAll,
  type Undo,
} from "../netlink/collection.ts";
import { Writer } from "../netlink/bytes.ts";
import { connectionTo, type NetNsHandle } from "../netlink/connections.ts";
import { boolean, checkOptions, hasKey, integer, type OptionNames } from "../options.ts";
import {
  ROUTE_PROTOCOLS,
  ROUTE_TABLES,
  type RouteProtocol,
  type RouteTable,
} from "../rtnetlink/constants.ts";
import { byteValue, type IpFamily } from "../rtnetlink/fields.ts";
import {
  deletePolicyRule,
  dumpPolicyRules,
  familyOfRule,
  NEWER_RULE_OPTIONS,
  newPolicyRule,
  type PolicyRule,
  type PolicyRuleInfo,
  RULE_ACTIONS,
  ruleFormat,
  settableRule,
} from "../rtnetlink/rule.ts";
import {
  deleteNexthop,
  dumpNexthopBuckets,
  dumpNexthops,
  getNexthop,
  newNexthop,
  type NexthopBucket,
  type NexthopInfo,
  type NexthopMessage,
  settableNexthop,
} from "../rtnetlink/nexthop.ts";
import { indexOf, type LinkTarget } from "../rtnetlink/link_target.ts";
import { UnsupportedError } from "../rtnetlink/unsupported.ts";
import { Devices, titleOf, withFamily } from "./entries.ts";

const OPTIONS: OptionNames<PolicyRule> = {
  family: true,
  priority: true,
  not: true,
  from: true,
  to: true,
  iif: true,
  oif: true,
  fwmark: true,
  fwmask: true,
  tos: true,
  dscp: true,
  dscpMask: true,
  flowlabel: true,
  flowlabelMask: true,
  ipProtocol: true,
  sport: true,
  sportMask: true,
  dport: true,
  dportMask: true,
  uidRange: true,
  tunId: true,
  l3mdev: true,
  table: true,
  goto: true,
  suppressPrefixlength: true,
  suppressIfgroup: true,
  realms: true,
  protocol: true,
  action: true,
};

/** A filter for rules: a rule must match all of it. */
export interface PolicyRuleFilter {
  /** Only IPv4 (`inet`) or IPv6 (`inet6`). */
  readonly family?: IpFamily;
  /** Only rules with this priority. */
  readonly priority?: number;
  /** Only rules that look in this table. */
  readonly table?: RouteTable | number;
  /** Only rules of this origin. */
  readonly protocol?: RouteProtocol | number;
}

const FILTER: OptionNames<PolicyRuleFilter> = {
  family: true,
  priority: true,
  table: true,
  protocol: true,
};

/** In reverse: of rules without a priority of their own the last one comes first. */
const undo: Undo<PolicyRule> = (done) => done.toReversed().map(deletePolicyRule);

/**
 * The policy rules of a namespace, IPv4 and IPv6. The kernel goes through them by priority until a table has a
 * route for the packet.
 *
 * @example A second uplink for one source address
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * for (const n of [1, 2]) {
 *   const addresses = [`192.0.${n}.1/24`];
 *   Veth.create({ name: `up${n}`, netns, up: true, addresses, peer: { name: `p${n}`, netns, up: true } });
 * }
 * netns.routes.add([
 *   { destination: "default", gateway: "192.0.1.254" },
 *   { destination: "default", gateway: "192.0.2.254", table: 2 },
 * ]);
 * netns.rules.add({ from: "192.0.2.0/24", table: 2, priority: 1000 });
 *
 * const to = "198.51.100.1";
 * assertEquals(netns.routes.get(to, { from: "192.0.1.1" }).gateway, "192.0.1.254");
 * assertEquals(netns.routes.get(to, { from: "192.0.2.1" }).gateway, "192.0.2.254");
 * ```
 */
export class NetNsRules {
  readonly #netns: NetNsHandle;

  /** For namespaces. */
  constructor(netns: NetNsHandle) {
    this.#netns = netns;
  }

  /**
   * Reads the rules in the order in which the kernel goes through them, IPv4 first.
   *
   * @param filter A family, or a filter that a rule must match all of.
   * @throws {TypeError} For an unknown or malformed option.
   */
  list(filter: IpFamily | PolicyRuleFilter = {}): PolicyRuleInfo[] {
    const given = withFamily(filter);
    checkOptions(given, FILTER);
    const { family, priority } = given;
    const table = numberOf(given.table, ROUTE_TABLES, "table");
    const protocol = given.protocol === undefined
      ? undefined
      : byteValue(given.protocol, ROUTE_PROTOCOLS, "protocol");
    return connectionTo(this.#netns.ref).dump(dumpPolicyRules(family)).filter((rule) =>
      (priority === undefined || rule.priority === priority) &&
      (table === undefined || numberOf(rule.table, ROUTE_TABLES, "table") === table) &&
      (protocol === undefined || byteValue(rule.protocol, ROUTE_PROTOCOLS, "") === protocol)
    );
  }

  /**
   * Adds rules, all or none.
   *
   * @param rules One or many; also what `list()` gave.
   * @throws {NetlinkError} EEXIST when there is a rule like it; EINVAL for what the kernel cannot do.
   * @throws {UnsupportedError} For an option that the kernel would silently ignore.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For malformed prefixes and options, and a rule that leads nowhere; none is added then.
   */
  add(rules: Many<PolicyRule | PolicyRuleInfo>): void {
    const { ref } = this.#netns;
    const messages = this.#messages(rules, checkLead);
    checkNewer(messages, "add", ref);
    if (messages.length > 1) this.#prioritize(messages);
    addAll(connectionTo(ref), messages, newPolicyRule, undo);
  }

  /**
   * Deletes rules: of each the first that has all that is given.
   *
   * @param rules One or many; also what `list()` gave.
   * @throws {NetlinkError} ENOENT when there is none.
   * @throws {TypeError} For malformed options, and for a rule of which nothing is given.
   */
  delete(rules: Many<PolicyRule | PolicyRuleInfo>): void {
    const { ref } = this.#netns;
    const messages = this.#messages(rules, checkGiven);
    checkNewer(messages, "delete", ref);
    deleteAll(connectionTo(ref), messages, deletePolicyRule);
  }

  /**
   * Deletes rules: those that match all of `filter`. Without a `protocol` the kernel's own stay, which lead to
   * the tables `local`, `main` and `default`.
   *
   * @param filter A family, or a filter that a rule must match all of.
   * @throws {TypeError} For an unknown or malformed option.
   */
  flush(filter: IpFamily | PolicyRuleFilter = {}): void {
    const given = withFamily(filter);
    const rules = this.list(given)
      .filter(({ protocol }) => given.protocol !== undefined || protocol !== "kernel");
    const request = (rule: PolicyRuleInfo) => deletePolicyRule(settableRule(rule));
    flushAll(connectionTo(this.#netns.ref), rules, request, [ERRNO.ENOENT]);
  }

  #messages(
    rules: Many<PolicyRule | PolicyRuleInfo>,
    check: (rule: PolicyRule) => void,
  ): PolicyRule[] {
    return convert(rules, (rule) => {
      if (hasKey(rule, "flags")) return settableRule(rule as PolicyRuleInfo);
      checkOptions(rule, OPTIONS);
      check(rule);
      // Bad values are told ahead of options that the kernel lacks.
      ruleFormat.write(new Writer(), rule);
      return rule;
    });
  }

  /** Gives rules the priority that the kernel would choose: with it, exactly they can be deleted again. */
  #prioritize(messages: PolicyRule[]): void {
    const next = new Map<IpFamily, number>();
    messages.forEach((rule, i) => {
      if (rule.priority !== undefined) return;
      const family = familyOfRule(rule);
      if (!next.has(family)) next.set(family, this.list(family)[1]?.priority ?? 0);
      const priority = Math.max(next.get(family)! - 1, 0);
      next.set(family, priority);
      messages[i] = { ...rule, priority };
    });
  }

  /** Prints the rules. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const title = titleOf("rules", this.#netns.ref);
    return inspectList(title, () => this.list(), inspect, options);
  }
}

function numberOf<K extends string>(
  value: K | number | undefined,
  names: Readonly<Record<K, number>>,
  path: string,
): number | undefined {
  return typeof value === "string" ? byteValue(value, names, path) : value;
}

/** Refuses a rule that says not where packets go. */
function checkLead({ table, l3mdev, goto, action }: PolicyRule): void {
  // A misspelled action is not one that leads somewhere.
  const number = action === undefined ? undefined : byteValue(action, RULE_ACTIONS, "action");
  if (number === RULE_ACTIONS.goto && goto === undefined) {
    throw new TypeError('action "goto" needs goto, the priority of the next rule');
  }
  const needsTable = goto === undefined && (number ?? RULE_ACTIONS.lookup) === RULE_ACTIONS.lookup;
  if (!needsTable || table !== undefined || l3mdev) return;
  throw new TypeError("A rule needs table, l3mdev, goto or an action: it leads nowhere");
}

/** Refuses a deletion of whichever rule is the first. */
function checkGiven({ family: _, ...rule }: PolicyRule): void {
  if (Object.values(rule).some((value) => value !== undefined)) return;
  throw new TypeError("delete() needs a property of the rule, such as priority: got none");
}

/** Whether the running kernel has each option that it would otherwise silently ignore. */
const has = new Map<string, boolean>();

/** Refuses options that the kernel lacks. */
function checkNewer(messages: readonly PolicyRule[], verb: string, ref: NetNsRef): void {
  for (const option of Object.keys(NEWER_RULE_OPTIONS) as (keyof PolicyRule)[]) {
    if (!messages.some((message) => message[option] !== undefined)) continue;
    if (!has.has(option)) has.set(option, tryOption(option));
    if (has.get(option)) continue;
    const linux = NEWER_RULE_OPTIONS[option]!;
    const hint = `the running kernel lacks ${option} of rules: Linux ${linux} or later has it`;
    throw new UnsupportedError({ kind: "rule", option, linux, hint }, {
      operation: `${verb} a rule with ${option}`,
      netns: ref.description,
      errno: ERRNO.EOPNOTSUPP,
    });
  }
}

/** Adds a rule with an option in a throw-away namespace, and reads it back. */
function tryOption(option: keyof PolicyRule): boolean {
  using ref = newNetNs("a throw-away netns");
  const connection = connectionTo(ref);
  const family = option.startsWith("flow") ? "inet6" : "inet";
  const [base] = option.split("Mask") as [keyof PolicyRule];
  connection.request(newPolicyRule({ family, priority: 9, table: 9, [base]: 1, [option]: 1 }));
  return connection.dump(dumpPolicyRules(family)).some((rule) =>
    rule.priority === 9 && option in rule
  );
}

/** A nexthop object to be set. */
export interface NexthopOptions extends Omit<NexthopMessage, "oif"> {
  /** The link that packets leave through. */
  readonly dev?: LinkTarget;
}

const NEXTHOP: OptionNames<NexthopOptions> = {
  id: true,
  family: true,
  gateway: true,
  dev: true,
  onlink: true,
  blackhole: true,
  fdb: true,
  group: true,
  type: true,
  buckets: true,
  idleTimer: true,
  unbalancedTimer: true,
  protocol: true,
  encapType: true,
  encap: true,
};

/** A filter for nexthop objects: an object must match all of it. */
export interface NexthopFilter {
  /** Only those through this link. */
  readonly dev?: LinkTarget;
  /** Only groups, or with `false` only single ones. */
  readonly groups?: boolean;
  /** Only those of this origin. */
  readonly protocol?: RouteProtocol | number;
}

const NEXTHOP_FILTER: OptionNames<NexthopFilter> = { dev: true, groups: true, protocol: true };

/** In reverse: a group is deleted before its nexthops. */
const undoNexthops: Undo<NexthopMessage> = (done) => done.toReversed().map(deleteNexthop);

/**
 * The nexthop objects of a namespace: many routes share one (`nexthopId`), and a change of it changes all of
 * them at once. A group spreads flows over several; a resilient group keeps flows where they are when its
 * members change.
 *
 * @example Routes over a group, and a member that is taken out
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const peer = { name: "v1", netns, up: true };
 * Veth.create({ name: "v0", netns, up: true, addresses: ["192.0.2.1/24"], peer });
 * netns.nexthops.add([
 *   { id: 1, gateway: "192.0.2.2", dev: "v0" },
 *   { id: 2, gateway: "192.0.2.3", dev: "v0" },
 *   { id: 10, group: [{ id: 1, weight: 3 }, { id: 2 }] },
 * ]);
 * netns.routes.add({ destination: "10.0.0.0/8", nexthopId: 10 });
 * netns.nexthops.replace({ id: 10, group: [{ id: 2 }] });
 * assertEquals(netns.routes.get("10.1.2.3").gateway, "192.0.2.3");
 * ```
 */
export class NetNsNexthops {
  readonly #netns: NetNsHandle;

  /** For namespaces. */
  constructor(netns: NetNsHandle) {
    this.#netns = netns;
  }

  /**
   * Reads the objects: all, or those that the filter lets through.
   *
   * @param filter An object must match all of it. Default: all objects.
   * @throws {NetlinkError} ENODEV when there is no such `dev`.
   * @throws {TypeError} For an unknown or malformed option.
   */
  list(filter: NexthopFilter = {}): NexthopInfo[] {
    checkOptions(filter, NEXTHOP_FILTER);
    const { dev, groups, protocol } = filter;
    if (groups !== undefined) boolean(groups, "groups");
    const { ref } = this.#netns;
    const oif = dev === undefined ? {} : { oif: indexOf(dev, ref, "dev") };
    const number = protocol === undefined
      ? undefined
      : byteValue(protocol, ROUTE_PROTOCOLS, "protocol");
    return connectionTo(ref).dump(dumpNexthops(oif)).filter((it) =>
      (groups === undefined || groups === (it.group !== undefined)) &&
      (number === undefined || byteValue(it.protocol, ROUTE_PROTOCOLS, "") === number)
    );
  }

  /**
   * Reads one object.
   *
   * @param id Its id, 1..4294967295.
   * @throws {NetlinkError} ENOENT when there is none.
   * @throws {RangeError} For an id out of range.
   */
  get(id: number): NexthopInfo {
    return connectionTo(this.#netns.ref).request(getNexthop(id));
  }

  /**
   * Reads the buckets of a resilient group.
   *
   * @param id The id of the group, 1..4294967295.
   * @returns One entry a bucket, with its nexthop and the seconds since a packet used it.
   * @throws {NetlinkError} ENOENT when there is none, EINVAL for an object that is no resilient group.
   */
  buckets(id: number): NexthopBucket[] {
    return connectionTo(this.#netns.ref).dump(dumpNexthopBuckets(id));
  }

  /**
   * Adds objects, all or none. Groups come after their nexthops.
   *
   * @param nexthops One or many; also what `list()` gave.
   * @throws {NetlinkError} EEXIST when the id is taken, EINVAL for a gateway or group that cannot be.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For malformed options; none is added then.
   */
  add(nexthops: Many<NexthopOptions | NexthopInfo>): void {
    const request = (it: NexthopMessage) => newNexthop(it);
    addAll(connectionTo(this.#netns.ref), this.#messages(nexthops), request, undoNexthops);
  }

  /**
   * Adds objects, or changes those with their ids. Routes over them follow at once.
   *
   * @param nexthops As for {@link NetNsNexthops.add}.
   * @throws {BatchError} When some of many are refused; those that the call has added are removed again.
   */
  replace(nexthops: Many<NexthopOptions | NexthopInfo>): void {
    const request = (it: NexthopMessage, replace: boolean) => newNexthop(it, { replace });
    replaceAll(connectionTo(this.#netns.ref), this.#messages(nexthops), request, undoNexthops);
  }

  /**
   * Deletes objects, and the routes over them. A group that loses its last nexthop goes too.
   *
   * @param nexthops One or many: an id, or an object with it; also what `list()` gave.
   * @throws {NetlinkError} ENOENT when there is none.
   * @throws {BatchError} When some of many are refused; the others are deleted.
   * @throws {TypeError} For malformed selectors; none is deleted then.
   */
  delete(nexthops: Many<number | Pick<NexthopInfo, "id">>): void {
    const all = convert(nexthops, (it) => {
      const given = typeof it === "number" ? { id: it } : it;
      if (!hasKey(given, "flags")) checkOptions(given, { id: true });
      return { id: integer(given.id, "id", 1, 2 ** 32 - 1) };
    });
    deleteAll(connectionTo(this.#netns.ref), all, deleteNexthop);
  }

  /**
   * Deletes objects, and the routes over them.
   *
   * @param filter An object must match all of it. Default: all objects.
   * @throws {NetlinkError} ENODEV when there is no such `dev`.
   * @throws {TypeError} For an unknown or malformed option.
   */
  flush(filter: NexthopFilter = {}): void {
    const gone = [ERRNO.ENOENT];
    flushAll(connectionTo(this.#netns.ref), this.list(filter), deleteNexthop, gone);
  }

  #messages(nexthops: Many<NexthopOptions | NexthopInfo>): NexthopMessage[] {
    const devices = new Devices(this.#netns.ref);
    return convert(nexthops, (nexthop) => {
      if (hasKey(nexthop, "flags")) return settableNexthop(nexthop as NexthopInfo);
      checkOptions(nexthop, NEXTHOP);
      const { dev, ...rest } = nexthop as NexthopOptions;
      if (rest.id === undefined) {
        throw new TypeError("id must be the id of a nexthop: got undefined");
      }
      return dev === undefined ? rest : { ...rest, oif: devices.indexOf(dev) };
    });
  }

  /** Prints the objects. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const title = titleOf("nexthops", this.#netns.ref);
    return inspectList(title, () => this.list(), inspect, options);
  }
}
