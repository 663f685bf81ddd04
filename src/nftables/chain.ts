/**
 * Chains and their rules: NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE and others.
 *
 * @module
 */
import { be32, be64, binary, list, mapped, named, text } from "../netlink/attribute.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { nested, type Schema, schema } from "../netlink/schema.ts";
import { integer, show, wordValue } from "../options.ts";
import { NFTA_CHAIN, NFTA_DEVICE, NFTA_HOOK, NFTA_RULE } from "./constants.ts";
import { counter, type CounterData } from "./expressions/act.ts";
import { type Expression, expressionsField } from "./expressions/mod.ts";
import {
  addFlags,
  type Family,
  familyNumber,
  familyWord,
  nftDump,
  nftFormat,
  type NftMessage,
  nftRequest,
} from "./message.ts";
import { describeTable, nameField, type TableName, tableWords } from "./table.ts";

/** The place in the path of a packet where a chain is called. */
export type Hook =
  | "prerouting"
  | "input"
  | "forward"
  | "output"
  | "postrouting"
  | "ingress"
  | "egress";

/** The verdict on packets that reach the end of a chain. */
export type Policy = "accept" | "drop";

const INET = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

/** The hooks of each family, and their numbers (`enum nf_inet_hooks`, `NF_BR_*`, `NF_ARP_*`). */
export const HOOKS: Readonly<Record<Family, Readonly<Partial<Record<Hook, number>>>>> = {
  ip: INET,
  ip6: INET,
  inet: { ...INET, ingress: 5 },
  bridge: INET,
  arp: { input: 0, output: 1 },
  netdev: { ingress: 0, egress: 1 },
};

const PRIORITIES = { raw: -300, mangle: -150, dstnat: -100, filter: 0, security: 50, srcnat: 100 };
const BRIDGE_PRIORITIES = { dstnat: -300, filter: -200, out: 100, srcnat: 300 };

/** The word of `nft` for a priority: `out` is for bridges only, `raw`, `mangle` and `security` for the others. */
export type PriorityWord =
  | "raw"
  | "mangle"
  | "dstnat"
  | "filter"
  | "security"
  | "srcnat"
  | "out";

/** The turn of a chain among those at its hook: lower ones are first. A number, or a word of `nft`. */
export type Priority = number | PriorityWord | `${PriorityWord} ${"+" | "-"} ${number}`;

/**
 * The number of a priority.
 *
 * @throws {TypeError} For an unknown word.
 * @throws {RangeError} For a number of more than 32 bits.
 */
export function priorityNumber(priority: Priority, family: Family): number {
  const number = (value: number) => integer(value, "priority", -0x80000000, 0x7fffffff);
  if (typeof priority === "number") return number(priority);
  const [, word, sign, offset] = /^([a-z]+)(?: *([+-]) *(\d{1,9}))?$/.exec(priority) ?? [];
  const words = family === "bridge" ? BRIDGE_PRIORITIES : PRIORITIES;
  const base = wordValue(word ?? priority, words, "priority");
  return number(base + (sign === "-" ? -1 : 1) * Number(offset ?? 0));
}

/** The hook of a chain. */
export interface HookMessage {
  /** The hook's number, which depends on the family. */
  hooknum?: number;
  /** The priority. */
  priority?: number;
  /** The link. */
  dev?: string;
  /** The links, where there are more. */
  devs?: string[];
}

const hookSchema: Schema<HookMessage> = schema<HookMessage>("NFTA_HOOK_", NFTA_HOOK, {
  hooknum: be32(NFTA_HOOK.HOOKNUM),
  priority: mapped(be32(NFTA_HOOK.PRIORITY), (value: number) => value >>> 0, (value) => value | 0),
  dev: text(NFTA_HOOK.DEV, 15),
  devs: list(NFTA_HOOK.DEVS, text(NFTA_DEVICE.NAME, 15)),
});

/** A chain's attributes. */
export interface ChainMessage {
  /** The table's name. */
  table?: string;
  /** Its number. */
  handle?: number;
  /** Its name. */
  name?: string;
  /** The hook. */
  hook?: HookMessage;
  /** The verdict on packets that reach its end. */
  policy?: Policy | number;
  /** The number of its rules, and of jumps to it. */
  use?: number;
  /** The type: `filter`, `nat`, `route`. */
  type?: string;
  /** Counters of its policy. */
  counters?: CounterData;
  /** `NFT_CHAIN_*` bits. */
  flags?: number;
  /** Its number in the batch. */
  id?: number;
  /** Data of `nft`: the comment. */
  userdata?: Uint8Array;
}

