// Integer constant expressions of C, as kernel headers use them: evaluated with C's own widths and
// signedness, so that `1 << 31` is negative and `1U << 31` is not. Types are those of LP64 Linux,
// which x86-64 and aarch64 share.

/** One preprocessing token: an identifier, a number, a literal or an operator. */
export type Token = string;

const TOKEN =
  /[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*|'(?:[^'\\]|\\.)+'|"(?:[^"\\]|\\.)*"|##|<<|>>|<=|>=|==|!=|&&|\|\||->|\.{3}|[^\s\w]/g;

/** Splits one logical line (comments gone) into tokens. */
export function tokenize(line: string): Token[] {
  return line.match(TOKEN) ?? [];
}

/** Says whether a token is an identifier or keyword. */
export function isIdentifier(token: Token | undefined): token is Token {
  return token !== undefined && /^[A-Za-z_]/.test(token);
}

/** Thrown for tokens that are no integer constant: a string, a declaration, an unknown name. */
export class NotConstantError extends Error {
  override name = "NotConstantError";
}

interface Type {
  readonly bits: number;
  readonly unsigned: boolean;
}

interface Value extends Type {
  readonly value: bigint;
}

const INT: Type = { bits: 32, unsigned: false };
const UINT: Type = { bits: 32, unsigned: true };
const LONG: Type = { bits: 64, unsigned: false };
const ULONG: Type = { bits: 64, unsigned: true };

/** Kernel and libc names of integer types that stand in constant expressions. */
const NAMED_TYPES: Readonly<Record<string, Type>> = {
  __s8: { bits: 8, unsigned: false },
  __u8: { bits: 8, unsigned: true },
  __s16: { bits: 16, unsigned: false },
  __u16: { bits: 16, unsigned: true },
  __le16: { bits: 16, unsigned: true },
  __be16: { bits: 16, unsigned: true },
  __s32: INT,
  __u32: UINT,
  __le32: UINT,
  __be32: UINT,
  __poll_t: UINT,
  __s64: LONG,
  __u64: ULONG,
  __le64: ULONG,
  __be64: ULONG,
  __kernel_long_t: LONG,
  __kernel_ulong_t: ULONG,
  time_t: LONG,
  size_t: ULONG,
};

const TYPE_WORDS = new Set(["char", "short", "int", "long", "signed", "unsigned"]);
const QUALIFIERS = new Set(["const", "volatile", "__force", "__bitwise"]);

/** Evaluates tokens in which macros are already expanded; `lookup` knows enumerators. */
export function evaluate(
  tokens: readonly Token[],
  lookup: (name: string) => bigint | undefined,
): bigint {
  return new Evaluator(tokens, lookup).evaluate();
}

/** Binary operators by precedence, loosest first. */
const LEVELS: readonly (readonly Token[])[] = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["==", "!="],
  ["<", ">", "<=", ">="],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];

class Evaluator {
  #at = 0;
  readonly #tokens: readonly Token[];
  readonly #lookup: (name: string) => bigint | undefined;

  constructor(tokens: readonly Token[], lookup: (name: string) => bigint | undefined) {
    this.#tokens = tokens;
    this.#lookup = lookup;
  }

  evaluate(): bigint {
    const { value } = this.#conditional();
    if (this.#at < this.#tokens.length) throw this.#unexpected();
    return value;
  }

  #unexpected(): NotConstantError {
    const token = this.#tokens[this.#at] ?? "the end";
    return new NotConstantError(`Unexpected ${token} in "${this.#tokens.join(" ")}"`);
  }

  #accept(token: Token): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #expect(token: Token): void {
    if (!this.#accept(token)) throw this.#unexpected();
  }

  #conditional(): Value {
    const condition = this.#binary(0);
    if (!this.#accept("?")) return condition;
    const yes = this.#conditional();
    this.#expect(":");
    const no = this.#conditional();
    return convert((condition.value !== 0n ? yes : no).value, common(yes, no));
  }

