/**
 * The iproute2 command line with the effect of a route message.
 *
 * @module
 */
import { AF } from "./constants.ts";
import { familyOption } from "./fields.ts";
import type { GetRouteOptions, RouteFilter, RouteMessage, RouteNexthop } from "./route.ts";
import type { RouteMetrics } from "./route_attributes.ts";

/** iproute2's words for metrics it does not call as they are called here. */
const METRIC_WORDS: Partial<Record<keyof RouteMetrics, string>> = {
  rtoMin: "rto_min",
  ccAlgo: "congctl",
  fastopenNoCookie: "fastopen_no_cookie",
};

/** The metrics that iproute2 reads as times, with the parts of a millisecond the kernel counts in. */
const TIMES: Partial<Record<keyof RouteMetrics, number>> = { rtt: 8, rttvar: 4, rtoMin: 1 };

/** `ip route add ...`, or another verb. */
export function routeCommand(verb: string, message: RouteMessage, family: number): string {
  const { destination, source, type, onlink, metrics, nexthops } = message;
  return `ip${family === AF.INET6 ? " -6" : ""} route ${verb}` +
    (type === undefined || type === "unicast" ? "" : ` ${type}`) + ` ${destination}` +
    word("from", source) + tosWord(message.tos) +
    word("table", message.table) + word("proto", message.protocol) +
    (family === AF.INET6 ? "" : word("scope", message.scope)) + word("metric", message.metric) +
    router(message, family) +
    word("src", message.prefsrc) + (metrics ? metricWords(metrics) : "") +
    word("pref", message.pref) + word("expires", message.expires) +
    word("nhid", message.nexthopId) + (onlink ? " onlink" : "") +
    (nexthops ?? []).map((nexthop) =>
      " nexthop" + router(nexthop, family) + word("weight", nexthop.weight) +
      (nexthop.onlink ? " onlink" : "")
    ).join("");
}

/** `ip route get ...` */
export function routeGetCommand(destination: string, options: GetRouteOptions): string {
  const { from, iif, oif, mark, uid, tos, ipProtocol, sport, dport, fibMatch } = options;
  return `ip route get${fibMatch ? " fibmatch" : ""} ${destination}` + word("from", from) +
    tosWord(tos) + device("iif", iif) + device("oif", oif) + word("mark", mark) +
    word("uid", uid) + word("ipproto", ipProtocol) + word("sport", sport) + word("dport", dport);
}

/** `ip route show ...` */
export function routeShowCommand(filter: RouteFilter): string {
  const { family, table, oif, protocol, type } = filter;
  return `ip${familyOption(family)} route show` +
    word("table", table ?? "all") + device("dev", oif) + word("proto", protocol) +
    word("type", type);
}

function word(name: string, value: string | number | undefined): string {
  return value === undefined ? "" : ` ${name} ${value}`;
}

/** iproute2 reads it as hexadecimal, with or without the prefix. */
function tosWord(tos = 0): string {
  return tos === 0 ? "" : ` tos 0x${tos.toString(16)}`;
}

function device(name: string, index: number | undefined): string {
  return index === undefined ? "" : ` ${name} if${index}`;
}

function router({ gateway, oif }: Pick<RouteNexthop, "gateway" | "oif">, family: number): string {
  const other = family === AF.INET && gateway?.includes(":") ? "inet6 " : "";
  return (gateway === undefined ? "" : ` via ${other}${gateway}`) + device("dev", oif);
}

function metricWords({ lock = [], ...metrics }: RouteMetrics): string {
  let words = "";
  for (const [key, value] of Object.entries(metrics)) {
    if (value === undefined) continue;
    const name = key as keyof typeof metrics;
    // iproute2 always locks rto_min, and has no word for it.
    const locked = lock.includes(name) && name !== "rtoMin" ? "lock " : "";
    words += ` ${METRIC_WORDS[name] ?? name} ${locked}${metricValue(name, value)}`;
  }
  return words;
}

function metricValue(name: keyof RouteMetrics, value: unknown): unknown {
  if (name === "features") return "ecn";
  if (typeof value !== "number") return typeof value === "boolean" ? Number(value) : value;
  const parts = TIMES[name];
  if (parts === undefined) return value;
  // It rounds times with a unit up; without one they are in the kernel's parts.
  return Number.isInteger(value) ? `${value}ms` : value * parts;
}
