/**
 * The command `netloom`.
 *
 * `deno run -A cli.ts --help` lists its verbs; `deno install -gA -n netloom jsr:@netloom/netloom/cli`
 * installs it.
 *
 * @module
 */
import { main } from "./src/cli/main.ts";

if (import.meta.main) Deno.exitCode = await main(Deno.args);