  #binary(level: number): Value {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const operator = this.#tokens[this.#at];
      if (operator === undefined || !operators.includes(operator)) return left;
      this.#at++;
      left = apply(operator, left, this.#binary(level + 1));
    }
  }

  #unary(): Value {
    if (this.#accept("+")) return this.#unary();
    if (this.#accept("-")) return map(this.#unary(), (value) => -value);
    if (this.#accept("~")) return map(this.#unary(), (value) => ~value);
    if (this.#accept("!")) return convert(this.#unary().value === 0n ? 1n : 0n, INT);
    if (this.#accept("sizeof")) {
      this.#expect("(");
      const type = this.#type();
      if (type === undefined) throw this.#unexpected();
      this.#expect(")");
      return convert(BigInt(type.bits / 8), ULONG);
    }
    if (this.#accept("(")) {
      const type = this.#type();
      if (type !== undefined) {
        this.#expect(")");
        return promote(convert(this.#unary().value, type));
      }
      const inner = this.#conditional();
      this.#expect(")");
      return inner;
    }
    return this.#primary();
  }

  #primary(): Value {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw this.#unexpected();
    if (/^\d/.test(token)) {
      this.#at++;
      return parseNumber(token);
    }
    if (/^'[^\\]'$/.test(token)) {
      this.#at++;
      return convert(BigInt(token.charCodeAt(1)), INT);
    }
    const value = isIdentifier(token) ? this.#lookup(token) : undefined;
    if (value === undefined) throw this.#unexpected();
    this.#at++;
    return convert(value, decimalType(value));
  }

  /** A type name at the current place, or undefined and no move. */
  #type(): Type | undefined {
    const words: Token[] = [];
    let at = this.#at;
    for (let token = this.#tokens[at]; token !== undefined; token = this.#tokens[++at]) {
      if (QUALIFIERS.has(token)) continue;
      if (!TYPE_WORDS.has(token) && !(token in NAMED_TYPES)) break;
      words.push(token);
    }
    if (words.length === 0) return undefined;
    this.#at = at;
    if (this.#accept("*")) return ULONG;
    const named = NAMED_TYPES[words[0] ?? ""];
    if (named !== undefined) return named;
    const bits = words.includes("long")
      ? 64
      : words.includes("short")
      ? 16
      : words.includes("char")
      ? 8
      : 32;
    return { bits, unsigned: words.includes("unsigned") };
  }
}

function convert(value: bigint, type: Type): Value {
  const wrapped = type.unsigned
    ? BigInt.asUintN(type.bits, value)
    : BigInt.asIntN(type.bits, value);
  return { value: wrapped, bits: type.bits, unsigned: type.unsigned };
}

/** C's integer promotion: what is narrower than int becomes int. */
function promote(value: Value): Value {
  return value.bits < 32 ? convert(value.value, INT) : value;
}

/** C's usual arithmetic conversions for two promoted operands. */
function common(left: Type, right: Type): Type {
  const bits = Math.max(left.bits, right.bits);
  const unsigned = [left, right].some((type) => type.unsigned && type.bits === bits);
  return { bits, unsigned };
}

function map(value: Value, change: (value: bigint) => bigint): Value {
  return convert(change(value.value), value);
}

function apply(operator: Token, left: Value, right: Value): Value {
  // A shift has its left operand's type; every other operator converts both sides first.
  if (operator === "<<") return map(left, (value) => value << right.value);
  if (operator === ">>") return map(left, (value) => value >> right.value);
  const type = common(left, right);
  const a = convert(left.value, type).value;
  const b = convert(right.value, type).value;
  const truth = (value: boolean) => convert(value ? 1n : 0n, INT);
  switch (operator) {
    case "||":
      return truth(a !== 0n || b !== 0n);
    case "&&":
      return truth(a !== 0n && b !== 0n);
    case "==":
      return truth(a === b);
    case "!=":
      return truth(a !== b);
    case "<":
      return truth(a < b);
    case ">":
      return truth(a > b);
    case "<=":
      return truth(a <= b);
    case ">=":
      return truth(a >= b);
    case "|":
      return convert(a | b, type);
    case "^":
      return convert(a ^ b, type);
    case "&":
      return convert(a & b, type);
    case "+":
      return convert(a + b, type);
    case "-":
      return convert(a - b, type);
    case "*":
      return convert(a * b, type);
  }
  if (b === 0n) throw new NotConstantError(`Division by zero`);
  return convert(operator === "/" ? a / b : a % b, type);
}

function decimalType(value: bigint): Type {
  return BigInt.asIntN(32, value) === value
    ? INT
    : BigInt.asIntN(64, value) === value
    ? LONG
    : ULONG;
}

function parseNumber(token: Token): Value {
  const match = /^(?:(0[xX][\da-fA-F]+)|(0[0-7]*)|([1-9]\d*))([uUlL]*)$/.exec(token);
  if (match === null) throw new NotConstantError(`Not an integer: ${token}`);
  const [, hex, octal, decimal, suffix = ""] = match;
  const value = BigInt(hex ?? decimal ?? (octal === "0" ? "0" : `0o${octal}`));
  const types = decimal === undefined ? [INT, UINT, LONG, ULONG] : [INT, LONG, ULONG];
  const type = types
    .filter((type) => type.unsigned || !/u/i.test(suffix))
    .filter((type) => type.bits === 64 || !/l/i.test(suffix))
    .find((type) => convert(value, type).value === value) ?? ULONG;
  return convert(value, type);
}
