// Each rule in both directions: netloom's is nft's, byte for byte, and nft's is netloom's.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type NetNs, NetNs as Namespace, UnsupportedError } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import type { ChainEntry, Family, RuleInfo, SetEntry, TableEntry } from "../../src/nftables/mod.ts";
import { type Case, DESTINATION_NAT, FILTER, PREROUTING, SOURCE_NAT } from "./cases.ts";
import { nft, rulesOf } from "./nft.ts";

const CHAINS:
  readonly (readonly [cases: readonly Case[], chain: (family: Family) => ChainEntry])[] = [
    [
      FILTER,
      (family) =>
        family === "netdev"
          ? { name: "c", hook: "ingress", devices: ["lo"] }
          : { name: "c", hook: "input" },
    ],
    [PREROUTING, () => ({ name: "c", hook: "prerouting", priority: "raw" })],
    [SOURCE_NAT, () => ({ name: "c", type: "nat", hook: "postrouting" })],
    [DESTINATION_NAT, () => ({ name: "c", type: "nat", hook: "prerouting" })],
  ];

function table(family: Family, chain: ChainEntry): TableEntry {
  const sets: SetEntry[] = [
    { name: "some", type: "ipv4_addr" },
    { name: "pairs", type: "ipv4_addr . inet_service" },
    { name: "ways", type: "inet_service", map: "verdict" },
  ];
  return { family, name: "t", chains: [chain, { name: "other" }], sets };
}

/** Objects that rules use by name, as nft adds them. */
const OBJECTS: Readonly<Record<string, string>> = {
  counter: "visits",
  quota: "daily over 1 mbytes",
  limit: "slow rate 10/second",
};

/** A namespace with a table and its empty chain. */
function prepared(family: Family, chain: ChainEntry): NetNs {
  const netns = Namespace.create();
  netns.nftables.add(table(family, chain));
  for (const [type, object] of Object.entries(OBJECTS)) {
    nft(netns, `add ${type} ${family} t ${object}`);
  }
  return netns;
}

/** The program with sets without names as their elements. */
function program({ expressions, sets = {} }: RuleInfo): unknown {
  return expressions.map((it) => {
    if (it.name !== "lookup" || !it.data.set.startsWith("__")) return it;
    const { set, elements } = sets[it.data.set]!;
    const { handle: _, name: _1, desc: _2, userdata: _3, ...attributes } = set;
    const keys = elements.map(({ key, flags = 0 }) => `${key} ${flags}`)
      .filter((key) => !/^[0,]+ 1$/.test(key)) // nft begins ranges with an end of its own
      .sort();
    return { ...it, data: { ...it.data, set: keys }, attributes };
  });
}

for (const [cases, chain] of CHAINS) {
  for (const [family, line, rule] of cases) {
    Deno.test(`${family}: ${line}`, () => {
      using theirs = prepared(family, chain(family));
      try {
        nft(theirs, `add rule ${family} t c ${line}`);
      } catch (refusal) {
        // The kernel lacks an expression: netloom says which.
        const add = () => theirs.nftables.rules.add({ family, table: "t", chain: "c", rule });
        const error = assertThrows(add, UnsupportedError);
        assert(`${refusal}`.includes("No such file"), `${refusal}`);
        return assert(error.config, error.message);
      }
      const [read] = theirs.nftables.rules.list({ chain: "c" });
      assert(read);
      assertEquals(rulesOf(theirs), [line], "the line is as nft prints it");
      assertEquals(read.text, line);
      assertEquals<unknown>(read.rule, Array.isArray(rule) ? rule : [rule]);

      using ours = prepared(family, chain(family));
      ours.nftables.rules.add({ family, table: "t", chain: "c", rule });
      assertEquals(rulesOf(ours), [line]);
      const [own] = ours.nftables.rules.list({ chain: "c" });
      assertEquals(program(own!), program(read));
    });
  }
}
