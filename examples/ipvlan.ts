/**
 * Ipvlans: links with IP addresses of their own on one parent, and its MAC. In mode l2 they are hosts
 * of the parent's network, in mode l3 the parent routes to them.
 *
 *     deno run -A examples/ipvlan.ts [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/ipvlan.ts
 */
import { Ipvlan, NetNs, Scope, supports, Veth } from "@netloom/netloom";
import { parseArgs } from "@std/cli/parse-args";

const { keep } = parseArgs(Deno.args, { boolean: ["keep"], unknown: usage });
if (!supports("ipvlan")) {
  console.error("This kernel lacks ipvlan: CONFIG_IPVLAN brings it");
  Deno.exit(77);
}

// The scope owns all that follows. At the end it removes that: also on Ctrl-C, and the remains of a
// run that was killed.
await using lab = Scope.open({ name: "netloom-ipvlan", replace: true, signals: true });

const l2 = build("l2");
const l3 = build("l3");
// The host outside has a route to the networks behind the parent in mode l3.
// ip -n outside_l3 route add 10.0.0.0/16 via 192.168.123.1
l3.outside.routes.add({ destination: "10.0.0.0/16", gateway: "192.168.123.1" });
await lab.ready();

let good = true;
const check = (claim: string, holds: boolean) => {
  console.log(`${holds ? "yes" : "NO "}  ${claim}`);
  good &&= holds;
};

// ip netns exec ns1_l2 ping -c 1 192.168.123.12
const reaches = async (from: NetNs, address: string) => (await from.ping(address)).received === 1;
for (const { mode, parent, ns1, outside, link, addresses } of [l2, l3]) {
  check(`${mode}: ns1 has the MAC of the parent`, link.read().mac === parent.read().mac);
  check(`${mode}: ns1 reaches ns2`, await reaches(ns1, addresses[1]!));
  check(`${mode}: ns1 does not reach the host of the parent`, !await reaches(ns1, "192.168.123.1"));
  check(`${mode}: the host outside reaches ns1`, await reaches(outside, addresses[0]!));
}

console.log(`\nVerdict: ${good ? "good" : "bad"}`);
if (!good) Deno.exitCode = 1;

if (keep) {
  console.log("\nThe network stays up. Look around: ip -details -n ns1_l2 address");
  console.log("Ctrl-C removes it.");
  await new Promise(() => setInterval(() => {}, 1 << 30));
}

/** Builds a host with a parent link to a host outside, and two namespaces with an ipvlan each. */
function build(mode: "l2" | "l3") {
  // ip netns add host_l2; ip netns add outside_l2
  // ip -n host_l2 link add eth0 type veth peer name eth0 netns outside_l2
  // ip -n host_l2 address add 192.168.123.1/24 dev eth0; ip -n host_l2 link set eth0 up
  // ip -n outside_l2 address add 192.168.123.2/24 dev eth0; ip -n outside_l2 link set eth0 up
  const host = NetNs.create(`host_${mode}`, { scope: lab });
  const outside = NetNs.create(`outside_${mode}`, { scope: lab });
  const parent = Veth.create({
    scope: lab,
    name: "eth0",
    netns: host,
    up: true,
    addresses: ["192.168.123.1/24"],
    peer: { name: "eth0", netns: outside, up: true, addresses: ["192.168.123.2/24"] },
  });
  const addresses = mode === "l2" ? ["192.168.123.11", "192.168.123.12"] : ["10.0.1.1", "10.0.2.1"];
  const [first] = addresses.map((address, i) => {
    // ip netns add ns1_l2
    // ip -n host_l2 link add ipvlan0 link eth0 netns ns1_l2 type ipvlan mode l2
    // ip -n ns1_l2 address add 192.168.123.11/24 dev ipvlan0; ip -n ns1_l2 link set ipvlan0 up
    const netns = NetNs.create(`ns${i + 1}_${mode}`, { scope: lab });
    const how = { netns, parent, mode, up: true, addresses: [`${address}/24`] };
    const link = Ipvlan.create({ scope: lab, name: "ipvlan0", ...how });
    // ip -n ns1_l3 route add default dev ipvlan0
    if (mode === "l3") netns.routes.add({ destination: "default", dev: link });
    return { netns, link };
  });
  return { mode, parent, ns1: first!.netns, link: first!.link, outside, addresses };
}

/** Ends the script at --help, and at an argument that it does not have. */
function usage(arg: string): never {
  const help = arg === "--help" || arg === "-h";
  if (help) {
    console.log("Usage: deno run -A examples/ipvlan.ts [--keep]");
    console.log("  --keep  holds the network up until Ctrl-C");
  } else console.error(`Unknown argument ${arg}; see --help`);
  Deno.exit(help ? 0 : 2);
}
