/**
 * Ipvlans: links with IP addresses of their own on one parent, and its MAC. Who reaches whom in each
 * mode, and what becomes of a broadcast.
 *
 *     deno run -A examples/ipvlan.ts [--mode l2|l3|l3s] [--keep]
 */
import { Ipvlan, NetNs, Scope } from "@netloom/netloom";
import { printReach } from "./_reach.ts";
import { finish, options, printLinks, sleep } from "./_recipe.ts";
import { uplink } from "./_uplink.ts";

const MODES = ["l2", "l3", "l3s"] as const;
const { keep, mode: only } = options("Ipvlans on one parent, with its MAC, in each mode", {
  needs: ["veth", "bridge", "ipvlan"],
  own: { mode: { value: "MODE", choices: MODES, help: "one mode; default: each of" } },
});
const checks: Record<string, boolean> = {};

for (const mode of only ? [only] : MODES) {
  await using lab = Scope.open({ name: "netloom-ipvlan", replace: true, signals: true });
  const { parent, host, outside } = uplink(lab);

  // ip netns add ns1
  // ip -n host link add ipvlan0 link eth0 netns ns1 type ipvlan mode MODE
  // ip -n ns1 address add 192.168.123.1/24 dev ipvlan0; ip -n ns1 link set ipvlan0 up
  const hosts = [1, 2].map((n) => {
    const netns = NetNs.create(`ns${n}`, { scope: lab });
    // l2 is a switch, l3 and l3s are a router: there each has a network of its own.
    const address = mode === "l2" ? `192.168.123.${n}` : `10.0.${n}.1`;
    const addresses = [`${address}/24`];
    const link = Ipvlan.create({
      scope: lab,
      name: "ipvlan0",
      netns,
      parent,
      mode,
      up: true,
      addresses,
    });
    return { netns, address, link };
  });
  if (mode !== "l2") {
    // ip -n ns1 route add default dev ipvlan0; ip -n switch route add 10.0.0.0/16 via 192.168.123.3
    for (const { netns, link } of hosts) netns.routes.add({ destination: "default", dev: link });
    outside.netns.routes.add({ destination: "10.0.0.0/16", gateway: host.address });
  }
  await lab.ready();
  printLinks(lab);
  const reaches = await printReach(`mode ${mode}`, [...hosts, host, outside]);

  // ip -n switch neigh flush dev br0; ip netns exec switch ping -c 1 192.168.123.99
  const [{ link }] = hosts as [typeof hosts[number]];
  const before = link.stats().rxPackets;
  await outside.netns.ping("192.168.123.99", { timeout: 10 }); // nobody has it: an ARP broadcast
  for (let i = 0; i < 20 && link.stats().rxPackets === before; i++) await sleep(50);
  const heard = link.stats().rxPackets > before;
  console.log(`\nA broadcast from the switch ${heard ? "comes to" : "does not come to"} ns1\n`);

  const mac = parent.read().mac;
  checks[`${mode}: all have the MAC of the host's link`] = hosts.every(({ link }) =>
    link.read().mac === mac
  );
  checks[`${mode}: ns1 and ns2 reach each other`] = reaches("ns1", "ns2") && reaches("ns2", "ns1");
  checks[`${mode}: ns1 reaches the switch, but not the host`] = reaches("ns1", "switch") &&
    !reaches("ns1", "host");
  checks[`${mode}: a broadcast ${mode === "l2" ? "arrives" : "does not arrive"}`] =
    heard === (mode === "l2");
  if (mode === (only ?? "l3s")) await finish({ checks, keep, look: "ip -d -n ns1 address" });
}
