// `deno task docs:test`: builds the documentation site and tests it as built: its links, and what a
// browser makes of it. The examples on its pages run with `deno task test`.
import { ROOT } from "../script.ts";
import { build } from "./build.ts";
import { CHROMIUM } from "./browser.ts";

if (!CHROMIUM) {
  console.error("The site's tests need a browser. To install it: apt-get install -y chromium");
  Deno.exit(1);
}

build();

// The site's own configuration is a project with dependencies of its own.
const SOURCES = [".vitepress/config.ts", ".vitepress/theme/index.ts"];
const RUNS = [
  ["docs", "fmt", "--check", ".vitepress"],
  ["docs", "lint", ".vitepress"],
  ["docs", "check", ...SOURCES],
  [".", "test", "-A", ...Deno.args, "tests/site"],
];
for (const [cwd, ...args] of RUNS) {
  const { code } = new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT + cwd,
    env: {
      DENO_TLS_CA_STORE: "system,mozilla",
      ...(Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" }),
    },
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync();
  if (code !== 0) Deno.exit(code);
}
