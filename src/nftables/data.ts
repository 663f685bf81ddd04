/**
 * Values in registers and sets, bytes or a verdict; and the form of an expression: one entry of the table in
 * `expressions/table.ts`, from which the codec and the words follow.
 *
 * @module
 */
import { be32, type Field, forEachAttribute, readText, text } from "../netlink/attribute.ts";
import { NLA_F } from "../netlink/message.ts";
import { NetlinkDecodeError } from "../netlink/error.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { show } from "../options.ts";
import { NFTA_DATA, NFTA_VERDICT } from "./constants.ts";

/** Verdicts by their words in `nft` (`NF_*`, `NFT_*`). */
export const VERDICTS: Readonly<Record<VerdictWord, number>> = {
  drop: 0,
  accept: 1,
  continue: -1,
  break: -2,
  jump: -3,
  goto: -4,
  return: -5,
};

/** A verdict on a packet, by its word. */
export type VerdictWord = "drop" | "accept" | "continue" | "break" | "jump" | "goto" | "return";

/** A verdict as the wire has it. */
export interface VerdictData {
  /** The verdict; a number is one without a word, such as that of a queue. */
  verdict: VerdictWord | number;
  /** The chain, of `jump` and `goto`. */
  chain?: string;
}

/** A verdict by the words of `nft`. */
export type Verdict =
  | "accept"
  | "drop"
  | "continue"
  | "return"
  | `jump ${string}`
  | `goto ${string}`;

/** A value: bytes in the order of the register, or a verdict. */
export type Data = Uint8Array | VerdictData;

/** The names of a value's attributes. */
const dataNames: Schema<object> = schema("NFTA_DATA_", NFTA_DATA, {});

function verdictWord(code: number): VerdictWord | number {
  const words = Object.keys(VERDICTS) as VerdictWord[];
  return words.find((word) => VERDICTS[word] === code) ?? code;
}

const chainField = text(NFTA_VERDICT.CHAIN, 255);

/** A value as an attribute. */
export function dataField(type: number): Field<Data> {
  return {
    type,
    nested: true,
    schema: dataNames,
    write: (w, value, path) => {
      if (value instanceof Uint8Array) {
        const at = w.begin(NFTA_DATA.VALUE);
        w.append(value);
        return w.end(at);
      }
      if (typeof value !== "object" || value === null || !("verdict" in value)) {
        throw new TypeError(`${path} must be bytes or a verdict: got ${show(value)}`);
      }
      const { verdict, chain } = value;
      const at = w.begin(NFTA_DATA.VERDICT | NLA_F.NESTED);
      const code = w.begin(NFTA_VERDICT.CODE);
      const from = w.reserve(4);
      w.view.setInt32(from, typeof verdict === "number" ? verdict : VERDICTS[verdict]);
      w.end(code);
      if (chain !== undefined) {
        const name = w.begin(NFTA_VERDICT.CHAIN);
        chainField.write(w, chain, `${path}.chain`);
        w.end(name);
      }
      w.end(at);
    },
    read: (s, at, length) => {
      let data: Data | undefined;
      forEachAttribute(s, at, at + length, (kind, from, size) => {
        if (kind === NFTA_DATA.VALUE) data = s.bytes.slice(from, from + size);
        else if (kind === NFTA_DATA.VERDICT) data = readVerdict(s, from, from + size);
      });
      if (!data) throw new NetlinkDecodeError(`Cannot read attribute ${type}: it has no value`);
      return data;
    },
  };
}

function readVerdict(...[s, start, end]: Parameters<Schema<object>["read"]>): VerdictData {
  const data: VerdictData = { verdict: 0 };
  forEachAttribute(s, start, end, (type, at, length) => {
    if (type === NFTA_VERDICT.CODE) data.verdict = verdictWord(s.view.getInt32(at));
    else if (type === NFTA_VERDICT.CHAIN) data.chain = readText(s, at, length);
  });
  return data;
}

/** Bytes of a value, as an attribute: without verdicts. */
export function bytesField(type: number): Field<Uint8Array> {
  const field = dataField(type);
  return {
    ...field,
    read: (s, at, length) => {
      const data = field.read(s, at, length);
      if (data instanceof Uint8Array) return data;
      throw new NetlinkDecodeError(`Cannot read attribute ${type}: it is a verdict`);
    },
  };
}

/** A register: 0 is for verdicts, 1 to 4 have 16 bytes, 8 to 23 have 4 and overlap them. */
export function register(type: number): Field<number> {
  return be32(type, { max: 23 });
}

/** An expression: a step of a rule's program. */
export interface ExpressionKind<T extends object = object> {
  /** Its attributes. */
  readonly data: Schema<T>;
  /** The kernel's build option that brings it, without `CONFIG_`. */
  readonly config: string;
  /** The kernel's module that has it. Default: `nf_tables` itself. */
  readonly module?: string;
  /** Its words behind its name, as `nft --debug=netlink` prints them. */
  words(data: T): string;
}

/** The attributes of an expression. */
export type DataOf<K> = K extends ExpressionKind<infer T> ? T : never;

/** Bytes as `nft --debug=netlink` prints them: words in the order of the machine. */
export function hexWords(bytes: Uint8Array): string {
  const words: string[] = [];
  for (let i = 0; i < bytes.length; i += 4) {
    const word = Array.from(bytes.subarray(i, i + 4), (byte) => byte.toString(16).padStart(2, "0"));
    words.push(`0x${word.reverse().join("").padStart(8, "0")}`);
  }
  return words.join(" ");
}
