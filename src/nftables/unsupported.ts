/**
 * Explanations of refusals: families, types of chains and expressions that the running kernel lacks.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { Connection } from "../netlink/connection.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { show } from "../options.ts";
import { type Lacking, UnsupportedError } from "../rtnetlink/unsupported.ts";
import { type ChainMessage, newChain, newRule, type RuleMessage } from "./chain.ts";
import { expressionKind, kernelName, type UnknownExpression } from "./expressions/mod.ts";
import { batchFrame, type Family, familyWord, type NftMessage } from "./message.ts";
import { deleteTable, newTable, type TableName } from "./table.ts";

/** The build options of families. */
const FAMILY_CONFIGS: Readonly<Record<string, string>> = {
  arp: "NF_TABLES_ARP",
  bridge: "NF_TABLES_BRIDGE",
  inet: "NF_TABLES_INET",
  ip: "NF_TABLES_IPV4",
  ip6: "NF_TABLES_IPV6",
  netdev: "NF_TABLES_NETDEV",
};

/** The build options of types of chains, and the modules. */
const CHAIN_TYPES: Readonly<Record<string, readonly [config: string, module: string]>> = {
  nat: ["NFT_NAT", "nft_chain_nat"],
  route: ["NF_TABLES", "nf_tables"],
};

/** The build options of `reject`, and the modules: each family has its own. */
const REJECTS: Readonly<Record<string, readonly [config: string, module: string]>> = {
  bridge: ["NFT_BRIDGE_REJECT", "nft_reject_bridge"],
  inet: ["NFT_REJECT_INET", "nft_reject_inet"],
  ip: ["NFT_REJECT_IPV4", "nft_reject_ipv4"],
  ip6: ["NFT_REJECT_IPV6", "nft_reject_ipv6"],
  netdev: ["NFT_REJECT_NETDEV", "nft_reject_netdev"],
};

function sourceOf(
  name: string,
  family: Family,
): { readonly config?: string | undefined; readonly module?: string | undefined } {
  const [config, module] = name === "reject" ? REJECTS[family] ?? [] : [];
  return config === undefined ? expressionKind(name) ?? {} : { config, module };
}

function lacking(
  kind: string,
  { what, config, module, option }: {
    readonly what: string;
    readonly config?: string | undefined;
    readonly module?: string | undefined;
    readonly option?: string;
  },
): Lacking {
  const brings = config === undefined
    ? "a newer or larger one may have it"
    : `CONFIG_${config}${module === undefined ? "" : `, module ${module},`} brings it`;
  return {
    kind,
    ...(option === undefined ? {} : { option }),
    ...(config === undefined ? {} : { config }),
    ...(module === undefined ? {} : { module }),
    hint: `the running kernel lacks ${what}: ${brings}`,
  };
}

const knownExpressions = new Map<string, boolean>();

/** Whether the kernel has an expression in a family: a batch asks for it that cannot succeed. */
function hasExpression(connection: Connection, family: Family, name: string): boolean {
  const key = `${family} ${name}`;
  let has = knownExpressions.get(key);
  if (has === undefined) knownExpressions.set(key, has = tryExpression(connection, family, name));
  return has;
}

function tryExpression(connection: Connection, family: Family, name: string): boolean {
  const table: TableName = { family, table: `netloom-try-${name}` };
  const never: TableName = { family, table: `netloom-never-${name}` };
  const chain = { ...table, chain: "try" };
  const empty: UnknownExpression = { name: "unknown", kernelName: name, data: new Uint8Array(0) };
  const [begin, end] = batchFrame(`try ${name}`);
  const results = connection.transaction([
    begin,
    newTable(table),
    newChain(chain, {}),
    newRule(chain, { expressions: [empty] }, { text: name }),
    deleteTable(never), // there is none: the kernel takes all back
    end,
  ]);
  const result = results[3]!;
  return result.ok || !(result.error instanceof NetlinkError) ||
    result.error.errno !== ERRNO.ENOENT;
}

/** The expression of a rule that the kernel lacks. */
function lackingExpression(
  connection: Connection,
  { family, attributes }: NftMessage<RuleMessage>,
  { errno }: NetlinkError,
): Lacking | undefined {
  const { expressions = [] } = attributes;
  for (const expression of expressions) {
    const name = kernelName(expression);
    if (!hasExpression(connection, familyWord(family), name)) {
      const { config, module } = sourceOf(name, familyWord(family));
      return lacking(name, { what: `the expression ${show(name)}`, config, module });
    }
    const key = expression.name === "meta" ? String(expression.data.key) : "";
    if (key.startsWith("bri_") && errno === ERRNO.EOPNOTSUPP) {
      const source = { config: "NFT_BRIDGE_META", module: "nft_meta_bridge" };
      return lacking("meta", {
        what: `the bridge of a packet (meta ${key})`,
        option: key,
        ...source,
      });
    }
  }
  return undefined;
}

function lackingChain(
  { family, attributes: { type, hook } }: NftMessage<ChainMessage>,
  { errno, ack }: NetlinkError,
): Lacking | undefined {
  if (errno === ERRNO.ENOENT && ack.attribute?.includes("NFTA_CHAIN_TYPE")) {
    const [config, module] = CHAIN_TYPES[type ?? ""] ?? [];
    return lacking(`${type}`, {
      what: `chains of the type ${show(type)} in the family ${familyWord(family)}`,
      config,
      module,
    });
  }
  if (errno !== ERRNO.EOPNOTSUPP || !hook || familyWord(family) !== "netdev") return undefined;
  const egress = hook.hooknum === 1;
  return lacking(egress ? "egress" : "ingress", {
    what: `the hook ${egress ? "egress" : "ingress"}`,
    config: egress ? "NETFILTER_EGRESS" : "NETFILTER_INGRESS",
  });
}

/** nftables as a whole. */
export function lackingNftables(): Lacking {
  return lacking("nftables", { what: "nftables", config: "NF_TABLES", module: "nf_tables" });
}

function lackingOf(
  connection: Connection,
  request: Request | undefined,
  error: NetlinkError,
): Lacking | undefined {
  if (!request) return error.errno === ERRNO.EOPNOTSUPP ? lackingNftables() : undefined;
  const message = request.message as NftMessage<object>;
  if (request.typeName === "NFT_MSG_NEWTABLE" && error.errno === ERRNO.EAFNOSUPPORT) {
    const family = familyWord(message.family);
    return lacking(family, { what: `the family ${show(family)}`, config: FAMILY_CONFIGS[family] });
  }
  if (request.typeName === "NFT_MSG_NEWCHAIN") return lackingChain(message, error);
  const refused = error.errno === ERRNO.ENOENT || error.errno === ERRNO.EOPNOTSUPP;
  if (request.typeName !== "NFT_MSG_NEWRULE" || !refused) return undefined;
  return lackingExpression(connection, message, error);
}

/**
 * The error to throw for a refused request: an {@link UnsupportedError} when the kernel lacks something that it
 * needs, otherwise the refusal itself.
 *
 * @param connection To the namespace, for asking.
 * @param request The refused request; none for the batch as a whole.
 * @param error The refusal.
 */
export function explainRefusal(
  connection: Connection,
  request: Request | undefined,
  error: NetlinkError,
): NetlinkError {
  const part = lackingOf(connection, request, error);
  if (!part) return error;
  const { operation, netns, errno, ack } = error;
  return new UnsupportedError(part, { operation, netns, errno, ack });
}
