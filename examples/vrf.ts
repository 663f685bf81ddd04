/**
 * A router with two VRFs: two customers with the same addresses stay apart, and one network is leaked from one
 * VRF to the other.
 *
 *     deno run -A examples/vrf.ts [--keep]
 */
import { NetNs, Scope, Veth, Vrf } from "@netloom/netloom";
import { answers } from "./_reach.ts";
import { finish, options } from "./_recipe.ts";
import { printTable } from "./_table.ts";

const { keep } = options("A router with two VRFs, with a network that both reach", {
  needs: ["veth", "vrf"],
});
await using lab = Scope.open({ name: "netloom-vrf", replace: true, signals: true });

// ip netns add router; ip netns exec router sysctl -w net.ipv4.ip_forward=1
const router = NetNs.create("router", { scope: lab });
router.sysctl("net.ipv4.ip_forward", 1);

// ip -n router link add red type vrf table 10; ip -n router link set red up
const red = Vrf.create({ scope: lab, name: "red", netns: router, table: 10, up: true });
const blue = Vrf.create({ scope: lab, name: "blue", netns: router, table: 20, up: true });

// ip -n router link add red1 master red up type veth peer name eth0 netns red-host
// ip -n router address add 10.0.0.254/24 dev red1
// ip -n red-host address add 10.0.0.1/24 dev eth0; ip -n red-host link set eth0 up
// ip -n red-host route add default via 10.0.0.254
async function host(name: string, port: string, master: Vrf, network: string): Promise<NetNs> {
  const netns = NetNs.create(name, { scope: lab });
  const link = Veth.create({
    scope: lab,
    name: port,
    master,
    up: true,
    addresses: [`${network}.254/24`],
    peer: { name: "eth0", netns, up: true, addresses: [`${network}.1/24`] },
  });
  await link.waitFor(({ operstate }) => operstate === "up");
  netns.routes.add({ destination: "default", gateway: `${network}.254` });
  return netns;
}
const redHost = await host("red-host", "red1", red, "10.0.0");
const blueHost = await host("blue-host", "blue1", blue, "10.0.0");
const shared = await host("shared", "shared1", blue, "10.9.0");
await lab.ready();

const before = await answers(redHost, "10.9.0.1");

// ip -n router route add 10.9.0.0/24 dev shared1 table 10
// ip -n router route add 10.0.0.1/32 dev red1 table 20
router.routes.add({ destination: "10.9.0.0/24", dev: "shared1", table: 10 });
const beforeReturn = await answers(redHost, "10.9.0.1");
router.routes.add({ destination: "10.0.0.1/32", dev: "red1", table: 20 });
const after = await answers(redHost, "10.9.0.1");

// ip -n router route show vrf red
printTable(
  [red, blue].flatMap((vrf) =>
    router.routes.list({ family: "inet", table: vrf.options().table, type: "unicast" })
      .map(({ destination, oif }) => ({
        vrf: vrf.name,
        destination,
        link: router.links.get(oif!).name,
      }))
  ),
);

await finish({
  checks: {
    "the router has 10.0.0.254 in both VRFs": router.addresses.list("inet")
      .filter(({ address }) => address === "10.0.0.254/24").length === 2,
    "red does not reach the shared network at first": !before,
    "a route there is not enough: the answer needs one, too": !beforeReturn,
    "with both routes red reaches it": after,
    "blue does not reach it any more: its address leads to red": !await answers(
      blueHost,
      "10.9.0.1",
    ),
    "the shared host answers its router": await answers(shared, "10.9.0.254"),
  },
  keep,
  look: "ip -n router -d link show type vrf",
});
