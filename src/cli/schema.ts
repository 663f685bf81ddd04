/**
 * `netloom schema`.
 *
 * @module
 */
import type { Call } from "./verb.ts";

/** Prints a schema that is published with the package. */
export async function run(call: Call): Promise<void> {
  const name = call.options.output ? "output" : "lab";
  const file = await fetch(new URL(`../../schema/${name}.v1.json`, import.meta.url));
  const text = await file.text();
  call.out.result(JSON.parse(text), text);
}
