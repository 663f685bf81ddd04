/**
 * `netloom schema`.
 *
 * @module
 */
import type { Call } from "./verb.ts";

/** Prints the schema that is published with the package. */
export async function run(call: Call): Promise<void> {
  const file = await fetch(new URL("../../schema/lab.v1.json", import.meta.url));
  call.out.text(await file.text());
}
