/**
 * Two network namespaces joined by a bridge and two veth pairs, and a ping across.
 *
 *     deno run -A examples/bridge.ts [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/bridge.ts
 */
import { Bridge, NetNs, Scope, supports, Veth } from "@netloom/netloom";
import { parseArgs } from "@std/cli/parse-args";

const { keep } = parseArgs(Deno.args, { boolean: ["keep"], unknown: usage });
if (!supports("bridge")) {
  console.error("This kernel lacks bridge: CONFIG_BRIDGE brings it");
  Deno.exit(77);
}

// The scope owns all that follows. At the end it removes that: also on Ctrl-C, and the remains of a
// run that was killed.
await using lab = Scope.open({ name: "netloom-bridge", replace: true, signals: true });

// ip netns add ns1
// ip netns add ns2
const ns1 = NetNs.create("ns1", { scope: lab });
const ns2 = NetNs.create("ns2", { scope: lab });

// brctl addbr br-test
// brctl stp   br-test off
// ip link set dev br-test up
const bridge = Bridge.create({ scope: lab, name: "br-test", stp: false, up: true });

// ip link add tap1 type veth peer name br-tap1
// brctl addif br-test br-tap1
// ip link set tap1 netns ns1
// ip netns exec ns1 ip link set dev tap1 up
// ip link set dev br-tap1 up
// ip netns exec ns1 ip a add 192.168.123.1/24 dev tap1
Veth.create({
  scope: lab,
  name: "tap1",
  netns: ns1,
  up: true,
  addresses: ["192.168.123.1/24"],
  peer: { name: "br-tap1", master: bridge, up: true },
});

// The same for tap2, br-tap2, ns2 and 192.168.123.2.
Veth.create({
  scope: lab,
  name: "tap2",
  netns: ns2,
  up: true,
  addresses: ["192.168.123.2/24"],
  peer: { name: "br-tap2", master: bridge, up: true },
});
await lab.ready();

// ip netns exec ns1 ping -c 3 -i 0.2 192.168.123.2
const { sent, received, avg } = await ns1.ping("192.168.123.2", { count: 3, interval: 200 });
console.log(`ping 192.168.123.2: ${received} of ${sent} replies, ${avg?.toFixed(3)} ms on average`);

const good = received === sent;
console.log(`\n${good ? "yes" : "NO "}  ns1 reaches ns2 across the bridge`);
console.log(`\nVerdict: ${good ? "good" : "bad"}`);
if (!good) Deno.exitCode = 1;

if (keep) {
  console.log("\nThe network stays up. Look around: ip netns exec ns1 ip address");
  console.log("Ctrl-C removes it.");
  await new Promise(() => setInterval(() => {}, 1 << 30));
}

/** Ends the script at --help, and at an argument that it does not have. */
function usage(arg: string): never {
  const help = arg === "--help" || arg === "-h";
  if (help) {
    console.log("Usage: deno run -A examples/bridge.ts [--keep]");
    console.log("  --keep  holds the network up until Ctrl-C");
  } else console.error(`Unknown argument ${arg}; see --help`);
  Deno.exit(help ? 0 : 2);
}
