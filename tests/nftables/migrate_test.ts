// The rows of docs/migrate/nft.md about rules: the rule of netloom is that of nft.
import { assert, assertEquals } from "@std/assert";
import { NetNs } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import type { Rule } from "../../src/nftables/mod.ts";
import { ROOT } from "../script.ts";
import { nft, rulesOf } from "./nft.ts";

const page = Deno.readTextFileSync(`${ROOT}docs/migrate/nft.md`);
const table = page.slice(page.indexOf("| Rule of nft"));
const rows = [...table.matchAll(/^\| `([^`]+)` +\| `(\{.*\})` +\|$/gm)];

Deno.test("The page has rows about rules", () => assert(rows.length >= 12, `${rows.length}`));

for (const [, line, code] of rows) {
  Deno.test(`${line} is ${code}`, () => {
    using theirs = NetNs.create();
    using ours = NetNs.create();
    const translation = /masquerade|dnat|redirect/.exec(line!)?.[0];
    const hook = translation
      ? translation === "masquerade" ? "postrouting" as const : "prerouting" as const
      : "input";
    for (const netns of [theirs, ours]) {
      netns.nftables.add({
        family: "inet",
        name: "t",
        counters: [{ name: "visits" }],
        sets: [{ name: "ways", type: "ifname", map: "verdict" }],
        chains: [{ name: "other" }, { name: "c", type: translation ? "nat" : "filter", hook }],
      });
    }
    nft(theirs, `add rule inet t c ${line}`);
    const rule = new Function(`return ${code};`)() as Rule;
    ours.nftables.rules.add({ family: "inet", table: "t", chain: "c", rule });
    assertEquals(rulesOf(ours), rulesOf(theirs));
  });
}
