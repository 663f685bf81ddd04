import { assertEquals } from "@std/assert";
import { FACTS, readFacts, readResults } from "./results.ts";
import { asText, cell, type Column, rowOf } from "./table.ts";
import { problems } from "./verdict.ts";

const OUTPUT = `${FACTS}{"release":"6.12.1","kinds":{"ipvlan":true,"veth":true}}
running 4 tests from ./tests/link/ipvlan_test.ts
ipvlan: l3 routes between subnets ... ok (12ms)
ipvlan: each mode ...
  l2 ... ok (3ms)
  l3 ... FAILED (2ms)
ipvlan: each mode ... FAILED (due to 1 failed step) (7ms)
ipvlan: l3s ...'ipvlan: l3s' has been running for over (1m0s)
 ok (2m3s)
A link of a kind that is lacking (ignored: for kernels without it) ... ignored (0ms)
running 1 test from ./src/netns/mod.ts#6-27.ts
file:///netloom/src/netns/mod.ts#6-27.ts ...
------- post-test output -------
192.0.2.1 ... ok
 is what the program said
----- post-test output end -----
file:///netloom/src/netns/mod.ts#6-27.ts ... ok (1s)

 ERRORS 

ipvlan: each mode => ./tests/link/ipvlan_test.ts:7:1
running 1 test from ./examples/ipvlan.ts
An example's test ... FAILED (3s)

 FAILURES 

FAILED | 4 passed | 1 failed | 1 ignored (2m4s)
running 2 tests from ./tests/together.ts
tests/link/veth_test.ts: ... ok (0ms)
veth: pairs (ignored: this kernel has no veth) ... ignored (0ms)
`;

const results = readResults(OUTPUT);
const column: Column = { label: "6.12", facts: readFacts(OUTPUT), results, seconds: 1 };

Deno.test("readResults() reads tests, but not their steps and output", () => {
  assertEquals(
    results.map(({ file, outcome }) => [file, outcome]),
    [
      ["tests/link/ipvlan_test.ts", "passed"],
      ["tests/link/ipvlan_test.ts", "failed"],
      ["tests/link/ipvlan_test.ts", "passed"],
      ["tests/link/ipvlan_test.ts", "skipped"],
      ["src/netns/mod.ts", "passed"],
      ["tests/link/veth_test.ts", "skipped"],
    ],
  );
});

Deno.test("rowOf() is the kind and the group of options, or the folder", () => {
  const rows = {
    "tests/link/macvlan_test.ts": "macvlan",
    "tests/link/bridge_port_test.ts": "bridge: port",
    "tests/link/tap_test.ts": "tap",
    "tests/device/read_test.ts": "device",
    "tests/link/link_test.ts": "link",
    "tests/netlink/socket_test.ts": "netlink",
    "tests/leaks_test.ts": "leaks",
    "tests/kernels/spare_nic_test.ts": "spare nic",
    "mod.ts": "examples of doc comments",
  };
  for (const [file, row] of Object.entries(rows)) assertEquals(rowOf(file), row);
});

Deno.test("A cell counts passed, failed and skipped tests, with reasons", () => {
  assertEquals(cell("ipvlan", column), "FAILED 1, passed 2, skipped 1 (for kernels without it)");
  assertEquals(cell("veth", column), "skipped 1 (this kernel has no veth)");
  assertEquals(cell("dummy", column), "–");
  assertEquals(cell("dummy", { ...column, failure: "hung" }), "not reached");
  assertEquals(asText([column]).split("\n").slice(0, 2), [
    "                          6.12: 6.12.1",
    "veth                      skipped 1 (this kernel has no veth)",
  ]);
  const tested = asText([column], true).split("\n").map((line) => line.split("  ")[0]);
  assertEquals(tested, ["", "veth", "ipvlan", "examples of doc comments"]);
});

Deno.test("Failed tests and tests skipped without need are problems", () => {
  const failure = "tests/link/ipvlan_test.ts: failed: ipvlan: each mode";
  // That kernel said that it has veth.
  const skipped = "tests/link/veth_test.ts: skipped on 6.12: " +
    "veth: pairs (ignored: this kernel has no veth)";
  assertEquals(problems(column), [failure, skipped]);
  const lacking = { release: "6.12.1", kinds: { veth: false } };
  assertEquals(problems({ ...column, facts: lacking }), [failure, skipped]);
  assertEquals(problems({ ...column, facts: lacking, label: "6.1" }), [failure]);
  assertEquals(problems({ ...column, failure: "hung" })[0], "hung");
});
