/**
 * Statements of rules: each is one entry of a table, with the expressions and the words of `nft` for it.
 *
 * @module
 */
import { checkOptions, integer, type OptionNames, show, wordValue } from "../options.ts";
import {
  type DataType,
  hostInteger32,
  icmpCode,
  icmpv6Code,
  icmpxCode,
  mark,
  numberBytes,
  packetType,
} from "./datatypes.ts";
import type { VERDICTS } from "./data.ts";
import {
  type LIMIT_TYPES,
  LOG_LEVELS,
  NF_NAT_RANGE,
  type OBJECT_TYPES,
} from "./expressions/act.ts";
import type { Expression, KnownExpression } from "./expressions/mod.ts";
import { expressionWords } from "./expressions/mod.ts";
import type { Layers } from "./selectors.ts";
import { type AddSet, compileMatch, matchWords } from "./match.ts";
import type { Family } from "./message.ts";
import { parseNatTarget } from "./span.ts";
import type {
  Counter,
  Limit,
  LimitRate,
  Log,
  Masquerade,
  NamedObject,
  Nat,
  NatFlags,
  Numgen,
  Queue,
  Quota,
} from "./statements.ts";

/** The rule that a statement is compiled in. */
export interface Context {
  readonly family: Family;
  readonly layers: Layers;
  readonly addSet: AddSet;
}

/** A statement: one entry of the table. */
export interface Statement<T> {
  /** Its expressions. */
  compile(value: T, path: string, context: Context): Expression[];
  /** Its words in `nft`. */
  words(value: T): string;
}

/** A counter, quota or limit of the table. */
const NAMED: OptionNames<NamedObject> = { name: true };
const LIMIT: OptionNames<Limit> = { rate: true, over: true, burst: true };
const QUOTA: OptionNames<Quota> = { bytes: true, over: true, used: true };
const COUNTER: OptionNames<{ packets: number; bytes: number }> = { packets: true, bytes: true };
const NUMGEN: OptionNames<Numgen> = { mode: true, mod: true, offset: true, match: true };
const LOG: OptionNames<Log> = {
  prefix: true,
  level: true,
  group: true,
  snaplen: true,
  queueThreshold: true,
};
const NAT_FLAGS: OptionNames<NatFlags> = { random: true, fullyRandom: true, persistent: true };
const NAT: OptionNames<NatFlags & { to: string }> = { to: true, ...NAT_FLAGS };
const QUEUE: OptionNames<Queue> = { num: true, total: true, bypass: true, fanout: true };

/** Seconds of a unit of time. */
export const LIMIT_UNITS: Readonly<Record<string, number>> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86400,
  week: 604800,
};
/** Bytes of a unit of a limit. */
export const BYTE_UNITS: Readonly<Record<string, number>> = {
  bytes: 1,
  kbytes: 1024,
  mbytes: 1 << 20,
};
/** The burst of a rate of packets without one, as `nft` has it. */
export const BURST = 5;

function limitData(given: LimitRate | Limit, path: string): KnownExpression {
  const { rate, over = false, burst } = typeof given === "string"
    ? { rate: given } as Limit
    : given;
  const [, amount, size, unit] =
    /^(\d{1,15})(?: *(bytes|kbytes|mbytes))?\/(second|minute|hour|day|week)$/.exec(rate) ?? [];
  if (amount === undefined) {
    throw new TypeError(
      `${path} must be a rate as "10/second" or "5 mbytes/second": got ${show(rate)}`,
    );
  }
  const type: keyof typeof LIMIT_TYPES = size === undefined ? "packets" : "bytes";
  return {
    name: "limit",
    data: {
      rate: integer(
        Number(amount) * BYTE_UNITS[size ?? "bytes"]!,
        `${path}: the rate`,
        1,
        2 ** 53 - 1,
      ),
      unit: LIMIT_UNITS[unit!]!,
      burst: integer(burst ?? (type === "packets" ? BURST : 0), `${path}.burst`, 0, 0xffffffff),
      type,
      flags: over ? 1 : 0,
    },
  };
}

function limitWords(given: LimitRate | Limit): string {
  const { rate, over = false, burst } = typeof given === "string"
    ? { rate: given } as Limit
    : given;
  const bytes = rate.includes("bytes");
  const usual = burst === undefined || burst === (bytes ? 0 : BURST);
  return `limit rate ${over ? "over " : ""}${rate}` +
    (usual ? "" : ` burst ${bytes ? byteWords(burst) : `${burst} packets`}`);
}

/** Bytes in the largest unit that fits. */
export function byteWords(bytes: number): string {
  const unit = ["mbytes", "kbytes"].find((unit) => bytes > 0 && bytes % BYTE_UNITS[unit]! === 0) ??
    "bytes";
  return `${bytes / BYTE_UNITS[unit]!} ${unit}`;
}

