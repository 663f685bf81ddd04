// TypeScript as narrow as a page: formatted by dprint, the formatter of `deno fmt`, at build time.
import { readFileSync } from "node:fs";
import { createFromBuffer } from "@dprint/formatter";
import { getPath } from "@dprint/typescript";

/** Columns of a block of code that fit on a page. */
export const COLUMNS = 80;

const formatter = createFromBuffer(readFileSync(getPath()));
formatter.setConfig({ lineWidth: COLUMNS, indentWidth: 2 }, { deno: true });

/** Code that is no wider than a page, as far as the formatter can make it. */
export function narrow(code: string, language: string): string {
  if (!/^(ts|typescript)$/.test(language)) return code;
  const isWide = code.split("\n").some((line) => line.length > COLUMNS);
  return isWide ? formatter.formatText({ filePath: "page.ts", fileText: code }) : code;
}
