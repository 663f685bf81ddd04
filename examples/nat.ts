/**
 * A private network behind a router: its hosts reach a server outside under the router's address
 * (masquerade), and a port of the router leads to a host inside (port forwarding).
 *
 *     deno run -A examples/nat.ts [--keep]
 */
import { NetNs, Scope, Veth } from "@netloom/netloom";
import "@netloom/netloom/nftables";
import { finish, options, pingLine } from "./_recipe.ts";

const { keep } = options("A private network behind a router: masquerade and port forwarding");
await using lab = Scope.open({ name: "netloom-nat", replace: true, signals: true });

// ip netns add host; ip netns add router; ip netns add server
const [host, router, server] = ["host", "router", "server"].map((name) =>
  NetNs.create(name, { scope: lab })
) as [NetNs, NetNs, NetNs];

// ip link add eth0 netns host type veth peer name inside netns router
// ip link add eth0 netns server type veth peer name outside netns router
for (
  const [netns, name, network] of [
    [host, "inside", "192.168.1"],
    [server, "outside", "203.0.113"],
  ] as const
) {
  Veth.create({
    scope: lab,
    name: "eth0",
    netns,
    up: true,
    addresses: [`${network}.2/24`],
    peer: { name, netns: router, up: true, addresses: [`${network}.1/24`] },
  });
}
// ip -n host route add default via 192.168.1.1
host.routes.add({ destination: "default", gateway: "192.168.1.1" });
// ip netns exec router sysctl net.ipv4.ip_forward=1
router.sysctl("net.ipv4.ip_forward", 1);
await lab.ready();

// The server knows no way back to 192.168.1.0/24.
const before = await host.ping("203.0.113.2", { timeout: 300 });
console.log(`without masquerade: ${pingLine(before)}`);

// nft add rule inet NAT postrouting oifname outside masquerade
using nat = router.masquerade({ out: "outside", from: "192.168.1.0/24" });
const after = await host.ping("203.0.113.2", { count: 3, interval: 50 });
console.log(`with masquerade:    ${pingLine(after)}`);

// nft add rule ip forwarding prerouting iifname outside tcp dport 8080 dnat to 192.168.1.2:80
router.nftables.add({
  family: "ip",
  name: "forwarding",
  chains: [{
    name: "prerouting",
    type: "nat",
    hook: "prerouting",
    rules: [{ iifname: "outside", "tcp dport": 8080, counter: true, dnat: "192.168.1.2:80" }],
  }],
});
await using _web = host.serve(
  { port: 80, onListen: () => {} },
  (_, { remoteAddr }) => new Response(`hello ${remoteAddr.hostname}`),
);
const answer = await (await server.fetch("http://203.0.113.1:8080/")).text();
console.log(`server asks the router's port 8080: ${answer}\n`);

for (const { table, chain, text } of router.nftables.rules.list()) {
  console.log(`${table} ${chain}: ${text}`);
}

await finish({
  checks: {
    "without masquerade no answer comes back": before.received === 0,
    "with masquerade the server answers": after.received === after.sent,
    "the router counts one connection of the host": nat.packets === 1,
    "the router's port 8080 leads to the host": answer === "hello 203.0.113.2",
  },
  keep,
  look: "ip netns exec router nft list ruleset",
});