function natFlags(options: NatFlags): number {
  return (options.random ? NF_NAT_RANGE.PROTO_RANDOM : 0) |
    (options.fullyRandom ? NF_NAT_RANGE.PROTO_RANDOM_FULLY : 0) |
    (options.persistent ? NF_NAT_RANGE.PERSISTENT : 0);
}

function natFlagWords({ random, fullyRandom, persistent }: NatFlags): string {
  const flags = [random && "random", fullyRandom && "fully-random", persistent && "persistent"];
  const words = flags.filter(Boolean).join(",");
  return words && ` ${words}`;
}

/** Constants for the registers 1 and up, and which register has which. */
function registers(
  values: Readonly<Record<string, Uint8Array | undefined>>,
): { steps: Expression[]; at: Record<string, number> } {
  const steps: Expression[] = [];
  const at: Record<string, number> = {};
  for (const [name, data] of Object.entries(values)) {
    if (!data) continue;
    at[name] = steps.length + 1;
    steps.push({ name: "immediate", data: { dreg: at[name], data } });
  }
  return { steps, at };
}

function nat(type: "snat" | "dnat"): Statement<Nat> {
  const options = (given: Nat) => typeof given === "string" ? { to: given } : given;
  return {
    compile: (given, path, { family, layers }) => {
      if (typeof given !== "string") checkOptions(given, NAT, path);
      const { to, ...rest } = options(given);
      const target = parseNatTarget(to, path);
      const own = target.addrMin
        ? target.addrMin.length === 4 ? "ip" : "ip6"
        : family === "ip6" || (family === "inet" && layers.has("ip6"))
        ? "ip6"
        : "ip";
      if (family !== "inet" && family !== own) {
        throw new TypeError(
          `${path} must have an address of the family ${family}: got ${show(to)}`,
        );
      }
      const { steps, at } = registers({ ...target });
      const flags = natFlags(rest) | (target.protoMin ? NF_NAT_RANGE.PROTO_SPECIFIED : 0);
      const data = { type, family: own === "ip" ? 2 : 10, ...at, ...(flags ? { flags } : {}) };
      return [...steps, { name: "nat", data }];
    },
    words: (given) => {
      const { to, ...rest } = options(given);
      const { addrMin } = parseNatTarget(to, type);
      const family = addrMin ? addrMin.length === 4 ? " ip" : " ip6" : "";
      return `${type}${family} to ${to}${natFlagWords(rest)}`;
    },
  };
}

function portNat(name: "masq" | "redir", word: string): Statement<true | number | Masquerade> {
  const options = (given: true | number | Masquerade): Masquerade =>
    given === true ? {} : typeof given === "number" ? { to: `:${given}` } : given;
  return {
    compile: (given, path) => {
      const asked = options(given);
      checkOptions(asked, NAT, path);
      const { to, ...rest } = asked;
      const target = to === undefined ? {} : parseNatTarget(to, path);
      if (target.addrMin) {
        throw new TypeError(`${path} must have no address, only ports: got ${show(to)}`);
      }
      const { steps, at } = registers({ ...target });
      const flags = natFlags(rest) | (target.protoMin ? NF_NAT_RANGE.PROTO_SPECIFIED : 0);
      return [...steps, { name, data: { ...at, ...(flags ? { flags } : {}) } }];
    },
    words: (given) => {
      const { to, ...rest } = options(given);
      return word + (to === undefined ? "" : ` to ${to}`) + natFlagWords(rest);
    },
  };
}

/** The types of codes of an answer. */
export const REJECT_CODES: Readonly<Record<string, DataType>> = {
  icmp: icmpCode,
  icmpv6: icmpv6Code,
  icmpx: icmpxCode,
};

function rejectSteps(given: unknown, path: string, { family, layers }: Context): Expression[] {
  if (given === true) {
    if (family === "ip" || family === "ip6") {
      return [{ name: "reject", data: { type: "icmp", icmpCode: family === "ip" ? 3 : 4 } }];
    }
    return [{ name: "reject", data: { type: "icmpx", icmpCode: 1 } }];
  }
  if (given === "tcp reset") {
    return [...layers.require("tcp", path), {
      name: "reject",
      data: { type: "tcp reset", icmpCode: 0 },
    }];
  }
  const [, word = "", code = ""] = /^(icmp|icmpv6|icmpx) (.+)$/.exec(String(given)) ?? [];
  const type = REJECT_CODES[word];
  if (!type) {
    throw new TypeError(
      `${path} must be true, "tcp reset", or "icmp", "icmpv6" or "icmpx" with a code: got ${
        show(given)
      }`,
    );
  }
  const [icmpCode] = type.parse(code, path);
  if (word === "icmpx") return [{ name: "reject", data: { type: "icmpx", icmpCode: icmpCode! } }];
  const below = layers.require(word === "icmp" ? "ip" : "ip6", path);
  return [...below, { name: "reject", data: { type: "icmp", icmpCode: icmpCode! } }];
}

