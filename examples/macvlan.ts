/**
 * Macvlans: links with MACs of their own on one parent. Who reaches whom, in each mode.
 *
 *     deno run -A examples/macvlan.ts [--mode MODE] [--keep]
 */
import { Macvlan, type MacvlanMode, NetNs, Scope } from "@netloom/netloom";
import { type Host, printReach, type Reach } from "./_reach.ts";
import { finish, options } from "./_recipe.ts";
import { uplink } from "./_uplink.ts";

const CASES: readonly (readonly [MacvlanMode, boolean, string, (reaches: Reach) => boolean])[] = [
  ["private", false, "ns1 and ns2 do not reach each other", (r) => !r("ns1", "ns2")],
  ["vepa", false, "ns1 and ns2 do not reach each other by themselves", (r) => !r("ns1", "ns2")],
  ["vepa", true, "they do by way of a switch that sends back (hairpin)", (r) => r("ns1", "ns2")],
  ["bridge", false, "ns1 and ns2 reach each other", (r) => r("ns1", "ns2")],
  ["bridge", false, "but not the host they are on", (r) => !r("ns1", "host")],
  [
    "passthru",
    false,
    "ns1 has the host's link to itself",
    (r) => r("ns1", "switch") && !r("host", "switch"),
  ],
  ["source", false, "ns1 hears the switch, which is on its list", (r) => r("ns1", "switch")],
  ["source", false, "ns2 hears nobody: its list is empty", (r) => !r("ns2", "switch")],
];
const { keep, mode: only } = options("Macvlans on one parent: who reaches whom, in each mode", {
  needs: ["veth", "bridge", "macvlan"],
  own: {
    mode: {
      value: "MODE",
      choices: ["private", "vepa", "bridge", "passthru", "source"],
      help: "one mode; default: each of",
    },
  },
});

/** The namespaces on the host's link, the host, and the switch. */
async function build(lab: Scope, mode: MacvlanMode, hairpin: boolean): Promise<Host[]> {
  const { parent, host, outside, mac } = uplink(lab, { hairpin });
  const hosts = (mode === "passthru" ? [1] : [1, 2]).map((n) => {
    // ip netns add ns1
    const netns = NetNs.create(`ns${n}`, { scope: lab });
    const address = `192.168.123.${n}`;
    // ip -n host link add macvlan0 link eth0 netns ns1 type macvlan mode MODE
    // ip -n ns1 address add 192.168.123.1/24 dev macvlan0; ip -n ns1 link set macvlan0 up
    const how = mode === "source" ? { mode, macs: n === 1 ? [mac] : [] } : { mode };
    const link = { scope: lab, name: "macvlan0", netns, parent, up: true, ...how };
    Macvlan.create({ ...link, addresses: [`${address}/24`] });
    return { netns, address };
  });
  await lab.ready();
  return [...hosts, host, outside];
}

const chosen = CASES.filter(([mode]) => only === undefined || mode === only);
const groups = [...Map.groupBy(chosen, ([mode, hairpin]) => hairpin ? `${mode}, hairpin` : mode)];
const checks: Record<string, boolean> = {};
for (const [i, [title, claims]] of groups.entries()) {
  const [mode, hairpin] = claims[0]!;
  if (i > 0) console.log();
  await using lab = Scope.open({ name: "netloom-macvlan", replace: true, signals: true });
  const reaches = await printReach(title, await build(lab, mode, hairpin));
  for (const [mode, , claim, holds] of claims) checks[`${mode}: ${claim}`] = holds(reaches);
  if (i === groups.length - 1) await finish({ checks, keep, look: "ip -d -n ns1 link" });
}
