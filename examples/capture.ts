/**
 * Captures on both ends of a veth pair while a ping crosses it, and prints a line for each packet, as
 * tcpdump does.
 *
 *     deno run -A examples/capture.ts [--write FILE] [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/capture.ts
 */
import { type Capture, NetNs, PcapngWriter, readCapture, Scope, Veth } from "@netloom/netloom";
import { format } from "@netloom/netloom/packet";
import { finish, options, pingLine, printLinks } from "./_recipe.ts";

const { keep, write } = options("Both ends of a veth pair captured while a ping crosses it", {
  own: {
    write: { value: "FILE", help: "writes the packets to a pcapng file, as Wireshark reads" },
  },
});

// Owns all that follows, and removes it at the end: also on Ctrl-C, and what a killed run left.
await using lab = Scope.open({ name: "netloom-capture", replace: true, signals: true });

// ip netns add ns1; ip netns add ns2
// ip link add tap1 netns ns1 type veth peer name tap2 netns ns2
// ip -n ns1 link set tap1 up; ip -n ns1 address add 192.168.123.1/24 dev tap1
// ip -n ns2 link set tap2 up; ip -n ns2 address add 192.168.123.2/24 dev tap2
const ns1 = NetNs.create("ns1", { scope: lab });
const ns2 = NetNs.create("ns2", { scope: lab });
const veth = Veth.create({
  scope: lab,
  name: "tap1",
  netns: ns1,
  up: true,
  addresses: ["192.168.123.1/24"],
  peer: { name: "tap2", netns: ns2, up: true, addresses: ["192.168.123.2/24"] },
});
await lab.ready();
printLinks(lab);

// ip netns exec ns1 tcpdump -nni tap1 -w FILE 'arp or icmp' &
// ip netns exec ns2 tcpdump -nni tap2 -w FILE 'arp or icmp' &
const filter = { or: [{ protocol: "arp" }, { protocol: "icmp" }] } as const;
const captures = [veth.capture({ filter }), veth.peer.capture({ filter })];
const file = write === undefined ? undefined : new PcapngWriter(write);

/** Prints, counts and writes what a capture has; resolves when that has ended. */
async function watch(capture: Capture): Promise<{ packets: number; echoes: number }> {
  const seen = { packets: 0, echoes: 0 };
  for await (const frame of capture) {
    const time = new Date(frame.seconds * 1000).toTimeString().slice(0, 8);
    const nanoseconds = String(frame.nanoseconds).padStart(9, "0");
    const line = format(frame.data);
    console.log(`${time}.${nanoseconds} ${frame.interface.name} ${frame.direction}\t${line}`);
    seen.packets++;
    if (/ICMP echo (request|reply)/.test(line)) seen.echoes++;
    await file?.write(frame);
  }
  const [where] = capture.interfaces;
  if (where) file?.writeStatistics(where, capture.statistics());
  return seen;
}

const watching = Promise.all(captures.map(watch));
// ip netns exec ns1 ping -c 3 -i 0.2 192.168.123.2
const result = await ns1.ping("192.168.123.2", { count: 3, interval: 200 });
for (const capture of captures) capture.stop();
const seen = await watching;
await file?.close();
console.log(`\n${pingLine(result)}`);

const checks: Record<string, boolean> = {
  "each end has three requests and three replies": seen.every(({ echoes }) => echoes === 6),
  "nothing was dropped": captures.every((capture) => capture.statistics().drops === 0),
};
if (write !== undefined) {
  const written = await Array.fromAsync(readCapture(write));
  const packets = seen.reduce((sum, end) => sum + end.packets, 0);
  checks[`${write} has all ${packets} packets`] = written.length === packets;
}
await finish({ checks, keep, look: "ip netns exec ns1 tcpdump -nni tap1" });
