/**
 * Two hosts joined by two cables as one bond: a cable fails, and the other one takes over.
 *
 *     deno run -A examples/bond_failover.ts [--keep]
 */
import { Bond, NetNs, Scope, Veth } from "@netloom/netloom";
import { finish, options, pingLine } from "./_recipe.ts";

const { keep } = options("Two cables as one bond, and the failure of one of them", {
  needs: ["veth", "bond"],
});
await using lab = Scope.open({ name: "netloom-bond_failover", replace: true, signals: true });

// ip netns add left
// ip -n left link add bond0 type bond mode active-backup miimon 10
// ip -n left address add 10.0.0.1/24 dev bond0; ip -n left link set bond0 up
function host(name: string, n: number): { netns: NetNs; bond: Bond } {
  const netns = NetNs.create(name, { scope: lab });
  const bond = Bond.create({
    scope: lab,
    name: "bond0",
    netns,
    mode: "active-backup",
    miimon: 10,
    up: true,
    addresses: [`10.0.0.${n}/24`],
  });
  return { netns, bond };
}
const left = host("left", 1);
const right = host("right", 2);

// ip -n left link add eth0 type veth peer name eth0 netns right
// ip -n left link set eth0 master bond0; ip -n right link set eth0 master bond0
const [first, second] = [0, 1].map((n) =>
  Veth.create({
    scope: lab,
    name: `eth${n}`,
    master: left.bond,
    up: true,
    peer: { name: `eth${n}`, master: right.bond, up: true },
  })
) as [Veth, Veth];
await lab.ready();

// cat /proc/net/bonding/bond0
const active = () => left.netns.links.get(left.bond.options().activeSlave!).name;
const before = active();

// ip netns exec left ping -c 50 -i 0.04 10.0.0.2 &
// ip -n right link set eth0 down
const pings = left.netns.ping("10.0.0.2", { count: 50, interval: 40 });
await new Promise((resolve) => setTimeout(resolve, 500));
first.peer.down();
const result = await pings;
console.log(`${pingLine(result)}; ${result.sent - result.received} lost at the failover`);
const after = active();

// ip -n left -d link show eth0
const { port } = first.read();
const failures = port?.kind === "bond" ? port.options.linkFailureCount : undefined;

// ip -n left link set bond0 type bond active_slave eth0
first.peer.up();
await first.waitFor(({ carrier }) => carrier === true);
left.bond.set({ primary: first });
await left.bond.waitFor((link) => link.kind === "bond" && link.options.activeSlave === first.index);

await finish({
  checks: {
    "eth0 is in use at first": before === "eth0",
    "eth1 takes over": after === second.name,
    "most packets arrive": result.received >= 25,
    "the bond has counted one failure of eth0": failures === 1,
    "eth0 is in use again as the primary port": active() === "eth0",
  },
  keep,
  look: "ip netns exec left cat /proc/net/bonding/bond0",
});
