/**
 * A tunnel: the IP packets of two TUNs in UDP datagrams over a veth pair. First packet by packet, then
 * with offloads: the kernel hands over GSO packets of up to 64 KiB. The program cuts them into
 * datagrams and merges those at the other end (see `_tunnel.ts`), which is faster.
 *
 *     deno run -A examples/tun_tunnel.ts [--keep]
 */
import { forward, NetNs, Scope, Tun, UdpSocket, Veth } from "@netloom/netloom";
import { Ends } from "./_compare/measure.ts";
import { finish, options, pingLine, printLinks } from "./_recipe.ts";
import { tunnel } from "./_tunnel.ts";

const { keep } = options("A UDP tunnel between two TUNs, without and with offloads", {
  needs: ["tun", "veth"],
});

/** The largest packet in a datagram: 1500 bytes of the veth pair, less IP and UDP headers. */
const mtu = 1472;

/** Two namespaces, a veth pair between them, and an end of the tunnel in each. */
function build(lab: Scope, offloads: boolean): [NetNs, NetNs] {
  // ip netns add ns1; ip netns add ns2
  const [ns1, ns2] = [1, 2].map((n) => NetNs.create(`ns${n}`, { scope: lab })) as [NetNs, NetNs];
  // ip link add eth0 netns ns1 type veth peer name eth0 netns ns2; ...
  const end = (n: number) => ({ name: "eth0", up: true, addresses: [`192.0.2.${n}/24`] });
  Veth.create({ scope: lab, netns: ns1, ...end(1), peer: { netns: ns2, ...end(2) } });

  for (const [netns, here, there] of [[ns1, 1, 2], [ns2, 2, 1]] as const) {
    // ip -n ns1 tuntap add dev tun0 mode tun [vnet_hdr]
    // ip -n ns1 link set tun0 mtu 1472 up; ip -n ns1 address add 10.8.0.1/24 dev tun0
    const addresses = [`10.8.0.${here}/24`];
    const tun = Tun.create({ scope: lab, name: "tun0", netns, offloads, up: true, mtu, addresses });
    const udp = lab.use(UdpSocket.open({
      netns,
      local: { address: `192.0.2.${here}`, port: 4789 },
      remote: { address: `192.0.2.${there}`, port: 4789 },
      receiveBuffer: 4 << 20,
      gro: offloads,
    }));
    if (offloads) tunnel(tun, udp);
    else [forward(tun, udp), forward(udp, tun)];
  }
  return [ns1, ns2];
}

const checks: Record<string, boolean> = {};
const rates: number[] = [];
for (const offloads of [false, true]) {
  await using lab = Scope.open({ name: "netloom-tun-tunnel", replace: true, signals: true });
  const [ns1, ns2] = build(lab, offloads);
  await lab.ready();
  if (!offloads) printLinks(lab);

  // ip netns exec ns2 iperf3 -s -1 & ip netns exec ns1 iperf3 -c 10.8.0.2 -t 2
  using ends = new Ends([ns1, ns2]);
  const { count, seconds } = await ends.tcp("10.8.0.2", 2000);
  const rate = count * 8 / seconds / 1e9;
  const { txBytes, txPackets } = ns1.links.get("tun0").stats();
  const size = Math.round(txBytes / txPackets);
  // ip netns exec ns1 ping -c 20 -i 0.01 10.8.0.2
  const ping = await ns1.ping("10.8.0.2", { count: 20, interval: 10 });
  const how = offloads ? "with offloads" : "without offloads";
  console.log(`${how}: TCP ${rate.toFixed(2)} Gbit/s, packets of ${size} bytes on average`);
  console.log(`${pingLine(ping)}\n`);
  checks[`${how}: ns1 reaches ns2 through the tunnel`] = ping.received === ping.sent;
  rates.push(rate);
  if (!offloads) continue;

  checks["packets above the MTU go through the program"] = size > mtu;
  console.log(`Offloads make it ${(rate / rates[0]!).toFixed(1)} times as fast.`);
  await finish({ checks, keep, look: "ip netns exec ns2 tcpdump -ni eth0 udp" });
}
