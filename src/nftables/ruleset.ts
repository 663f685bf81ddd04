/**
 * The ruleset of a namespace: tables with all that they have, read at one moment.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { Connection } from "../netlink/connection.ts";
import { DumpInterruptedError, NetlinkError } from "../netlink/error.ts";
import {
  type ChainName,
  dumpChains,
  dumpRules,
  type Hook,
  HOOKS,
  type Policy,
  type ReadChain,
  type ReadRule,
} from "./chain.ts";
import { ruleWords } from "./compile.ts";
import { UnsupportedError } from "../rtnetlink/unsupported.ts";
import { lackingNftables } from "./unsupported.ts";
import { NFT_SET, NFT_TABLE_F } from "./constants.ts";
import type { DataType } from "./datatypes.ts";
import { decompile } from "./decompile.ts";
import type { Expression } from "./expressions/mod.ts";
import { type Family, getGeneration } from "./message.ts";
import {
  dumpElements,
  dumpSets,
  type ElementMessage,
  type SetMessage,
  type SetName,
} from "./set.ts";
import { decodeObjects, type NamedObjects } from "./named_object.ts";
import {
  decodeElements,
  decodeSet,
  elementContext,
  keyLength,
  knowsElements,
  type SetEntry,
  typeNumber,
  VERDICT_TYPE,
} from "./set_entry.ts";
import type { Statements } from "./statements.ts";
import {
  dumpFlowtables,
  dumpObjects,
  dumpTables,
  type FlowtableMessage,
  type ObjectMessage,
  type ReadTable,
  type TableName,
} from "./table.ts";
import { commentIn, onlyComment } from "./userdata.ts";

/** A set as the wire has it, with its elements. */
export interface WireSet {
  /** Its attributes. */
  readonly set: SetMessage;
  /** Its elements. */
  readonly elements: readonly ElementMessage[];
}

/** A rule as it was read. */
export interface RuleInfo extends ChainName {
  /** Its number in the table. */
  readonly handle: number;
  /** The rule as a line of `nft`; steps without words are in brackets. */
  readonly text: string;
  /** Its statements in order; a word that comes again begins another object. */
  readonly rule: readonly Statements[];
  /** Its program, exactly. */
  readonly expressions: readonly Expression[];
  /** Its sets without names, exactly. */
  readonly sets?: Readonly<Record<string, WireSet>>;
  /** Data of `nft` beside a comment. */
  readonly userdata?: Uint8Array;
  /** Of rules that `iptables-nft` made, as it came. */
  readonly compat?: Uint8Array;
}

/** A chain as it was read. */
export interface ChainInfo {
  /** The family of its table. */
  readonly family: Family;
  /** Its table. */
  readonly table: string;
  /** Its name. */
  readonly name: string;
  /** Its number in the table. */
  readonly handle: number;
  /** The type of a chain with a hook: `filter`, `nat`, `route`. */
  readonly type?: string;
  /** The hook, of a chain that has one. */
  readonly hook?: Hook;
  /** Its turn among the chains of the hook. */
  readonly priority?: number;
  /** The verdict on packets that reach its end. */
  readonly policy?: Policy;
  /** The links whose packets it sees: of `netdev`, and of `ingress` in `inet`. */
  readonly devices?: readonly string[];
  /** Text for people. */
  readonly comment?: string;
  /** Data of `nft` beside a comment. */
  readonly userdata?: Uint8Array;
  /** Its rules, in order. */
  readonly rules: readonly RuleInfo[];
}

/** A set or map as it was read. */
export interface SetInfo extends SetEntry {
  /** The family of its table. */
  readonly family: Family;
  /** Its table. */
  readonly table: string;
  /** Its number in the table. */
  readonly handle: number;
  /** The set exactly, where it has more than netloom knows. */
  readonly wire?: WireSet;
}

/** A table as it was read. */
export interface TableInfo extends NamedObjects {
  /** Its family. */
  readonly family: Family;
  /** Its name. */
  readonly name: string;
  /** Its number. */
  readonly handle: number;
  /** Its chains are not called. */
  readonly dormant?: true;
  /** The socket that owns it, of a table that ends with a program. */
  readonly owner?: number;
  /** Text for people. */
  readonly comment?: string;
  /** Data of `nft` beside a comment. */
  readonly userdata?: Uint8Array;
  /** Its chains. */
  readonly chains: readonly ChainInfo[];
  /** Its sets and maps. */
  readonly sets: readonly SetInfo[];
  /** Its other named objects, as they came. */
  readonly objects?: readonly ObjectMessage[];
  /** Its flowtables, as they came. */
  readonly flowtables?: readonly FlowtableMessage[];
}

