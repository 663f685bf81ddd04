/**
 * Two routers in a group of nexthops: flows are spread over both, and when one is taken out, a resilient group
 * leaves the flows of the other one where they are.
 *
 *     deno run -A examples/nexthop_group.ts [--keep]
 */
import { NetNs, Scope, Veth } from "@netloom/netloom";
import { finish, options } from "./_recipe.ts";
import { printTable } from "./_table.ts";

const { keep } = options("Flows over a group of two routers, one of which is taken out");
await using lab = Scope.open({ name: "netloom-nexthop_group", replace: true, signals: true });

// ip netns add host; ip netns exec host sysctl -w net.ipv4.fib_multipath_hash_policy=1
const host = NetNs.create("host", { scope: lab });
host.sysctl("net.ipv4.fib_multipath_hash_policy", 1);

// ip -n host link add up1 type veth peer name eth0 netns router1
// ip -n host address add 192.0.1.1/24 dev up1; ip -n host link set up1 up
for (const n of [1, 2, 3]) {
  const netns = NetNs.create(`router${n}`, { scope: lab });
  Veth.create({
    scope: lab,
    name: `up${n}`,
    netns: host,
    up: true,
    addresses: [`192.0.${n}.1/24`],
    peer: { name: "eth0", netns, up: true, addresses: [`192.0.${n}.254/24`] },
  });
}
await lab.ready();

// ip -n host nexthop add id 1 via 192.0.1.254 dev up1
// ip -n host nexthop add id 10 group 1/2/3 type resilient buckets 96 idle_timer 1000
// ip -n host route add default nhid 10
host.nexthops.add([
  { id: 1, gateway: "192.0.1.254", dev: "up1" },
  { id: 2, gateway: "192.0.2.254", dev: "up2" },
  { id: 3, gateway: "192.0.3.254", dev: "up3" },
  {
    id: 10,
    group: [{ id: 1 }, { id: 2 }, { id: 3 }],
    type: "resilient",
    buckets: 96,
    idleTimer: 1000,
  },
]);
host.routes.add({ destination: "default", nexthopId: 10 });

// ip -n host route get 203.0.113.9 ipproto udp sport 1000 dport 53
const flow = { from: "192.0.1.1", ipProtocol: 17, dport: 53 };
const waysOf = () =>
  Array.from(
    { length: 300 },
    (_, n) => host.routes.get("203.0.113.9", { ...flow, sport: 1000 + n }).gateway!,
  );
const before = waysOf();

// ip -n host nexthop replace id 10 group 1/2 type resilient
host.nexthops.replace({ id: 10, group: [{ id: 1 }, { id: 2 }], type: "resilient" });
const after = waysOf();

const share = (ways: string[], n: number) => ways.filter((it) => it === `192.0.${n}.254`).length;
printTable([1, 2, 3].map((n) => ({
  router: n,
  "flows before": share(before, n),
  "flows after": share(after, n),
})));

await finish({
  checks: {
    "all three routers get flows": [1, 2, 3].every((n) => share(before, n) > 30),
    "router 3 gets none after it was taken out": share(after, 3) === 0,
    "flows of the other routers stay where they are": before.every((way, i) =>
      way === "192.0.3.254" || way === after[i]
    ),
  },
  keep,
  look: "ip -n host nexthop; ip -n host nexthop bucket",
});
