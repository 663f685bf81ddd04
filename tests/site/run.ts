// `deno task docs:test`: builds the documentation site and tests it as built: its links, and what a
// browser makes of it. The examples on its pages run with `deno task test`.
import { build, deno, run } from "./build.ts";
import { CHROMIUM } from "./browser.ts";

if (!CHROMIUM) {
  console.error("The site's tests need a browser. To install it: apt-get install -y chromium");
  Deno.exit(1);
}

await build();

// The site's own configuration is a project with dependencies of its own.
const SOURCES = [".vitepress/config.ts", ".vitepress/theme/index.ts"];
deno("docs", "fmt", "--check", ".vitepress");
deno("docs", "lint", ".vitepress");
deno("docs", "check", ...SOURCES);

// A browser drops its connections when links come and go, as they do where networks are tested: so it
// gets a namespace with nothing but `lo`, which reaches no registry.
const TESTS = ["browser", "links", "view"].map((name) => `tests/site/${name}_test.ts`);
deno(".", "cache", "--quiet", ...TESTS);
const unshare = Deno.uid() === 0 ? "-n" : "-rn";
const inNetNs = ["unshare", unshare, "sh", "-c", 'ip link set lo up && exec "$0" "$@"'];
run(".", [...inNetNs, Deno.execPath(), "test", "-A", ...Deno.args, "tests/site"]);
