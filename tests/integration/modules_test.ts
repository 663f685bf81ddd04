// Each module costs 0.2 to 0.5 ms of start-up, so entry points may load a limited number of them.
import { assert } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** The most modules that an entry point loads, type-only imports included. Lower a limit when it can be. */
const MOST: Record<string, number> = {
  "mod.ts": 198,
  "src/observe/mod.ts": 77,
  "src/link/mod.ts": 140,
};

for (const [entry, most] of Object.entries(MOST)) {
  Deno.test(`${entry} loads at most ${most} modules`, async () => {
    const args = ["info", "--json", entry];
    const command = new Deno.Command(Deno.execPath(), { args, cwd: ROOT });
    const { modules } = JSON.parse(new TextDecoder().decode((await command.output()).stdout));
    const loaded = (modules as { specifier: string }[]).map(({ specifier }) =>
      specifier.replace(ROOT.href, "")
    );
    assert(loaded.length <= most, `${loaded.length} modules:\n${loaded.join("\n")}`);
  });
}
