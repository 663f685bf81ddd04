/**
 * Tables of nftables for one purpose each: masquerading, and dropping packets.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo, type NetNsHandle } from "../netlink/connections.ts";
import { asArray, type Many } from "../netlink/collection.ts";
import { NETLINK } from "../netlink/message.ts";
import { NetlinkError } from "../netlink/error.ts";
import { checkOptions, type OptionNames, show, wordValue } from "../options.ts";
import { tryParseIp } from "../packet/address.ts";
import { commit } from "./commit.ts";
import { BatchBuilder, type ChainEntry } from "./entries.ts";
import { compileMatch } from "./match.ts";
import { readRuleset } from "./ruleset.ts";
import { type SelectorName, SELECTORS } from "./selectors.ts";
import type { Rule, Statements } from "./statements.ts";
import { deleteTableByHandle, describeTable, dumpTables, type TableName } from "./table.ts";

/** Links by a handle or by name. */
export type LinkName = string | { readonly name: string };

/** Options of {@link NetNs.masquerade}. */
export interface MasqueradeOptions {
  /** The link that the packets leave by: a handle or a name, or several. */
  readonly out: Many<LinkName>;
  /** Only packets from these addresses or prefixes. Default: all. */
  readonly from?: Many<string>;
}

/** Options of {@link NetNs.drop}. A packet must match all of it. */
export interface DropOptions {
  /** Source: addresses, prefixes or ranges, of IPv4 or IPv6; with `to`, of the same families as there. */
  readonly from?: Many<string>;
  /** Destination: addresses, prefixes or ranges, of IPv4 or IPv6. */
  readonly to?: Many<string>;
  /** Protocol: `tcp`, `udp`, `icmp`, `icmpv6`, `sctp`, or a number. */
  readonly proto?: string | number;
  /** Destination port, a range `1000-2000`, or several. Default protocols: `tcp` and `udp`. */
  readonly port?: Many<number | `${number}-${number}`>;
  /** The family: `bridge` drops packets that a bridge in the namespace passes on. Default: `inet`. */
  readonly family?: "inet" | "bridge";
}

const MASQUERADE: OptionNames<MasqueradeOptions> = { out: true, from: true };
const DROP: OptionNames<DropOptions> = {
  from: true,
  to: true,
  proto: true,
  port: true,
  family: true,
};

/** The number of attempts to find a free name. */
const ATTEMPTS = 8;

/** A table for one purpose, which is deleted when this is disposed. */
export class OwnTable implements Disposable {
  readonly #ref: NetNsRef;
  readonly #name: TableName;
  readonly #handle: number;
  #deleted = false;

  /** For {@link NetNs.masquerade} and {@link NetNs.drop}. */
  constructor(ref: NetNsRef, name: TableName, handle: number) {
    this.#ref = ref;
    this.#name = name;
    this.#handle = handle;
  }

  /** Its family. */
  get family(): TableName["family"] {
    return this.#name.family;
  }

  /** Its name. */
  get name(): string {
    return this.#name.table;
  }

