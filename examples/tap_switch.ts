/**
 * An Ethernet switch as a program: it learns the port of each MAC, forgets MACs that are silent for a
 * while, and floods frames to unknown MACs. Its ports are TAPs in several namespaces.
 *
 *     deno run -A examples/tap_switch.ts [--keep]
 */
import { NetNs, Scope, Tap } from "@netloom/netloom";
import { Ethernet } from "@netloom/netloom/packet";
import { MacTable } from "./_mac_table.ts";
import { type Host, printReach } from "./_reach.ts";
import { finish, options, printLinks } from "./_recipe.ts";

/** Milliseconds until the switch forgets a silent MAC; `ageing_time` of a bridge is 300 s. */
const AGEING = 2000;

const { keep } = options("A learning Ethernet switch, as a program between TAPs", {
  needs: ["tun"],
});
await using lab = Scope.open({ name: "netloom-tap-switch", replace: true, signals: true });

const ports: Tap[] = [];
const hosts: Host[] = [];
for (const n of [1, 2, 3, 4]) {
  // ip netns add ns1
  // ip -n ns1 tuntap add dev eth0 mode tap
  // ip -n ns1 address add 192.168.123.1/24 dev eth0; ip -n ns1 link set eth0 up
  const netns = NetNs.create(`ns${n}`, { scope: lab });
  const address = `192.168.123.${n}`;
  const link = { scope: lab, name: "eth0", netns, up: true, addresses: [`${address}/24`] };
  // Without IPv6, which sends by itself: the hosts are silent then.
  ports.push(Tap.create({ ...link, addrGenMode: "none" }));
  hosts.push({ netns, address });
}

using table = new MacTable(AGEING);
const counts = { forwarded: 0, broadcast: 0, unknown: 0, dropped: 0 };

/** Learns from a frame, and returns its port; `undefined` means all others. */
function portFor(frame: Ethernet, from: number): number | undefined {
  table.learn(frame.sourceNumber, from);
  const port = frame.multicast ? undefined : table.port(frame.destinationNumber);
  counts[frame.multicast ? "broadcast" : port === undefined ? "unknown" : "forwarded"]++;
  return port;
}

/** Forwards the frames of a port until it is closed. */
async function serve(tap: Tap, from: number): Promise<void> {
  const frame = new Ethernet();
  for await (const bytes of tap) {
    if (!frame.point(bytes, 0, bytes.length)) continue;
    const to = portFor(frame, from);
    for (const [port, other] of ports.entries()) {
      if (port === from || to !== undefined && to !== port) continue;
      // A port that is down loses frames, as on any switch.
      await other.write(bytes).catch(() => counts.dropped++);
    }
  }
}
const running = Promise.all(ports.map(serve));

await lab.ready();
printLinks(lab);

// ip netns exec ns1 ping -c 1 192.168.123.2; the same for all pairs
// brctl showmacs
const reaches = await printReach("all at once", hosts);
const names = hosts.map(({ netns }) => netns.name!);
const pairs = names.flatMap((a) => names.filter((b) => a !== b).map((b) => reaches(a, b)));
table.print("What the switch has learned:");
const learned = table.size;

const patience = AbortSignal.timeout(20_000);
while (table.size > 0 && !patience.aborted) await new Promise((done) => setTimeout(done, 100));
table.print("After a silence:");
const forgotten = table.size === 0;

const again = await hosts[0]!.netns.ping(hosts[3]!.address);
table.print("After one more ping, from ns1 to ns4:");
const frames = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
console.log(`frames: ${frames.join(", ")}`);

await finish({
  checks: {
    "all pairs reach each other": pairs.every(Boolean),
    "the switch has learned each host's port": learned === hosts.length,
    "it forgets hosts that are silent": forgotten,
    "and learns hosts that send again": again.received === 1 && table.size >= 2,
  },
  keep,
  look: "ip netns exec ns1 ping 192.168.123.4",
});
ports.forEach((port) => port.close());
await running;