function verdictSteps(given: unknown, path: string): Expression[] {
  const [, word = "", chain] = /^(\w+)(?: (.+))?$/.exec(String(given)) ?? [];
  const leads = word === "jump" || word === "goto";
  const known = { accept: 1, drop: 0, continue: 0, return: 0, jump: 0, goto: 0 };
  if (leads && chain === undefined) {
    throw new TypeError(`${path} must name a chain: got ${show(given)}`);
  }
  wordValue(leads ? word : given, known, path);
  const verdict = word as keyof typeof VERDICTS;
  const data = chain === undefined ? { verdict } : { verdict, chain };
  return [{ name: "immediate", data: { dreg: 0, data } }];
}

/** The properties that a mark can be set to. */
const MARKS: Readonly<Record<string, Expression>> = {
  "meta mark": { name: "meta", data: { key: "mark", dreg: 1 } },
  "ct mark": { name: "ct", data: { key: "mark", dreg: 1 } },
};

/** Whether a statement uses an object of the table. */
function isNamed(given: unknown): given is NamedObject {
  return typeof given === "object" && given !== null && "name" in given;
}

/** A statement that may use an object of the table in place of one of its own. */
function orNamed<T>(
  type: keyof typeof OBJECT_TYPES,
  statement: Statement<T>,
): Statement<T | NamedObject> {
  return {
    compile: (given, path, context) => {
      if (!isNamed(given)) return statement.compile(given, path, context);
      checkOptions(given, NAMED, path);
      if (typeof given.name !== "string") {
        throw new TypeError(`${path}.name must be a name: got ${show(given.name)}`);
      }
      return [{ name: "objref", data: { type, object: given.name } }];
    },
    words: (given) => isNamed(given) ? `${type} name "${given.name}"` : statement.words(given),
  };
}

/** Sets a property of a packet to a constant, or a mark to another one. */
function setting(
  name: "meta" | "ct",
  key: "mark" | "priority" | "pkttype",
  type: DataType,
): Statement<number | string> {
  return {
    compile: (value, path) => [
      key === "mark" && Object.hasOwn(MARKS, value)
        ? MARKS[value]!
        : { name: "immediate", data: { dreg: 1, data: type.parse(value, path) } },
      { name, data: { key, sreg: 1 } } as Expression,
    ],
    words: (value) =>
      `${name} ${key} set ${key === "priority" ? priorityWords(value) : type.words!(value)}`,
  };
}

/** A priority is the number of a class, which `nft` writes in two parts. */
function priorityWords(value: number | string): string {
  const number = Number(value);
  return `${(number >>> 16).toString(16)}:${(number & 0xffff).toString(16)}`;
}

function toLink(name: "fwd" | "dup"): Statement<number> {
  return {
    compile: (index, path) => [
      {
        name: "immediate",
        data: { dreg: 1, data: numberBytes(integer(index, path, 1, 0x7fffffff), hostInteger32) },
      },
      { name, data: { dev: 1 } } as Expression,
    ],
    words: (index) => `${name} to ${index}`,
  };
}

