/**
 * nftables: the firewall of a namespace, as `nft` sets it.
 *
 * `netns.nftables` is a collection of tables. A rule is an object with the words of `nft` as properties, in
 * the order in which a packet meets them. Below that are the messages and the expressions of the kernel.
 *
 * Importing this entry point installs `netns.nftables`, `netns.masquerade()` and `netns.drop()`. Without it they
 * throw a {@link MissingImportError}.
 *
 * @example Half of the packets to a port are lost
 * ```ts
 * import { NetNs } from "@netloom/netloom";
 * import "@netloom/netloom/nftables";
 * import type { Rule } from "@netloom/netloom/nftables";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const loss: Rule = {
 *   "udp dport": 53,
 *   numgen: { mode: "random", mod: 100, match: { lt: 50 } },
 *   counter: true,
 *   verdict: "drop",
 * };
 * const chains = [{ name: "input", hook: "input" as const, rules: [loss] }];
 * netns.nftables.add({ family: "inet", name: "loss", chains });
 * const [rule] = netns.nftables.rules.list();
 * assertEquals(
 *   rule!.text,
 *   "udp dport 53 numgen random mod 100 < 50 counter packets 0 bytes 0 drop",
 * );
 * ```
 *
 * @module
 */
import { Nftables } from "./nftables.ts";
import { drop, masquerade } from "./own_table.ts";
import { nftables } from "./slot.ts";

export { MissingImportError } from "../slot.ts";
export { Nftables, type ReplaceOptions, type TableSelector } from "./nftables.ts";
export {
  type ChainFilter,
  type ChainOptions,
  type ChainSelector,
  type ElementsEntry,
  NftChains,
  NftElements,
  NftRules,
  NftSets,
  type RuleSelector,
  type SetFilter,
  type SetOptions,
  type SetSelector,
} from "./collections.ts";
export { type ChainEntry, type RuleEntry, type TableEntry } from "./entries.ts";
export {
  type ChainInfo,
  type RuleInfo,
  type SetInfo,
  type TableFilter,
  type TableInfo,
  type WireSet,
} from "./ruleset.ts";
export { type DropOptions, type LinkName, type MasqueradeOptions, OwnTable } from "./own_table.ts";
export { commit, type CommitOptions } from "./commit.ts";
export {
  type AddressMatches,
  type Concatenations,
  type Counter,
  type HeaderChanges,
  type HeaderField,
  type IndexMatches,
  type Limit,
  type LimitRate,
  type LimitUnit,
  type LinkMatches,
  type Log,
  type LogLevel,
  type Masquerade,
  type NamedObject,
  type Nat,
  type NatFlags,
  type NumberMatches,
  type Numgen,
  type Queue,
  type Quota,
  type Reject,
  type Rule,
  type Statements,
  type VerdictMaps,
} from "./statements.ts";
export { type Verdict } from "./data.ts";
export { type ConcatenationMatch, type VerdictEntry, type VerdictMap } from "./lookup.ts";
export { type Comparison, type Match, type SetReference } from "./match.ts";
export {
  type Element,
  type ElementEntry,
  type ElementKey,
  type SetEntry,
  type SetFlag,
} from "./set_entry.ts";
export { type Value } from "./datatypes.ts";
export {
  type NamedCounter,
  type NamedLimit,
  type NamedObjects,
  type NamedQuota,
} from "./named_object.ts";
export { type SelectorName } from "./selectors.ts";
export {
  deleteAllTables,
  deleteTable,
  deleteTableByHandle,
  dumpFlowtables,
  dumpObjects,
  dumpTables,
  flowtableFormat,
  type FlowtableMessage,
  newFlowtable,
  newObject,
  newTable,
  objectFormat,
  type ObjectMessage,
  type ReadTable,
  tableFormat,
  type TableMessage,
  type TableName,
} from "./table.ts";
export {
  chainFormat,
  type ChainMessage,
  type ChainName,
  deleteChain,
  deleteRule,
  dumpChains,
  dumpRules,
  type Hook,
  type HookMessage,
  HOOKS,
  newChain,
  newRule,
  type NewRuleOptions,
  type Policy,
  type Priority,
  priorityNumber,
  type PriorityWord,
  type ReadChain,
  type ReadRule,
  ruleFormat,
  type RuleMessage,
  type RuleMode,
} from "./chain.ts";
export {
  deleteElements,
  deleteSet,
  dumpElements,
  dumpSets,
  type ElementMessage,
  elementsFormat,
  type ElementsMessage,
  newElements,
  newSet,
  type ReadSet,
  type SetDescription,
  setFormat,
  type SetMessage,
  type SetName,
  type SetRequestOptions,
} from "./set.ts";
export {
  type Family,
  type Generation,
  generationFormat,
  getGeneration,
  nftDump,
  nftFormat,
  type NftMessage,
  nftRequest,
  type RequestText,
} from "./message.ts";
export {
  type Data,
  type DataOf,
  type ExpressionKind,
  type VerdictData,
  VERDICTS,
  type VerdictWord,
} from "./data.ts";
export {
  type NftAction,
  type NftChange,
  type NftChangeEvent,
  type NftEvent,
  type NftMonitor,
  type NftMonitorOptions,
  type NftSnapshotEvent,
} from "./monitor.ts";
export {
  type Expression,
  type ExpressionKinds,
  expressionNames,
  expressionWords,
  type KnownExpression,
  type UnknownExpression,
} from "./expressions/mod.ts";
export {
  BITWISE_OPS,
  type BitwiseData,
  BYTEORDER_OPS,
  type ByteorderData,
  CMP_OPS,
  type CmpData,
  type CmpOp,
  CT_KEYS,
  type CtData,
  type ImmediateData,
  type LookupData,
  META_KEYS,
  type MetaData,
  NFTA_BITWISE,
  NFTA_BYTEORDER,
  NFTA_CMP,
  NFTA_CT,
  NFTA_IMMEDIATE,
  NFTA_LOOKUP,
  NFTA_META,
  NFTA_NG,
  NFTA_PAYLOAD,
  NFTA_RANGE,
  NUMGEN_TYPES,
  type NumgenData,
  PAYLOAD_BASES,
  type PayloadData,
  RANGE_OPS,
  type RangeData,
} from "./expressions/compute.ts";
export {
  type CounterData,
  type DupData,
  DYNSET_OPS,
  type DynsetData,
  type FwdData,
  LIMIT_TYPES,
  type LimitData,
  LOG_LEVELS,
  type LogData,
  type MasqData,
  NAT_TYPES,
  type NatData,
  NF_NAT_RANGE,
  NFTA_COUNTER,
  NFTA_DUP,
  NFTA_DYNSET,
  NFTA_FWD,
  NFTA_LIMIT,
  NFTA_LOG,
  NFTA_MASQ,
  NFTA_NAT,
  NFTA_QUEUE,
  NFTA_QUOTA,
  NFTA_REDIR,
  NFTA_REJECT,
  type QueueData,
  type QuotaData,
  type RedirData,
  REJECT_TYPES,
  type RejectData,
} from "./expressions/act.ts";
export { FAMILIES, NFT_MSG } from "./constants.ts";

nftables.fill({ Nftables, masquerade, drop });
