/**
 * Macvlans: links with MACs of their own on one parent. Their mode decides whether they reach each
 * other. In no mode do they reach the host that their parent belongs to.
 *
 *     deno run -A examples/macvlan.ts [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/macvlan.ts
 */
import { Macvlan, NetNs, Scope, supports, Veth } from "@netloom/netloom";
import { parseArgs } from "@std/cli/parse-args";

const { keep } = parseArgs(Deno.args, { boolean: ["keep"], unknown: usage });
if (!supports("macvlan")) {
  console.error("This kernel lacks macvlan: CONFIG_MACVLAN brings it");
  Deno.exit(77);
}

// The scope owns all that follows. At the end it removes that: also on Ctrl-C, and the remains of a
// run that was killed.
await using lab = Scope.open({ name: "netloom-macvlan", replace: true, signals: true });

// ip netns add host; ip netns add outside
// ip -n host link add eth0 type veth peer name eth0 netns outside
// ip -n host address add 192.168.123.1/24 dev eth0; ip -n host link set eth0 up
// ip -n outside address add 192.168.123.2/24 dev eth0; ip -n outside link set eth0 up
const host = NetNs.create("host", { scope: lab });
const outside = NetNs.create("outside", { scope: lab });
const parent = Veth.create({
  scope: lab,
  name: "eth0",
  netns: host,
  up: true,
  addresses: ["192.168.123.1/24"],
  peer: { name: "eth0", netns: outside, up: true, addresses: ["192.168.123.2/24"] },
});

/** A namespace with a macvlan. */
function node(name: string, mode: "private" | "vepa" | "bridge", address: string): NetNs {
  // ip netns add bridge1
  // ip -n host link add macvlan0 link eth0 netns bridge1 type macvlan mode bridge
  // ip -n bridge1 address add 192.168.123.31/24 dev macvlan0; ip -n bridge1 link set macvlan0 up
  const netns = NetNs.create(name, { scope: lab });
  const addresses = [`${address}/24`];
  Macvlan.create({ scope: lab, name: "macvlan0", netns, parent, mode, up: true, addresses });
  return netns;
}
const nodes = {
  private: node("private1", "private", "192.168.123.11"),
  vepa: node("vepa1", "vepa", "192.168.123.21"),
  bridge: node("bridge1", "bridge", "192.168.123.31"),
};
node("private2", "private", "192.168.123.12");
node("vepa2", "vepa", "192.168.123.22");
node("bridge2", "bridge", "192.168.123.32");
await lab.ready();

let good = true;
const check = (claim: string, holds: boolean) => {
  console.log(`${holds ? "yes" : "NO "}  ${claim}`);
  good &&= holds;
};

// ip netns exec bridge1 ping -c 1 192.168.123.32
const reaches = async (from: NetNs, address: string) => (await from.ping(address)).received === 1;
const { private: private1, vepa: vepa1, bridge: bridge1 } = nodes;
check("private1 does not reach private2", !await reaches(private1, "192.168.123.12"));
check("vepa1 does not reach vepa2: no switch sends back", !await reaches(vepa1, "192.168.123.22"));
check("bridge1 reaches bridge2", await reaches(bridge1, "192.168.123.32"));
for (const [mode, netns] of Object.entries(nodes)) {
  check(`${mode}1 does not reach the host`, !await reaches(netns, "192.168.123.1"));
  check(`${mode}1 reaches the host outside`, await reaches(netns, "192.168.123.2"));
}

console.log(`\nVerdict: ${good ? "good" : "bad"}`);
if (!good) Deno.exitCode = 1;

if (keep) {
  console.log("\nThe network stays up. Look around: ip netns exec bridge1 ip -details link");
  console.log("Ctrl-C removes it.");
  await new Promise(() => setInterval(() => {}, 1 << 30));
}

/** Ends the script at --help, and at an argument that it does not have. */
function usage(arg: string): never {
  const help = arg === "--help" || arg === "-h";
  if (help) {
    console.log("Usage: deno run -A examples/macvlan.ts [--keep]");
    console.log("  --keep  holds the network up until Ctrl-C");
  } else console.error(`Unknown argument ${arg}; see --help`);
  Deno.exit(help ? 0 : 2);
}