/** The statements that are no matches, by the words of `nft`. */
export const STATEMENTS: Readonly<Record<string, Statement<never>>> = {
  numgen: {
    compile: (given: Numgen, path, { addSet }) => {
      checkOptions(given, NUMGEN, path);
      const { mode, mod, offset, match } = given;
      wordValue(mode, { inc: 0, random: 0 }, `${path}.mode`);
      const data = {
        dreg: 1,
        modulus: integer(mod, `${path}.mod`, 1, 0xffffffff),
        type: mode,
        ...(offset ? { offset: integer(offset, `${path}.offset`, 0, 0xffffffff) } : {}),
      };
      const selector = { load: { name: "numgen", data } as const, type: hostInteger32 };
      return compileMatch(selector, match, { path: `${path}.match`, addSet });
    },
    words: ({ mode, mod, offset, match }: Numgen) =>
      `numgen ${mode} mod ${mod}${offset ? ` offset ${offset}` : ""} ${
        matchWords(match, hostInteger32)
      }`,
  },
  counter: orNamed("counter", {
    compile: (given: true | Counter, path) => {
      if (given !== true) checkOptions(given, COUNTER, path);
      return [{ name: "counter", data: given === true ? {} : { packets: 0, bytes: 0, ...given } }];
    },
    words: (given: true | Counter) =>
      given === true
        ? "counter"
        : `counter packets ${given.packets ?? 0} bytes ${given.bytes ?? 0}`,
  }),
  limit: orNamed("limit", {
    compile: (given: LimitRate | Limit, path) => {
      if (typeof given !== "string") checkOptions(given, LIMIT, path);
      return [limitData(given, path)];
    },
    words: limitWords,
  }),
  quota: orNamed("quota", {
    compile: (given: number | Quota, path) => {
      if (typeof given !== "number") checkOptions(given, QUOTA, path);
      const { bytes, over, used } = typeof given === "number" ? { bytes: given } as Quota : given;
      const most = Number.MAX_SAFE_INTEGER;
      const data = { bytes: integer(bytes, `${path}.bytes`, 1, most), flags: over ? 1 : 0 };
      return [{
        name: "quota",
        data: used ? { ...data, consumed: integer(used, `${path}.used`, 0, most) } : data,
      }];
    },
    words: (given: number | Quota) => {
      const { bytes, over, used } = typeof given === "number" ? { bytes: given } as Quota : given;
      return `quota ${over ? "over " : ""}${byteWords(bytes)}${
        used ? ` used ${byteWords(used)}` : ""
      }`;
    },
  }),
  log: {
    compile: (given: true | Log, path) => {
      if (given !== true) checkOptions(given, LOG, path);
      const { prefix, level, group, snaplen, queueThreshold } = given === true ? {} as Log : given;
      if (group !== undefined && level !== undefined) {
        throw new TypeError(`${path} must have a level or a group: got ${show(given)}`);
      }
      if (level !== undefined) wordValue(level, LOG_LEVELS, `${path}.level`);
      return [{
        name: "log",
        data: {
          ...(prefix === undefined ? {} : { prefix }),
          ...(group === undefined ? { level: level ?? "warn" } : { group }),
          ...(snaplen === undefined ? {} : { snaplen }),
          ...(queueThreshold === undefined ? {} : { qthreshold: queueThreshold }),
        },
      }];
    },
    words: (given: true | Log) => {
      const { prefix, level, group, snaplen, queueThreshold } = given === true ? {} as Log : given;
      return "log" + (prefix === undefined ? "" : ` prefix "${prefix}"`) +
        (group === undefined ? "" : ` group ${group}`) + (snaplen ? ` snaplen ${snaplen}` : "") +
        (queueThreshold ? ` queue-threshold ${queueThreshold}` : "") +
        (level === undefined || level === "warn" ? "" : ` level ${level}`);
    },
  },
  "meta mark set": setting("meta", "mark", mark),
  "meta priority set": setting("meta", "priority", hostInteger32),
  "meta pkttype set": setting("meta", "pkttype", packetType),
  "ct mark set": setting("ct", "mark", mark),
  notrack: { compile: () => [{ name: "notrack", data: {} }], words: () => "notrack" },
  snat: nat("snat"),
  dnat: nat("dnat"),
  masquerade: portNat("masq", "masquerade"),
  redirect: portNat("redir", "redirect"),
  reject: {
    compile: rejectSteps,
    words: (given: true | string) => given === true ? "reject" : `reject with ${given}`,
  },
  queue: {
    compile: (given: number | Queue, path) => {
      if (typeof given !== "number") checkOptions(given, QUEUE, path);
      const { num, total = 1, bypass, fanout } = typeof given === "number"
        ? { num: given } as Queue
        : given;
      const flags = (bypass ? 1 : 0) | (fanout ? 2 : 0);
      return [{
        name: "queue",
        data: {
          num: integer(num, `${path}.num`, 0, 0xffff),
          total: integer(total, `${path}.total`, 1, 0x10000 - num),
          ...(flags ? { flags } : {}),
        },
      }];
    },
    words: (given: number | Queue) => {
      const { num, total = 1, bypass, fanout } = typeof given === "number"
        ? { num: given } as Queue
        : given;
      const flags = [bypass && "bypass", fanout && "fanout"].filter(Boolean).join(",");
      const range = total > 1 ? `${num}-${num + total - 1}` : num;
      return flags ? `queue flags ${flags} to ${range}` : `queue to ${range}`;
    },
  },
  "fwd to": toLink("fwd"),
  "dup to": toLink("dup"),
  verdict: { compile: verdictSteps, words: (given: string) => given },
  expressions: {
    compile: (given: readonly Expression[], path) => {
      if (!Array.isArray(given)) throw new TypeError(`${path} must be a list: got ${show(given)}`);
      return [...given];
    },
    words: (given: readonly Expression[]) =>
      given.map((it) => `[ ${expressionWords(it)} ]`).join(" "),
  },
};
