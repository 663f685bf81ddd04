/**
 * Fields of flower that are nests of attributes: the stack of MPLS, and the options of tunnels.
 *
 * @module
 */
import { be16, be32, type Field, forEachAttribute, u32, u8 } from "../../netlink/attribute.ts";
import { NLA_F, NLA_TYPE_MASK } from "../../netlink/message.ts";
import { nested, schema } from "../../netlink/schema.ts";
import { checkOptions, integer, type OptionNames, show } from "../../options.ts";

/** An entry of a stack of MPLS. */
export interface FlowerMplsEntry {
  /** Its place in the stack: 1 is the outermost. */
  depth: number;
  /** Its label. */
  label?: number;
  /** Its traffic class. */
  tc?: number;
  /** Whether it is the bottom of the stack: 0 or 1. */
  bos?: number;
  /** Its time to live. */
  ttl?: number;
}

/** Options of the tunnel that a packet came by, as in `tc`, with `/` and a mask where not all bits count. */
export interface TunnelOptions {
  /** Options of Geneve, `class:type:data` in hexadecimal: `0102:34:05060708`; several with commas. */
  geneveOpts?: string;
  /** The group policy of VXLAN: `5`, `5/255`. */
  vxlanOpts?: string;
  /** Version, index, direction and hardware id of ERSPAN: `1:2:0:0`. */
  erspanOpts?: string;
  /** Type and QFI of GTP, in hexadecimal: `1:8`. */
  gtpOpts?: string;
}

/** Attribute numbers of an entry. */
export const TCA_FLOWER_KEY_MPLS_OPT_LSE = { DEPTH: 1, TTL: 2, BOS: 3, TC: 4, LABEL: 5 } as const;

const LSE = TCA_FLOWER_KEY_MPLS_OPT_LSE;

const entry = schema<FlowerMplsEntry>("TCA_FLOWER_KEY_MPLS_OPT_LSE_", LSE, {
  depth: u8(LSE.DEPTH, { min: 1, max: 7 }),
  label: u32(LSE.LABEL, { max: 0xfffff }),
  tc: u8(LSE.TC, { max: 7 }),
  bos: u8(LSE.BOS, { max: 1 }),
  ttl: u8(LSE.TTL),
});

const ENTRY: OptionNames<FlowerMplsEntry> = {
  depth: true,
  label: true,
  tc: true,
  bos: true,
  ttl: true,
};

/** The stack. */
export function mplsField(type: number): Field<readonly FlowerMplsEntry[]> {
  const one = nested(1, entry);
  return {
    type,
    nested: true,
    write: (w, entries, path) => {
      if (!Array.isArray(entries) || entries.length === 0) {
        throw new TypeError(`${path} must be an array of entries: got ${show(entries)}`);
      }
      entries.forEach((it, i) => {
        checkOptions(it, ENTRY, `${path}[${i}]`);
        integer(it.depth, `${path}[${i}].depth`, 1, 7);
        const at = w.begin(1 | NLA_F.NESTED);
        one.write(w, it, `${path}[${i}]`);
        w.end(at);
      });
    },
    read: (s, at, length) => {
      const entries: FlowerMplsEntry[] = [];
      forEachAttribute(s, at, at + length, (_, from, size) => {
        entries.push(one.read(s, from, size));
      });
      return entries;
    },
  };
}

/** The words of a stack in `tc`. */
export function mplsWords(value: unknown): string {
  const entries = value as readonly FlowerMplsEntry[];
  const words = entries.map(({ depth, label, tc, bos, ttl }) => {
    const rest = Object.entries({ label, tc, bos, ttl }).filter(([, it]) => it !== undefined);
    return `lse depth ${depth}${rest.map(([word, it]) => ` ${word} ${it}`).join("")}`;
  });
  return `mpls ${words.join(" ")}`;
}

/** Options of a tunnel on the wire: the kind's attribute, and the values of each option. */
interface TunnelData {
  type: number;
  options: (number | Uint8Array | undefined)[][];
}

/** A value of an option of a tunnel: a number of some bytes, or all the rest. */
type Part =
  | {
    readonly field: Field<number>;
    readonly max: number;
    /** It has no bits to choose: in the mask, too, it tells the kernel how to read the rest. */
    readonly whole?: true;
  }
  | "bytes";

/** A kind of tunnel. */
interface TunnelKind {
  /** The word of `tc`. */
  readonly word: string;
  /** The options and the mask on the wire. */
  parse(text: unknown, path: string): readonly [TunnelData, TunnelData];
  /** The options as text; `undefined` when they are of another kind. */
  format(data: unknown, mask: unknown): string | undefined;
}