  /** Packets that its rules have matched so far. */
  get packets(): number {
    const [table] = readRuleset(this.#connection, this.#name).tables;
    const parts = table?.handle === this.#handle
      ? table.chains.flatMap(({ rules }) => rules).flatMap(({ rule }) => rule)
      : [];
    return parts.reduce(
      (sum, { counter }) =>
        sum + (typeof counter === "object" && "packets" in counter ? counter.packets ?? 0 : 0),
      0,
    );
  }

  get #connection(): Connection {
    return connectionTo(this.#ref, NETLINK.NETFILTER);
  }

  /** Deletes the table: exactly this one. It may be gone already. A second call does nothing. */
  [Symbol.dispose](): void {
    if (this.#deleted || this.#ref.fd.closed) return;
    try {
      commit(this.#connection, [deleteTableByHandle(this.#name, this.#handle)]);
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno !== ERRNO.ENOENT) throw error;
    }
    this.#deleted = true;
  }

  /** Prints it. */
  [Symbol.for("Deno.customInspect")](): string {
    return `${describeTable(this.#name)}${this.#ref.place}`;
  }
}

/** Creates a table under the first free name. */
function create(
  netns: NetNsHandle,
  purpose: string,
  { family, chains }: {
    readonly family: TableName["family"];
    readonly chains: readonly ChainEntry[];
  },
): OwnTable {
  const ref = netns.ref.check(purpose);
  const connection = connectionTo(ref, NETLINK.NETFILTER);
  for (let attempt = 1;; attempt++) {
    const taken = new Set(connection.dump(dumpTables()).map(({ table }) => table));
    let number = 1;
    while (taken.has(`netloom-${purpose}-${number}`)) number++;
    const name: TableName = { family, table: `netloom-${purpose}-${number}` };
    const batch = new BatchBuilder(ref);
    batch.table({ family, name: name.table, chains });
    try {
      commit(connection, batch.requests);
    } catch (error) {
      const lost = error instanceof NetlinkError && error.errno === ERRNO.EEXIST;
      if (!lost || attempt === ATTEMPTS) throw error;
      continue;
    }
    const created = connection.dump(dumpTables())
      .find(({ family, table }) => family === name.family && table === name.table);
    return new OwnTable(ref, name, created?.attributes.handle ?? 0);
  }
}

/** Checks a value of an option as the word of a rule that it becomes does; the error names the option. */
function check(word: SelectorName, value: unknown, option: string): void {
  if (typeof value !== "string" && typeof value !== "number") {
    throw new TypeError(`${option} must be a string or a number: got ${show(value)}`);
  }
  compileMatch(SELECTORS[word], value, { path: option, addSet: () => 0 });
}

/** Checks each value of an option that takes one or several. */
function checkEach<T>(
  given: Many<T>,
  option: string,
  each: (value: T, path: string) => void,
): void {
  if (!Array.isArray(given)) return each(given as T, option);
  given.forEach((value, i) => each(value, `${option}[${i}]`));
}

/** Addresses of each family, by the word that matches them. */
function byFamily(
  given: Many<string> | undefined,
  end: "saddr" | "daddr",
  option: string,
): Statements[] {
  if (given === undefined) return [];
  const family = (text: string) =>
    typeof text === "string" ? tryParseIp(text.split(/[/-]/)[0]!)?.length : undefined;
  checkEach(given, option, (text, path) => {
    const length = family(text);
    if (length === undefined) {
      throw new TypeError(`${path} must be an address, a prefix or a range: got ${show(text)}`);
    }
    check(length === 4 ? `ip ${end}` : `ip6 ${end}`, text, path);
  });
  const of = (length: number) => asArray(given).filter((it) => family(it) === length);
  const match = (word: string, values: string[]) =>
    values.length > 0 ? [{ [word]: values.length === 1 ? values[0] : values } as Statements] : [];
  const found = [...match(`ip ${end}`, of(4)), ...match(`ip6 ${end}`, of(16))];
  if (found.length > 0) return found;
  throw new TypeError(`${option} must have an address: got ${show(given)}`);
}

/** The names of the links of `out`. */
function outNames(out: Many<LinkName>): string[] {
  const nameOf = (link: LinkName) => typeof link === "string" ? link : link?.name;
  const given = asArray(out ?? []);
  if (given.length === 0) throw new TypeError(`out must be a link or several: got ${show(out)}`);
  checkEach(out, "out", (link, path) => {
    const name: unknown = nameOf(link);
    if (typeof name !== "string") {
      throw new TypeError(`${path} must be a link or its name: got ${show(link)}`);
    }
    check("oifname", name, path);
  });
  return given.map(nameOf);
}

/** See {@link NetNs.masquerade}. */
export function masquerade(netns: NetNsHandle, options: MasqueradeOptions): OwnTable {
  checkOptions(options, MASQUERADE);
  const names = outNames(options.out);
  const oifname = names.length === 1 ? names[0]! : names;
  const sources = options.from === undefined ? [{}] : byFamily(options.from, "saddr", "from");
  const rules = sources.map((source): Rule => ({
    oifname,
    ...source,
    counter: true,
    masquerade: true,
  }));
  return create(netns, "masquerade", {
    family: "inet",
    chains: [{ name: "postrouting", type: "nat", hook: "postrouting", rules }],
  });
}

/** The families of addresses that a match is for. */
const isSix = (part: Statements): boolean =>
  Object.keys(part).some((word) => word.startsWith("ip6"));

const familiesOf = (parts: readonly Statements[]): string =>
  parts.map((part) => isSix(part) ? "IPv6" : "IPv4").join(" and ");

/** The parts of {@link DropOptions} about protocol and port. */
function transport({ proto, port }: DropOptions): Statements {
  if (proto !== undefined) check("meta l4proto", proto, "proto");
  if (port === undefined) return proto === undefined ? {} : { "meta l4proto": proto };
  const ports = asArray(port);
  if (ports.length === 0) throw new TypeError("port must be a port, a range or several: got []");
  checkEach(port, "port", (value, path) => check("th dport", value, path));
  const dport = ports.length === 1 ? ports[0]! : ports;
  if (proto === undefined) return { "meta l4proto": ["tcp", "udp"], "th dport": dport };
  wordValue(proto, { tcp: 6, udp: 17, sctp: 132 }, "proto with a port");
  return { [`${proto} dport`]: dport };
}

/** See {@link NetNs.drop}. */
export function drop(netns: NetNsHandle, options: DropOptions): OwnTable {
  checkOptions(options, DROP);
  const { from, to, family = "inet" } = options;
  wordValue(family, { inet: 1, bridge: 7 }, "family");
  if (
    from === undefined && to === undefined && options.proto === undefined &&
    options.port === undefined
  ) {
    throw new TypeError("options must have one of from, to, proto and port: got {}");
  }
  const sources = from === undefined ? [{}] : byFamily(from, "saddr", "from");
  const destinations = to === undefined ? [{}] : byFamily(to, "daddr", "to");
  if (from !== undefined && to !== undefined && familiesOf(sources) !== familiesOf(destinations)) {
    throw new TypeError(
      `from and to must have addresses of the same families: got ${familiesOf(sources)} in from, ` +
        `${show(from)}, and ${familiesOf(destinations)} in to, ${show(to)}`,
    );
  }
  const rules = sources.flatMap((source) =>
    destinations
      .filter((destination) =>
        from === undefined || to === undefined || isSix(source) === isSix(destination)
      )
      .map((destination): Rule => ({
        ...source,
        ...destination,
        ...transport(options),
        counter: true,
        verdict: "drop",
      }))
  );
  const priority = family === "inet" ? "raw" : "dstnat";
  return create(netns, "drop", {
    family,
    chains: (["prerouting", "output"] as const).map((hook) => ({
      name: hook,
      hook,
      priority,
      rules,
    })),
  });
}
