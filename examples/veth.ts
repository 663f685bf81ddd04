/**
 * Two network namespaces joined by a veth pair, and a ping across.
 *
 *     deno run -A examples/veth.ts [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/veth.ts
 */
import { NetNs, Scope, Veth } from "@netloom/netloom";
import { finish, options, pingLine, printLinks } from "./_recipe.ts";

const { keep } = options("Two namespaces joined by a veth pair");

// Owns all that follows, and removes it at the end: also on Ctrl-C, and what a killed run left.
await using lab = Scope.open({ name: "netloom-veth", replace: true, signals: true });

// ip netns add ns1
// ip netns add ns2
const ns1 = NetNs.create("ns1", { scope: lab });
const ns2 = NetNs.create("ns2", { scope: lab });

// ip link add tap1 type veth peer name tap2
// ip link set tap1 netns ns1
// ip link set tap2 netns ns2
// ip netns exec ns1 ip link set dev tap1 up
// ip netns exec ns2 ip link set dev tap2 up
// ip netns exec ns1 ip a add 192.168.123.1/24 dev tap1
// ip netns exec ns2 ip a add 192.168.123.2/24 dev tap2
Veth.create({
  scope: lab,
  name: "tap1",
  netns: ns1,
  up: true,
  addresses: ["192.168.123.1/24"],
  peer: { name: "tap2", netns: ns2, up: true, addresses: ["192.168.123.2/24"] },
});

await lab.ready();
printLinks(lab);

// ip netns exec ns1 ping -c 3 -i 0.2 192.168.123.2
const result = await ns1.ping("192.168.123.2", { count: 3, interval: 200 });
console.log(pingLine(result));

await finish({
  checks: { "ns1 reaches ns2 over the veth pair": result.received === 3 },
  keep,
  look: "ip netns exec ns1 ip address",
});
