// `deno task compile [FILE]`: one file with the command and everything that it needs, by `deno compile`.
// Default: .cache/netloom.
import { ROOT } from "./script.ts";

/** Modules that the command finds by a path of its own, and files that it reads. */
const INCLUDED = ["src/cli/run.ts", "src", "ffi", "schema"];

const [file = ".cache/netloom"] = Deno.args;
const { success, stderr } = await new Deno.Command(Deno.execPath(), {
  args: [
    ...["compile", "--allow-all", "--quiet", "--no-check", `--output=${file}`],
    ...INCLUDED.map((path) => `--include=${path}`),
    "cli.ts",
  ],
  cwd: ROOT,
  stderr: "piped",
}).output();
if (!success) {
  console.error(new TextDecoder().decode(stderr).trim());
  console.error(`
deno compile needs denort of Deno ${Deno.version.deno}, which it downloads from https://dl.deno.land once.
Without that connection, name a denort by DENORT_BIN=PATH. npm has deno, but no denort.`);
  Deno.exit(1);
}
console.log(`${file} is the command: it needs no Deno`);