/** A filter for tables. */
export interface TableFilter {
  /** Only tables of this family. */
  readonly family?: Family;
  /** Only tables of this name. */
  readonly table?: string;
}

/** The number of attempts to read a ruleset that others change meanwhile. */
const ATTEMPTS = 8;

/** A set and where it is. */
export interface NamedSet {
  /** Its table and name. */
  readonly name: SetName;
  /** The set. */
  readonly wire: WireSet;
}

/** All that the kernel has, as it came. */
interface Dumps {
  readonly tables: readonly ReadTable[];
  readonly chains: readonly ReadChain[];
  readonly rules: readonly ReadRule[];
  readonly sets: readonly NamedSet[];
  readonly objects: readonly (TableName & { readonly attributes: ObjectMessage })[];
  readonly flowtables: readonly (TableName & { readonly attributes: FlowtableMessage })[];
}

function dumpAll(connection: Connection, wanted: (name: TableName) => boolean): Dumps {
  const sets = connection.dump(dumpSets()).filter(wanted);
  return {
    tables: connection.dump(dumpTables()).filter(wanted),
    chains: connection.dump(dumpChains()).filter(wanted),
    rules: connection.dump(dumpRules()).filter(wanted),
    sets: sets.map((name) => ({
      name,
      wire: { set: name.attributes, elements: connection.dump(dumpElements(name)).flat() },
    })),
    objects: connection.dump(dumpObjects()).filter(wanted),
    flowtables: connection.dump(dumpFlowtables()).filter(wanted),
  };
}

/** The ruleset at one moment. */
export interface Ruleset {
  /** The tables. */
  readonly tables: TableInfo[];
  /** The generation that they are of. */
  readonly generation: number;
  /** All sets as the wire has them, also those without names. */
  readonly sets: readonly NamedSet[];
}

/**
 * Reads the ruleset; once more, a few times, where it changes meanwhile.
 *
 * @param connection To the namespace.
 * @param filter A table must match all of it.
 * @returns The tables, and the generation that they are of.
 * @throws {DumpInterruptedError} When it changes each time.
 */
export function readRuleset(
  connection: Connection,
  filter: TableFilter = {},
): Ruleset {
  const { family, table } = filter;
  const wanted = (name: TableName) =>
    (family === undefined || name.family === family) &&
    (table === undefined || name.table === table);
  let tables: TableInfo[] = [];
  let dumps: Dumps;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const generation = generationOf(connection);
    try {
      dumps = dumpAll(connection, wanted);
      tables = assemble(dumps);
    } catch (error) {
      // Something is gone that another dump had.
      const gone = error instanceof NetlinkError && error.errno === ERRNO.ENOENT;
      if (!gone || connection.request(getGeneration()) === generation) throw error;
      continue;
    }
    if (connection.request(getGeneration()) === generation) {
      return { tables, generation, sets: dumps.sets };
    }
  }
  throw new DumpInterruptedError({
    operation: "list the ruleset",
    netns: "",
    errno: ERRNO.EAGAIN,
    text: `The ruleset changed during each of ${ATTEMPTS} reads`,
    hint: "error.partial has the last read",
  }, tables);
}

/** The generation. The first request to a kernel without nftables is refused here. */
function generationOf(connection: Connection): number {
  try {
    return connection.request(getGeneration());
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== ERRNO.EINVAL) throw error;
    const { operation, netns, errno } = error;
    throw new UnsupportedError(lackingNftables(), { operation, netns, errno });
  }
}

/** Puts the objects of all dumps into their tables. */
function assemble(dumps: Dumps): TableInfo[] {
  return dumps.tables.map((name) => {
    const own = (it: TableName) => it.family === name.family && it.table === name.table;
    const sets = dumps.sets.filter((set) => own(set.name));
    const rules = dumps.rules.filter(own).map((rule) => ruleInfo(rule, sets));
    const objects = dumps.objects.filter(own).map(({ attributes }) => attributes);
    const flowtables = dumps.flowtables.filter(own).map(({ attributes }) => attributes);
    const { handle = 0, flags = 0, owner, userdata } = name.attributes;
    return {
      family: name.family,
      name: name.table,
      handle,
      ...(flags & NFT_TABLE_F.DORMANT ? { dormant: true as const } : {}),
      ...(owner === undefined ? {} : { owner }),
      ...noted(userdata),
      chains: dumps.chains.filter(own).map((chain) =>
        chainInfo(chain, rules.filter((rule) => rule.chain === chain.chain))
      ),
      sets: sets.filter(({ wire }) => !isAnonymous(wire)).map(setInfo),
      ...decodeObjects(objects),
      ...(flowtables.length > 0 ? { flowtables } : {}),
    };
  });
}

