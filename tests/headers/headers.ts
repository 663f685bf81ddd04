/**
 * Reads the integer constants of the kernel's UAPI headers, so that tests can hold the library's own
 * tables against them.
 *
 * @example The value of a constant on both architectures
 * ```ts
 * import { includeDirs, readConstants } from "./headers.ts";
 *
 * for (const { arch, dir } of includeDirs()) {
 *   console.log(arch, readConstants(dir, ["asm/fcntl.h"]).get("O_DIRECTORY"));
 * }
 * ```
 *
 * @module
 */

import { evaluate, isIdentifier, NotConstantError, type Token } from "./_expression.ts";
import { exists, headerDirs } from "./_packages.ts";
import { Preprocessor } from "./_preprocessor.ts";

/** An architecture whose headers the tests read. */
export type Arch = "x86_64" | "aarch64";

/** The kernel headers of one architecture. */
export interface IncludeDirs {
  readonly arch: Arch;
  /** Directories to search in order, as a compiler would. */
  readonly dir: string[];
}

const ARCHES: readonly { arch: Arch; debian: string; marker: string }[] = [
  { arch: "x86_64", debian: "amd64", marker: "asm/ldt.h" },
  { arch: "aarch64", debian: "arm64", marker: "asm/sve_context.h" },
];

/**
 * Finds the kernel headers of x86-64 and aarch64. Headers that are not installed are unpacked from
 * Debian's packages into `.cache/headers`.
 *
 * @returns One entry per architecture, x86-64 first
 * @throws {Error} If headers are neither installed nor to be fetched; the message names the command
 * that installs them
 */
export function includeDirs(): IncludeDirs[] {
  return ARCHES.map(({ arch, debian }) => {
    const native = arch === Deno.build.arch;
    const triplet = `${arch}-linux-gnu`;
    const dirs = native
      ? ["/usr/include", `/usr/include/${triplet}`]
      : [`/usr/${triplet.replace("_", "-")}/include`];
    try {
      const pkg = native ? "linux-libc-dev" : `linux-libc-dev-${debian}-cross`;
      return { arch, dir: headerDirs(pkg, debian, dirs) };
    } catch (error) {
      const other = ARCHES.find((other) => other.arch !== Deno.build.arch)?.debian;
      const install = `apt-get install -y linux-libc-dev linux-libc-dev-${other}-cross`;
      throw new Error(`Cannot find kernel headers; install them with: ${install}`, {
        cause: error,
      });
    }
  });
}

/**
 * Reads the constants that headers define, directly or through kernel headers they include: macros
 * without parameters whose value is an integer, and enumerators. Values are those of the C
 * expression, sign included; what a number cannot hold exactly is left out. Which architecture is
 * meant follows from the `asm/` headers.
 *
 * @param includeDir Where to search the headers: one directory or several
 * @param files Headers as in `#include <...>`, read in order as one translation unit
 * @returns Values by name
 * @throws {Deno.errors.NotFound} If a header, or a kernel header it includes, does not exist
 */
export function readConstants(
  includeDir: string | readonly string[],
  files: readonly string[],
): Map<string, number> {
  const dirs = typeof includeDir === "string" ? [includeDir] : includeDir;
  const preprocessor = new Preprocessor(dirs, predefinedMacros(dirs));
  // Headers number ioctls with the macros of this one and leave including it to the program.
  if (exists(dirs, "linux/ioctl.h")) preprocessor.include("linux/ioctl.h");
  for (const file of files) preprocessor.include(file);

  const constants = readEnumerators(preprocessor);
  const lookup = (name: string) => constants.get(name);
  for (const name of preprocessor.objectMacros) {
    const value = tryEvaluate(preprocessor.expand([name]), lookup);
    if (value !== undefined) constants.set(name, value);
  }
  return new Map(
    [...constants]
      .map(([name, value]): [string, number] => [name, Number(value)])
      .filter(([, value]) => Number.isSafeInteger(value)),
  );
}

/** What a compiler for these headers' architecture would predefine and headers ask for. */
function predefinedMacros(dirs: readonly string[]): string[] {
  const arch = ARCHES.find(({ marker }) => exists(dirs, marker));
  return arch === undefined ? [] : [`__${arch.arch}__`];
}

/** Reads every `enum { ... }` of the translation unit. */
function readEnumerators(preprocessor: Preprocessor): Map<string, bigint> {
  const { tokens } = preprocessor;
  const values = new Map<string, bigint>();
  for (let at = 0; at < tokens.length; at++) {
    if (tokens[at] !== "enum") continue;
    const open = isIdentifier(tokens[at + 1]) ? at + 2 : at + 1;
    if (tokens[open] !== "{") continue;
    // Undefined: after an enumerator whose value is not known (it needs the size of a struct).
    let next: bigint | undefined = 0n;
    for (const [name, ...rest] of splitList(tokens, open + 1)) {
      if (name === undefined) continue;
      const value: bigint | undefined = rest[0] === "="
        ? tryEvaluate(preprocessor.expand(rest.slice(1)), (name) => values.get(name))
        : next;
      if (value !== undefined) values.set(name, value);
      next = value === undefined ? undefined : value + 1n;
    }
  }
  return values;
}

/** Splits at the commas of the outermost level, up to the brace that closes the list. */
function splitList(tokens: readonly Token[], start: number): Token[][] {
  const items: Token[][] = [[]];
  let depth = 0;
  for (let at = start; at < tokens.length; at++) {
    const token = tokens[at] as Token;
    if (token === "(") depth++;
    if (token === ")") depth--;
    if (token === "}" && depth === 0) break;
    if (token === "," && depth === 0) items.push([]);
    else items.at(-1)?.push(token);
  }
  return items;
}

function tryEvaluate(
  tokens: readonly Token[],
  lookup: (name: string) => bigint | undefined,
): bigint | undefined {
  try {
    return evaluate(tokens, lookup);
  } catch (error) {
    if (error instanceof NotConstantError) return undefined;
    throw error;
  }
}
