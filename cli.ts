/**
 * The command `netloom`: `deno run -A cli.ts --help` lists its verbs.
 *
 * @example A verb from a program
 * ```ts
 * import { main } from "@netloom/netloom/cli";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["links", "--kind", "bridge"]), 0); // the exit code
 * ```
 *
 * @module
 */
import { main } from "./src/cli/main.ts";

export { main };

if (import.meta.main) Deno.exitCode = await main(Deno.args);
