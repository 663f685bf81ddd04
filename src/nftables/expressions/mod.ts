/**
 * Expressions by name: their codec, which reads the table of those that netloom knows.
 *
 * @module
 */
import { type Field, forEachAttribute, list, readText, text } from "../../netlink/attribute.ts";
import type { Source, Writer } from "../../netlink/bytes.ts";
import { NLA_F } from "../../netlink/message.ts";
import { type Schema, schema, unknownAttributes } from "../../netlink/schema.ts";
import { checkObject, show } from "../../options.ts";
import { NFTA_EXPR, NFTA_LIST } from "../constants.ts";
import type { DataOf, ExpressionKind } from "../data.ts";
import * as table from "./table.ts";

/** The table of expressions, by the kernel's names. */
export type ExpressionKinds = typeof table;

/** An expression that netloom knows, with its attributes. */
export type KnownExpression = {
  [K in keyof ExpressionKinds]: { name: K; data: DataOf<ExpressionKinds[K]> };
}[keyof ExpressionKinds];

/** An expression that netloom does not know, or one with attributes that it does not know: as it came. */
export interface UnknownExpression {
  /** The discriminant. */
  name: "unknown";
  /** The kernel's name. */
  kernelName: string;
  /** The attributes of the expression. */
  data: Uint8Array;
}

/** A step of a rule's program. */
export type Expression = KnownExpression | UnknownExpression;

const kinds = table as unknown as Readonly<Record<string, ExpressionKind>>;

/** An expression by the kernel's name; `undefined` when the table does not have it. */
export function expressionKind(name: string): ExpressionKind | undefined {
  return Object.hasOwn(kinds, name) ? kinds[name] : undefined;
}

/** The names of the expressions in the table, sorted. */
export function expressionNames(): string[] {
  return Object.keys(kinds).sort();
}

/** The kernel's name of an expression. */
export function kernelName(expression: Expression): string {
  return expression.name === "unknown" ? expression.kernelName : expression.name;
}

/** An expression as `nft --debug=netlink` prints it, between its brackets. */
export function expressionWords(expression: Expression): string {
  if (expression.name === "unknown") return `${expression.kernelName} ?`;
  const kind = expressionKind(expression.name);
  return `${expression.name} ${kind?.words(expression.data) ?? "?"}`.trim();
}

const nameField = text(NFTA_EXPR.NAME, 127);
const names: Schema<object> = schema("NFTA_EXPR_", NFTA_EXPR, {});

function write(w: Writer, expression: Expression, path: string): void {
  checkObject(expression, path);
  const name = kernelName(expression);
  const kind = expressionKind(name);
  if (!kind && expression.name !== "unknown") {
    throw new TypeError(
      `${path}.name must be one of ${expressionNames().map(show).join(", ")} or "unknown": ` +
        `got ${show(name)}`,
    );
  }
  const at = w.begin(NFTA_EXPR.NAME);
  nameField.write(w, name, `${path}.kernelName`);
  w.end(at);
  const data = w.begin(NFTA_EXPR.DATA | NLA_F.NESTED);
  if (expression.data instanceof Uint8Array) w.append(expression.data);
  else kind!.data.write(w, expression.data, `${path}.data.`);
  w.end(data);
}

function read(s: Source, start: number, length: number): Expression {
  let name = "";
  let [from, size] = [0, 0];
  forEachAttribute(s, start, start + length, (type, at, length) => {
    if (type === NFTA_EXPR.NAME) name = readText(s, at, length);
    else if (type === NFTA_EXPR.DATA) [from, size] = [at, length];
  });
  const data = expressionKind(name)?.data.read(s, from, from + size);
  if (data && !(unknownAttributes in data)) return { name, data } as Expression;
  return { name: "unknown", kernelName: name, data: s.bytes.slice(from, from + size) };
}

/** An expression as an attribute. */
export function expressionField(type: number): Field<Expression> {
  return {
    type,
    nested: true,
    schema: names,
    write,
    read,
  };
}

const listNames: Schema<object> = schema("NFTA_LIST_", NFTA_LIST, {});

/** The expressions of a rule, set or element as an attribute. */
export function expressionsField(type: number): Field<Expression[]> {
  return { ...list(type, expressionField(NFTA_LIST.ELEM)), schema: listNames };
}
