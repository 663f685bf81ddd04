// The table of docs/migrate/tc.md: each row in both languages, in two namespaces that stay the same.
import { assert, assertEquals } from "@std/assert";
import { Link, NetNs, supports } from "../../mod.ts";
import "../../src/traffic/mod.ts";
import type { TrafficKind } from "../../src/traffic/mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { lacksOf, tcOrText } from "./oracle.ts";

const page = Deno.readTextFileSync(new URL("../../docs/migrate/tc.md", import.meta.url));

/** A row: the command, and the expression. */
const ROWS = [...page.matchAll(/^\| `(tc .+?)` +\| `(.+?)`/gm)].map(([, command, expression]) => ({
  command: command!,
  expression: expression!,
}));

/** The kinds that a command needs. */
function kindsIn(command: string): TrafficKind[] {
  const [, object, verb] = command.split(" ");
  if (!["add", "change", "replace"].includes(verb!)) return [];
  if (object === "qdisc") {
    const [, qdisc] = / (tbf|pfifo|netem|prio|htb|fq_codel|clsact)\b/.exec(command)!;
    return [{ qdisc: qdisc! }];
  }
  const filters = [...command.matchAll(/ (u32|flower|fw|matchall|bpf) /g)];
  const actions = [...command.matchAll(/ action (\w+)/g)];
  return [
    ...filters.map(([, filter]) => ({ filter: filter! })),
    ...actions.map(([, action]) => ({ action: action! })),
  ];
}

/** A namespace with a veth `v0`. */
function pair(): NetNs {
  const netns = NetNs.create();
  run(netns.ref, "ip link add v0 index 10 type veth peer name v1 index 11");
  return netns;
}

/** The output of `tc`, without counters and numbers that the kernel gives. */
function shown(netns: NetNs): string {
  const looks = [
    tcOrText(netns.ref, "qdisc show dev v0"),
    run(netns.ref, "tc -d class show dev v0"), // tc of 6.1 has no JSON for classes
    ...["parent 2:", "ingress", "egress"].map((at) => {
      try {
        return tcOrText(netns.ref, `filter show dev v0 ${at}`);
      } catch (error) {
        return String(error).replace(/.*(?:Error|Cannot)/s, "");
      }
    }),
  ];
  return JSON.stringify(looks)
    .replace(/"(?:index|installed|last_used|bytes|packets|seed)":\d+,?/g, "")
    .replace(/"handle":"8\w\w\w:"/g, '"handle":"8"').replace(/\b8\w\w\w:/g, "8:");
}

const lacks = lacksOf({ qdisc: "htb" }, { qdisc: "clsact" }, { qdisc: "tbf" }, { filter: "u32" });

test("The page about tc says the same in both columns of its table", { lacks }, async (t) => {
  using theirs = pair();
  using ours = pair();
  const link = Link.get("v0", { netns: ours });
  assert(ROWS.length > 25, `${ROWS.length} rows`);
  for (const { command, expression } of ROWS) {
    const ignore = kindsIn(command).some((kind) => !supports(kind));
    await t.step({
      name: command,
      ignore,
      fn: async () => {
        const evaluate = new Function("link", "netns", `return (${expression})`);
        if (command === "tc monitor") {
          await using events = evaluate(link, ours);
          assertEquals((await events.next()).value.type, "snapshot");
          return;
        }
        const text = run(theirs.ref, command);
        const result = evaluate(link, ours);
        if (command.includes(" show ")) assertEquals(result.length > 0, text.trim() !== "", text);
        assertEquals(shown(ours), shown(theirs));
      },
    });
  }
});