const chainSchema: Schema<ChainMessage> = schema<ChainMessage>("NFTA_CHAIN_", NFTA_CHAIN, {
  table: nameField(NFTA_CHAIN.TABLE),
  handle: be64(NFTA_CHAIN.HANDLE),
  name: nameField(NFTA_CHAIN.NAME),
  hook: nested(NFTA_CHAIN.HOOK, hookSchema),
  policy: named(be32(NFTA_CHAIN.POLICY), { drop: 0, accept: 1 }),
  use: be32(NFTA_CHAIN.USE),
  type: text(NFTA_CHAIN.TYPE, 127),
  counters: nested(NFTA_CHAIN.COUNTERS, counter.data),
  flags: be32(NFTA_CHAIN.FLAGS),
  id: be32(NFTA_CHAIN.ID),
  userdata: binary(NFTA_CHAIN.USERDATA),
}, [NFTA_CHAIN.PAD]);

/** The framing of messages about chains. */
export const chainFormat: MessageFormat<NftMessage<ChainMessage>> = nftFormat(chainSchema);

/** A chain by its table and name. */
export interface ChainName extends TableName {
  /** The chain's name. */
  readonly chain: string;
}

/** A chain for a person: `chain "input" of table inet "filter"`. */
export function describeChain(name: ChainName): string {
  return `chain ${show(name.chain)} of ${describeTable(name)}`;
}

/** A chain as words of `nft`: `inet filter input`. */
export function chainWords(name: ChainName): string {
  return `${tableWords(name)} ${name.chain}`;
}

/** The properties of a chain in a line of `nft`. */
export function chainBody(family: Family, { type, hook, policy }: ChainMessage): string {
  if (!hook) return policy === undefined ? "" : `policy ${policy};`;
  const { hooknum, priority, dev, devs } = hook;
  const at = Object.entries(HOOKS[family]).find(([, number]) => number === hooknum)?.[0] ?? hooknum;
  const links = dev !== undefined
    ? ` device "${dev}"`
    : devs
    ? ` devices = { ${devs.map((name) => `"${name}"`).join(", ")} }`
    : "";
  return `type ${type} hook ${at}${links} priority ${priority};` +
    (policy === undefined ? "" : ` policy ${policy};`);
}

/** Adds a chain, or changes its policy; with `create` it must not be there yet. */
export function newChain(
  name: ChainName,
  attributes: ChainMessage,
  options: { readonly create?: boolean } = {},
): Request<NftMessage<ChainMessage>> {
  const { create = false } = options;
  const message = {
    family: familyNumber(name.family),
    attributes: { ...attributes, table: name.table, name: name.chain },
  };
  const body = chainBody(name.family, attributes);
  return nftRequest("NEWCHAIN", chainFormat, message, {
    operation: `add ${describeChain(name)}`,
    command: `nft ${create ? "create" : "add"} chain ${chainWords(name)}${
      body ? ` '{ ${body} }'` : ""
    }`,
    flags: addFlags({ create }),
  });
}

/** Deletes a chain with its rules. EBUSY when rules of others lead to it. */
export function deleteChain(name: ChainName): Request<NftMessage<ChainMessage>> {
  const message = {
    family: familyNumber(name.family),
    attributes: { table: name.table, name: name.chain },
  };
  return nftRequest("DELCHAIN", chainFormat, message, {
    operation: `delete ${describeChain(name)}`,
    command: `nft delete chain ${chainWords(name)}`,
  });
}

/** A chain as it was read. */
export type ReadChain = ChainName & { readonly attributes: ChainMessage };

/** Reads all chains. */
export function dumpChains(): DumpRequest<ReadChain> {
  return nftDump("GETCHAIN", chainFormat, { family: 0, attributes: {} }, {
    operation: "list chains",
    command: "nft list chains",
    read: (family, attributes) => ({
      family: familyWord(family),
      table: attributes.table ?? "",
      chain: attributes.name ?? "",
      attributes,
    }),
  });
}