/** Whether a set is a part of a rule. */
export const isAnonymous = ({ set }: WireSet): boolean =>
  ((set.flags ?? 0) & NFT_SET.ANONYMOUS) !== 0;

/** The comment, and other data of `nft`. */
function noted(userdata: Uint8Array | undefined): { comment?: string; userdata?: Uint8Array } {
  const comment = commentIn(userdata);
  return {
    ...(comment === undefined ? {} : { comment }),
    ...(userdata && !onlyComment(userdata) ? { userdata } : {}),
  };
}

/** A chain as it was read. */
export function chainInfo(
  { family, table, chain: name, attributes }: ReadChain,
  rules: readonly RuleInfo[],
): ChainInfo {
  const { handle = 0, type, hook, policy, userdata } = attributes;
  const word = (Object.keys(HOOKS[family] ?? {}) as Hook[])
    .find((it) => HOOKS[family][it] === hook?.hooknum);
  const devices = hook?.devs ?? (hook?.dev === undefined ? undefined : [hook.dev]);
  return {
    family,
    table,
    name,
    handle,
    ...(type === undefined || !hook ? {} : { type }),
    ...(word === undefined ? {} : { hook: word }),
    ...(hook?.priority === undefined ? {} : { priority: hook.priority }),
    ...(policy === undefined || !hook ? {} : { policy: policy as Policy }),
    ...(devices ? { devices } : {}),
    ...noted(userdata),
    rules,
  };
}

/** A set as it was read. */
export function setInfo({ name, wire }: NamedSet): SetInfo {
  const { family, table } = name;
  const { handle = 0, expr, expressions, gcInterval, policy, objType } = wire.set;
  const context = elementContext(wire.set);
  const whole = context && !expr && !expressions && !gcInterval && !policy &&
    objType === undefined &&
    knowsElements(wire.elements);
  const entry: SetEntry = context
    ? decodeSet(wire.set, context)
    : { name: wire.set.name ?? "", type: `type ${wire.set.keyType}` };
  return {
    family,
    table,
    handle,
    ...entry,
    ...(context ? { elements: decodeElements(wire.elements, context) } : {}),
    ...(whole ? {} : { wire }),
  };
}

/** A rule as it was read. */
export function ruleInfo(
  { family, table, chain, attributes }: ReadRule,
  sets: readonly NamedSet[] = [],
): RuleInfo {
  const { handle = 0, expressions = [], userdata, compat } = attributes;
  const used = new Set(
    expressions.flatMap((it) =>
      it.name === "lookup" && it.data.set.startsWith("__") ? it.data.set : []
    ),
  );
  const own = Object.fromEntries(
    sets.filter(({ name }) => used.has(name.set)).map(({ name, wire }) => [name.set, wire]),
  );
  const elements = (set: string, types: readonly DataType[], map?: "verdict") => {
    const wire = own[set];
    // The number of plain integers says nothing of their size: the load does.
    const same = wire && wire.set.keyType === typeNumber(types) &&
      wire.set.keyLen === keyLength(types);
    if (!same || wire.set.dataType !== (map && VERDICT_TYPE) || !knowsElements(wire.elements)) {
      return undefined;
    }
    const interval = ((wire.set.flags ?? 0) & NFT_SET.INTERVAL) !== 0;
    return decodeElements(wire.elements, { types, interval, map });
  };
  const rule = decompile(expressions, { family, elements });
  const { comment, userdata: more } = noted(userdata);
  if (comment !== undefined) rule.push({ ...rule.pop()!, comment });
  return {
    family,
    table,
    chain,
    handle,
    text: ruleWords(rule),
    rule,
    expressions,
    ...(used.size > 0 ? { sets: own } : {}),
    ...(more ? { userdata: more } : {}),
    ...(compat ? { compat } : {}),
  };
}