const PARTS: Readonly<Record<number, readonly Part[]>> = {
  1: [{ field: be16(1), max: 0xffff }, { field: u8(2), max: 0xff }, "bytes"],
  2: [{ field: u32(1), max: 0xffffffff }],
  3: [
    { field: u8(1), max: 0xff, whole: true },
    { field: be32(2), max: 0xffffffff },
    { field: u8(3), max: 0xff },
    { field: u8(4), max: 0xff },
  ],
  4: [{ field: u8(1), max: 0xff }, { field: u8(2), max: 0xff }],
};

/** The options of a tunnel, or their mask. */
export function tunnelField(attribute: number): Field<TunnelData> {
  return {
    type: attribute,
    nested: true,
    write: (w, { type, options }) => {
      for (const values of options) {
        const nest = w.begin(type | NLA_F.NESTED);
        PARTS[type]!.forEach((part, i) => {
          const at = w.begin(i + 1);
          if (part === "bytes") w.append(values[i] as Uint8Array);
          else part.field.write(w, values[i] as number, "");
          w.end(at);
        });
        w.end(nest);
      }
    },
    read: (s, at, length) => {
      const data: TunnelData = { type: 0, options: [] };
      forEachAttribute(s, at, at + length, (type, from, size) => {
        data.type = type & NLA_TYPE_MASK;
        const values: TunnelData["options"][number] = [];
        forEachAttribute(s, from, from + size, (number, begin, bytes) => {
          const part = PARTS[data.type]?.[number - 1];
          if (part === "bytes") values[number - 1] = s.bytes.slice(begin, begin + bytes);
          else if (part) values[number - 1] = part.field.read(s, begin, bytes);
        });
        data.options.push(values);
      });
      return data;
    },
  };
}

const hexText = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function tunnel(word: string, type: number, radix: 10 | 16): TunnelKind {
  const parts = PARTS[type]!;
  const digits = radix === 16 ? /^[0-9a-f]{1,8}$/i : /^\d{1,10}$/;
  const parsePart = (text: string, part: Part): number | Uint8Array | undefined => {
    if (part !== "bytes") {
      const number = digits.test(text) ? parseInt(text, radix) : NaN;
      return number <= part.max ? number : undefined;
    }
    if (!/^(?:[0-9a-f]{8}){1,32}$/i.test(text)) return undefined;
    return Uint8Array.from(text.match(/../g)!, (pair) => parseInt(pair, 16));
  };
  const parseOne = (text: string, malformed: () => never) => {
    const words = text.split(":");
    const values = parts.map((part, i) => parsePart(words[i] ?? "", part));
    return words.length === parts.length && !values.includes(undefined) ? values : malformed();
  };
  const full = (values: TunnelData["options"][number]) =>
    values.map((value, i) => {
      const part = parts[i]!;
      if (part === "bytes") return new Uint8Array((value as Uint8Array).length).fill(0xff);
      return part.whole ? value : part.max;
    });
  const isFull = (value: number | Uint8Array | undefined, i: number) => {
    const part = parts[i]!;
    if (value === undefined) return true;
    if (part === "bytes") return (value as Uint8Array).every((byte) => byte === 0xff);
    return part.whole || value === part.max;
  };
  const textOf = (values: TunnelData["options"][number]) =>
    parts.map((_, i) => {
      const value = values[i] ?? 0;
      return typeof value === "number" ? value.toString(radix) : hexText(value);
    }).join(":");
  return {
    word,
    parse: (given, path) => {
      const malformed = (): never => {
        throw new TypeError(`${path} must be as in tc, ${EXAMPLES[type]}: got ${show(given)}`);
      };
      const [value = "", mask] = typeof given === "string" ? given.split("/") : malformed();
      const options = value.split(",").map((it) => parseOne(it, malformed));
      const masks = mask?.split(",").map((it) => parseOne(it, malformed)) ?? options.map(full);
      if (masks.length !== options.length) malformed();
      return [{ type, options }, { type, options: masks }];
    },
    format: (data, mask) => {
      const { type: own, options } = (data ?? {}) as Partial<TunnelData>;
      if (own !== type || !options) return undefined;
      const masks = (mask as TunnelData | undefined)?.options ?? [];
      const all = masks.every((values) => parts.every((_, i) => isFull(values[i], i)));
      return options.map(textOf).join(",") + (all ? "" : `/${masks.map(textOf).join(",")}`);
    },
  };
}

const EXAMPLES: Readonly<Record<number, string>> = {
  1: '"0102:34:05060708"',
  2: '"5"',
  3: '"1:2:0:0"',
  4: '"1:8"',
};

/** The kinds of tunnels by the names of their options. */
export const TUNNEL_KINDS: Readonly<Record<string, TunnelKind>> = {
  geneveOpts: tunnel("geneve_opts", 1, 16),
  vxlanOpts: tunnel("vxlan_opts", 2, 10),
  erspanOpts: tunnel("erspan_opts", 3, 10),
  gtpOpts: tunnel("gtp_opts", 4, 16),
};
