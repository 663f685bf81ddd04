/**
 * Statements as a person writes them, of expressions that stand for themselves.
 *
 * @module
 */
import type { DataOf } from "./data.ts";
import { NF_NAT_RANGE } from "./expressions/act.ts";
import type { ExpressionKinds } from "./expressions/mod.ts";
import { BURST, byteWords, LIMIT_UNITS } from "./statement_table.ts";
import type { Limit, NatFlags } from "./statements.ts";

/** The attributes of an expression that netloom knows. */
export type Known<K extends keyof ExpressionKinds> = DataOf<ExpressionKinds[K]>;

/** The words of {@link NatFlags}; `undefined` for bits that have none. */
export function natFlags(flags = 0): NatFlags | undefined {
  const known = NF_NAT_RANGE.PROTO_RANDOM | NF_NAT_RANGE.PROTO_RANDOM_FULLY |
    NF_NAT_RANGE.PERSISTENT |
    NF_NAT_RANGE.MAP_IPS | NF_NAT_RANGE.PROTO_SPECIFIED;
  if (flags & ~known) return undefined;
  return {
    ...(flags & NF_NAT_RANGE.PROTO_RANDOM ? { random: true } : {}),
    ...(flags & NF_NAT_RANGE.PROTO_RANDOM_FULLY ? { fullyRandom: true } : {}),
    ...(flags & NF_NAT_RANGE.PERSISTENT ? { persistent: true } : {}),
  };
}

const unitOf = (seconds: number) =>
  Object.keys(LIMIT_UNITS).find((unit) => LIMIT_UNITS[unit] === seconds);

function limitOf({ rate, unit, burst = 0, type, flags = 0 }: Known<"limit">): object | undefined {
  const word = unitOf(unit);
  if (word === undefined) return undefined;
  const text =
    (type === "bytes" ? `${byteWords(rate)}/${word}` : `${rate}/${word}`) as Limit["rate"];
  const over = (flags & 1) !== 0;
  const usual = burst === (type === "bytes" ? 0 : BURST);
  if (usual && !over) return { limit: text };
  return { limit: { rate: text, ...(over ? { over } : {}), ...(usual ? {} : { burst }) } };
}

/** Of expressions that stand for themselves: the word and the value. */
export const READERS: {
  readonly [K in keyof ExpressionKinds]?: (data: Known<K>) => object | undefined;
} = {
  counter: ({ packets = 0, bytes = 0 }) => ({ counter: { packets, bytes } }),
  limit: limitOf,
  quota: ({ bytes, flags = 0, consumed = 0 }) => ({
    quota: flags & 1 || consumed
      ? { bytes, ...(flags & 1 ? { over: true } : {}), ...(consumed ? { used: consumed } : {}) }
      : bytes,
  }),
  log: ({ prefix, group, level, snaplen, qthreshold, flags }) => {
    if (flags || typeof level === "number") return undefined;
    const log = {
      ...(prefix === undefined ? {} : { prefix }),
      ...(group === undefined ? {} : { group }),
      ...(level === undefined || level === "warn" ? {} : { level }),
      ...(snaplen ? { snaplen } : {}),
      ...(qthreshold ? { queueThreshold: qthreshold } : {}),
    };
    return { log: Object.keys(log).length > 0 ? log : true };
  },
  objref: ({ type, object }) => typeof type === "string" ? { [type]: { name: object } } : undefined,
  notrack: () => ({ notrack: true }),
  queue: ({ num = 0, total = 1, flags = 0, sreg }) => {
    if (sreg !== undefined) return undefined;
    if (total === 1 && !flags) return { queue: num };
    return {
      queue: {
        num,
        ...(total === 1 ? {} : { total }),
        ...(flags & 1 ? { bypass: true } : {}),
        ...(flags & 2 ? { fanout: true } : {}),
      },
    };
  },
  masq: ({ protoMin, flags }) => {
    const words = natFlags(flags);
    if (protoMin !== undefined || !words) return undefined;
    return { masquerade: Object.keys(words).length > 0 ? words : true };
  },
  redir: ({ protoMin, flags }) => {
    const words = natFlags(flags);
    if (protoMin !== undefined || !words) return undefined;
    return { redirect: Object.keys(words).length > 0 ? words : true };
  },
};
