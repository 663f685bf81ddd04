/**
 * A host with two uplinks: answers leave by the uplink that the question came in by, and one kind of traffic
 * always takes the second one.
 *
 *     deno run -A examples/policy_routing.ts [--keep]
 */
import { NetNs, Scope, Veth } from "@netloom/netloom";
import { finish, options } from "./_recipe.ts";
import { printTable } from "./_table.ts";

const { keep } = options("A host with two uplinks, and rules that choose between them");
await using lab = Scope.open({ name: "netloom-policy_routing", replace: true, signals: true });

// ip netns add host
const host = NetNs.create("host", { scope: lab });

// ip -n host link add up1 type veth peer name eth0 netns isp1
// ip -n host address add 192.0.1.1/24 dev up1; ip -n host link set up1 up
// ip -n isp1 address add 192.0.1.254/24 dev eth0; ip -n isp1 link set eth0 up
// ip -n isp1 address add 198.51.100.1/32 dev lo
function uplink(n: number): NetNs {
  const isp = NetNs.create(`isp${n}`, { scope: lab });
  Veth.create({
    scope: lab,
    name: `up${n}`,
    netns: host,
    up: true,
    addresses: [`192.0.${n}.1/24`],
    peer: { name: "eth0", netns: isp, up: true, addresses: [`192.0.${n}.254/24`] },
  });
  isp.addresses.add({ dev: "lo", address: "198.51.100.1/32" });
  return isp;
}
uplink(1);
uplink(2);
await lab.ready();

// ip -n host route add default via 192.0.1.254
// ip -n host route add default via 192.0.2.254 table 2
host.routes.add([
  { destination: "default", gateway: "192.0.1.254" },
  { destination: "default", gateway: "192.0.2.254", table: 2 },
]);

// ip -n host rule add priority 100 from 192.0.2.0/24 lookup 2
// ip -n host rule add priority 200 ipproto tcp dport 25 lookup 2
// ip -n host rule add priority 300 to 203.0.113.0/24 prohibit
host.rules.add([
  { priority: 100, from: "192.0.2.0/24", table: 2 },
  { priority: 200, ipProtocol: 6, dport: 25, table: 2 },
  { priority: 300, to: "203.0.113.0/24", action: "prohibit" },
]);

// ip -n host rule
printTable(
  host.rules.list("inet").map(({ priority, from, to, dport, table, action }) => ({
    priority,
    from: from ?? "all",
    to: to ?? "all",
    dport: dport?.toString(),
    action: table === undefined ? action : `${action} ${table}`,
  })),
);

// ip -n host route get 198.51.100.1 from 192.0.2.1
const to = "198.51.100.1";
const uplinkOf = (from: string) => host.links.get(host.routes.get(to, { from }).oif!).name;
const mail = host.routes.get(to, { ipProtocol: 6, dport: 25 });

let refused = "";
try {
  await host.ping("203.0.113.7");
} catch (error) {
  refused = (error as { code: string }).code;
}

await finish({
  checks: {
    "packets from 192.0.1.1 leave by up1": uplinkOf("192.0.1.1") === "up1",
    "packets from 192.0.2.1 leave by up2": uplinkOf("192.0.2.1") === "up2",
    "mail leaves by up2": mail.gateway === "192.0.2.254",
    "203.0.113.0/24 is forbidden": refused === "EACCES",
    "the server answers a ping": (await host.ping(to)).received === 1,
  },
  keep,
  look: "ip netns exec host ip rule",
});
