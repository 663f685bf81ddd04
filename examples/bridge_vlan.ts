/**
 * Two bridges that filter VLANs, joined by a trunk: hosts of one VLAN reach each other across it, and
 * hosts of different VLANs do not, not even on the same bridge.
 *
 *     deno run -A examples/bridge_vlan.ts [--keep]
 */
import { Bridge, NetNs, Scope, Veth } from "@netloom/netloom";
import { answers } from "./_reach.ts";
import { finish, options } from "./_recipe.ts";
import { printTable } from "./_table.ts";

const { keep } = options("Two bridges with two VLANs, joined by a trunk", {
  needs: ["veth", "bridge", "bridge vlan_filtering"],
});
await using lab = Scope.open({ name: "netloom-bridge_vlan", replace: true, signals: true });

// ip link add br-left up type bridge vlan_filtering 1 vlan_default_pvid 0
const bridge = (name: string) =>
  Bridge.create({ scope: lab, name, vlanFiltering: true, vlanDefaultPvid: 0, up: true });
const [left, right] = [bridge("br-left"), bridge("br-right")];

// ip link add trunk1 master br-left up type veth peer name trunk2
// ip link set trunk2 master br-right up
const trunk = { name: "trunk2", master: right, up: true };
Veth.create({ scope: lab, name: "trunk1", master: left, up: true, peer: trunk });

// bridge vlan add dev trunk1 vid 10; bridge vlan add dev trunk1 vid 20
for (const port of [left.port("trunk1"), right.port("trunk2")]) {
  port.vlans.add([{ vid: 10 }, { vid: 20 }]);
}

// ip netns add ns1
// ip link add port1 master br-left up type veth peer name eth0 netns ns1
// ip -n ns1 address add 192.168.123.1/24 dev eth0; ip -n ns1 link set eth0 up
// bridge vlan add dev port1 vid 10 pvid untagged
function host(n: number, bridge: Bridge, vid: number): NetNs {
  const netns = NetNs.create(`ns${n}`, { scope: lab });
  const end = { name: "eth0", netns, up: true, addresses: [`192.168.123.${n}/24`] };
  Veth.create({ ...end, scope: lab, peer: { name: `port${n}`, master: bridge, up: true } });
  bridge.port(`port${n}`).vlans.add({ vid, pvid: true, untagged: true });
  return netns;
}
const ns1 = host(1, left, 10);
const ns2 = host(2, left, 20);
host(3, right, 10);
host(4, right, 20);
await lab.ready();

// bridge vlan show
printTable([left, right].flatMap((bridge) =>
  bridge.ports().map((port) => ({
    bridge: bridge.name,
    port: port.name,
    "VLANs with tags": port.vlans.list().filter((it) => !it.untagged).map((it) => it.vid).join(" "),
    "VLAN without": port.vlans.list().find((it) => it.untagged)?.vid,
  }))
));

// ip netns exec ns1 ping -c 1 192.168.123.3
const reaches = (netns: NetNs, n: number) => answers(netns, `192.168.123.${n}`);

await finish({
  checks: {
    "ns1 reaches ns3: both are in VLAN 10": await reaches(ns1, 3),
    "ns2 reaches ns4: both are in VLAN 20": await reaches(ns2, 4),
    "ns1 does not reach ns2, on the same bridge": !await reaches(ns1, 2),
    "ns1 does not reach ns4": !await reaches(ns1, 4),
  },
  keep,
  look: "bridge vlan show",
});
