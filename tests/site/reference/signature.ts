// Types and signatures as HTML, with a link at each name that has a place in the reference.
import type { Callable, Member, Param, TsType, TypeParam } from "./model.ts";

/** The address of a type that a module names; `undefined` for one that is not public. */
export type Resolve = (name: string, from: TsType) => string | undefined;

/** Text that means itself in HTML and in a Vue template. */
export function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll("{{", "{&#123;");
}

/** Characters a signature may have in a line. */
const WIDTH = 76;

/** The length of HTML as a reader sees it. */
function visible(html: string): number {
  return html.replace(/<[^>]*>/g, "").replace(/&\w+;|&#\d+;/g, "x").length;
}

/** Parts between brackets: in a line, or in a line each when that would be too long. */
function bracketed(open: string, parts: readonly string[], close: string, mark = ","): string {
  const line = `${open}${parts.join(`${mark} `)}${close}`;
  if (parts.length === 0 || visible(line) <= WIDTH && !line.includes("\n")) return line;
  const inner = parts.map((part) => `  ${part.replaceAll("\n", "\n  ")}${mark}\n`).join("");
  return `${open.trimEnd()}\n${inner}${close.trimStart()}`;
}

/** Types and signatures for one page. */
export class Signatures {
  readonly #resolve: Resolve;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  /** `name(param: Type): Result`. */
  callable(name: string, { params, returnType, typeParams }: Callable, arrow = ": "): string {
    const open = `${name}${this.typeParams(typeParams)}(`;
    const close = returnType ? `)${arrow}${this.type(returnType)}` : ")";
    return bracketed(open, params.map((param) => this.#param(param)), close);
  }

  /** `readonly name?: Type`. */
  property({ name, tsType, optional, readonly }: Member): string {
    const type = tsType ? `: ${this.type(tsType)}` : "";
    const mark = readonly ? '<i class="keyword">readonly</i> ' : "";
    return `${mark}${escape(name)}${optional ? "?" : ""}${type}`;
  }

  /** `<T extends string>`; nothing without any. */
  typeParams(all: readonly TypeParam[] = []): string {
    if (all.length === 0) return "";
    const each = all.map(({ name, constraint, default: byDefault }) =>
      name + (constraint ? ` extends ${this.type(constraint)}` : "") +
      (byDefault ? ` = ${this.type(byDefault)}` : "")
    );
    return `&lt;${each.join(", ")}&gt;`;
  }

  #param(param: Param): string {
    if (param.kind === "assign") return this.#param({ ...param.left!, optional: true });
    if (param.kind === "rest") return `...${param.arg!.name}${this.#typed(param.tsType)}`;
    const name = param.name ?? "options";
    return `${name}${param.optional ? "?" : ""}${this.#typed(param.tsType)}`;
  }

  #typed(type: TsType | undefined): string {
    return type ? `: ${this.type(type)}` : "";
  }

  /** A name, with a link where it has a place. */
  name(name: string, from: TsType): string {
    const address = this.#resolve(name, from);
    return address ? `<a href="${address}">${escape(name)}</a>` : escape(name);
  }

  /** A type. */
  type(type: TsType): string {
    const { kind, value, repr = "" } = type;
    const print = (inner: TsType) => this.type(inner);
    switch (kind) {
      case "keyword":
        return `<i class="keyword">${repr}</i>`;
      case "literal":
        return this.#literal(value, repr);
      case "typeRef": {
        const inner = (value.typeParams as TsType[] | undefined)?.map(print) ?? [];
        const arguments_ = inner.length > 0 ? `&lt;${inner.join(", ")}&gt;` : "";
        return this.name(value.typeName, type) + arguments_;
      }
      case "typeQuery":
        return `<i class="keyword">typeof</i> ${this.name(repr, type)}`;
      case "this":
        return "this";
      case "union":
        return this.#joined(value, "|");
      case "intersection":
        return this.#joined(value, "&amp;");
      case "array": {
        const inner = print(value);
        return /^(union|fn|typeOperator|conditional)/.test(value.kind)
          ? `(${inner})[]`
          : `${inner}[]`;
      }
      case "tuple":
        return bracketed("[", value.map(print), "]");
      case "rest":
        return `...${print(value)}`;
      case "optional":
        return `${print(value)}?`;
      case "typeOperator":
        return `<i class="keyword">${value.operator}</i> ${print(value.tsType)}`;
      case "parenthesized":
        return `(${print(value)})`;
      case "indexedAccess":
        return `${print(value.objType)}[${print(value.indexType)}]`;
      case "fnOrConstructor":
        return this.callable(value.constructor === true ? "new " : "", {
          ...value,
          returnType: value.tsType,
        }, " => ");
      case "typeLiteral":
        return this.#literalType(value);
      case "conditional":
        return `${print(value.checkType)} extends ${print(value.extendsType)}\n  ? ` +
          `${print(value.trueType)}\n  : ${print(value.falseType)}`;
      case "infer":
        return `<i class="keyword">infer</i> ${value.typeParam.name}`;
      case "mapped":
        return this.#mapped(value);
      case "typePredicate":
        return `${value.asserts ? "asserts " : ""}${value.param.name ?? "this"}` +
          (value.type ? ` is ${print(value.type)}` : "");
      default:
        throw new Error(`No form for types of kind ${kind}: ${JSON.stringify(type)}`);
    }
  }

  #joined(types: readonly TsType[], mark: string): string {
    const parts = types.map((type) => this.type(type));
    const line = parts.join(` ${mark} `);
    if (visible(line) <= WIDTH && !line.includes("\n")) return line;
    return parts.map((part) => `\n  ${mark} ${part.replaceAll("\n", "\n  ")}`).join("");
  }

  // deno-lint-ignore no-explicit-any
  #literal(value: any, repr: string): string {
    if (value.kind === "string") return `<i class="string">"${escape(value.string)}"</i>`;
    if (value.kind !== "template") return `<i class="string">${escape(repr)}</i>`;
    const parts = (value.tsTypes as TsType[]).map((type) =>
      type.kind === "literal" ? escape(type.value.string) : "${" + this.type(type) + "}"
    );
    return `<i class="string">\`${parts.join("")}\`</i>`;
  }

  #literalType(value: Record<string, readonly Member[] | undefined>): string {
    const parts = [
      ...(value["callSignatures"] ?? []).map((member) => this.callable("", called(member))),
      ...(value["indexSignatures"] ?? []).map((member) =>
        `[${(member.params ?? []).map((param) => this.#param(param)).join(", ")}]` +
        this.#typed(member.tsType)
      ),
      ...(value["properties"] ?? []).map((member) => this.property(member)),
      ...(value["methods"] ?? []).map((member) =>
        this.callable(escape(member.name), called(member))
      ),
    ];
    return bracketed("{ ", parts, " }", ";").replace(/; }$/, " }");
  }

  // deno-lint-ignore no-explicit-any
  #mapped(value: any): string {
    const { typeParam, nameType, tsType, optional, readonly } = value;
    const mark = (flag: unknown, word: string) =>
      flag === undefined || flag === null || flag === false ? "" : flag === "-" ? `-${word}` : word;
    const as = nameType ? ` as ${this.type(nameType)}` : "";
    const key = `[${typeParam.name} in ${this.type(typeParam.constraint)}${as}]`;
    const readonlyMark = mark(readonly, "readonly");
    const inner = `${readonlyMark && `${readonlyMark} `}${key}${mark(optional, "?")}: ` +
      (tsType ? this.type(tsType) : "any");
    return bracketed("{ ", [inner], " }", ";").replace(/; }$/, " }");
  }
}

/** The callable part of a method. */
export function called({ functionDef, params = [], returnType, typeParams }: Member): Callable {
  return functionDef ??
    { params, ...(returnType ? { returnType } : {}), ...(typeParams ? { typeParams } : {}) };
}