/** A rule's attributes. */
export interface RuleMessage {
  /** The table's name. */
  table?: string;
  /** The chain's name. */
  chain?: string;
  /** Its number. */
  handle?: number;
  /** Its program. */
  expressions?: Expression[];
  /** Of rules that `iptables-nft` made, as it came. */
  compat?: Uint8Array;
  /** The number of the rule before it, or of that which it is to stand beside. */
  position?: number;
  /** Data of `nft`: the comment. */
  userdata?: Uint8Array;
  /** Its number in the batch. */
  id?: number;
  /** The number in the batch of the rule that it is to stand beside. */
  positionId?: number;
  /** The chain's number in the batch. */
  chainId?: number;
}

const ruleSchema: Schema<RuleMessage> = schema<RuleMessage>("NFTA_RULE_", NFTA_RULE, {
  table: nameField(NFTA_RULE.TABLE),
  chain: nameField(NFTA_RULE.CHAIN),
  handle: be64(NFTA_RULE.HANDLE),
  expressions: expressionsField(NFTA_RULE.EXPRESSIONS),
  compat: { ...binary(NFTA_RULE.COMPAT), nested: true },
  position: be64(NFTA_RULE.POSITION),
  userdata: binary(NFTA_RULE.USERDATA),
  id: be32(NFTA_RULE.ID),
  positionId: be32(NFTA_RULE.POSITION_ID),
  chainId: be32(NFTA_RULE.CHAIN_ID),
}, [NFTA_RULE.PAD]);

/** The framing of messages about rules. */
export const ruleFormat: MessageFormat<NftMessage<RuleMessage>> = nftFormat(ruleSchema);

/** The ways to add a rule: at the end, at the beginning or before another, or in place of another. */
export type RuleMode = "add" | "insert" | "replace";

const MODE_FLAGS: Readonly<Record<RuleMode, number>> = {
  add: NLM_F.CREATE | NLM_F.APPEND,
  insert: NLM_F.CREATE,
  replace: NLM_F.REPLACE,
};

/** Options of {@link newRule}. */
export interface NewRuleOptions {
  /** The place. Default: `add`. */
  readonly mode?: RuleMode;
  /** The rule as a line of `nft`. */
  readonly text: string;
}

/** Adds a rule; `position` or `handle` among the attributes names another one. */
export function newRule(
  chain: ChainName,
  attributes: RuleMessage,
  { mode = "add", text }: NewRuleOptions,
): Request<NftMessage<RuleMessage>> {
  const { handle, position } = attributes;
  const at = handle !== undefined
    ? ` handle ${handle}`
    : position !== undefined
    ? ` position ${position}`
    : "";
  const message = {
    family: familyNumber(chain.family),
    attributes: { ...attributes, table: chain.table, chain: chain.chain },
  };
  return nftRequest("NEWRULE", ruleFormat, message, {
    operation: `${mode} rule '${text}' ${mode === "replace" ? "in" : "to"} ${describeChain(chain)}`,
    command: `nft ${mode} rule ${chainWords(chain)}${at} '${text.replaceAll("'", `'\\''`)}'`,
    flags: MODE_FLAGS[mode],
  });
}

/** Deletes a rule, or all of a chain. */
export function deleteRule(
  chain: ChainName,
  handle?: number,
): Request<NftMessage<RuleMessage>> {
  const message = {
    family: familyNumber(chain.family),
    attributes: {
      table: chain.table,
      chain: chain.chain,
      ...(handle === undefined ? {} : { handle }),
    },
  };
  return nftRequest("DELRULE", ruleFormat, message, {
    operation: handle === undefined
      ? `flush ${describeChain(chain)}`
      : `delete rule ${handle} of ${describeChain(chain)}`,
    command: handle === undefined
      ? `nft flush chain ${chainWords(chain)}`
      : `nft delete rule ${chainWords(chain)} handle ${handle}`,
  });
}

/** A rule as it was read. */
export type ReadRule = ChainName & { readonly attributes: RuleMessage };

/** Reads all rules, in the order of their chains. */
export function dumpRules(): DumpRequest<ReadRule> {
  return nftDump("GETRULE", ruleFormat, { family: 0, attributes: {} }, {
    operation: "list rules",
    command: "nft -a list ruleset",
    read: (family, attributes) => ({
      family: familyWord(family),
      table: attributes.table ?? "",
      chain: attributes.chain ?? "",
      attributes,
    }),
  });
}
