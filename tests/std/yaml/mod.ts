/**
 * Stand-in for `@std/yaml` where JSR is not reachable, over npm's yaml. That one speaks YAML 1.2:
 * no timestamps, no `<<` merges, no octal `010`, no sexagesimal `10:20`, all of which std knows.
 *
 * @module
 */
import * as yaml from "yaml";

/** Options of {@linkcode stringify}. */
export interface StringifyOptions {
  /** Spaces a level, by default 2. */
  indent?: number;
  /** Whether to leave out what YAML has no form for, instead of throwing. */
  skipInvalid?: boolean;
}

/**
 * Parses one YAML document.
 *
 * @throws {SyntaxError} if it is malformed, repeats a key or holds more than one document
 */
export function parse(content: string): unknown {
  try {
    return yaml.parse(content);
  } catch (error) {
    throw new SyntaxError((error as Error).message, { cause: error });
  }
}

/**
 * Writes a value as a YAML document.
 *
 * @throws {TypeError} if YAML has no form for a part of it
 */
export function stringify(data: unknown, options: StringifyOptions = {}): string {
  const { skipInvalid = false, indent = 2 } = options;
  const refuse = (_key: unknown, value: unknown) => {
    if (skipInvalid || !["undefined", "function", "symbol"].includes(typeof value)) return value;
    throw new TypeError(`Cannot stringify ${typeof value}`);
  };
  return yaml.stringify(data, refuse, { indent, singleQuote: true, compat: "yaml-1.1" });
}
