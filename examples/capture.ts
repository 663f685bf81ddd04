/**
 * Captures on both ends of a veth pair while a ping crosses it, and prints a line for each packet, like
 * tcpdump.
 *
 *     deno run -A examples/capture.ts [--write FILE] [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/capture.ts
 */
import { type Frame, NetNs, PcapngWriter, readCapture, Scope, Veth } from "@netloom/netloom";
import { format } from "@netloom/netloom/packet";
import { finish, openFile, options, pingLine, printLinks } from "./_recipe.ts";

const { keep, write } = options("Both ends of a veth pair captured while a ping crosses it", {
  own: {
    write: { value: "FILE", help: "writes the packets to a pcapng file, for Wireshark" },
  },
});
const file = write === undefined
  ? undefined
  : openFile("--write", write, (path) => new PcapngWriter(path));

// The scope owns all that follows. At the end it removes that: also on Ctrl-C, and the remains of a
// run that was killed.
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
// The data of a frame is valid until the next frame: keep copies.
const watching = Promise.all(
  captures.map((capture) => Array.fromAsync(capture, (frame) => frame.copy())),
);

// ip netns exec ns1 ping -c 3 -i 0.2 192.168.123.2
const result = await ns1.ping("192.168.123.2", { count: 3, interval: 200 });
for (const capture of captures) capture.stop();
const ends = await watching;

// Both ends as one, in the order of time.
const frames = ends.flat().sort((a, b) => Number(a.timestamp - b.timestamp));
for (const frame of frames) {
  const time = new Date(frame.seconds * 1000).toTimeString().slice(0, 8);
  const nanoseconds = String(frame.nanoseconds).padStart(9, "0");
  const where = `${frame.interface.name} ${frame.direction}`;
  console.log(`${time}.${nanoseconds} ${where}\t${format(frame.data)}`);
  await file?.write(frame);
}
for (const capture of captures) {
  for (const where of capture.interfaces) file?.writeStatistics(where, capture.statistics());
}
await file?.close();
console.log(`\n${pingLine(result)}`);

const echoes = (end: Frame[]) =>
  end.filter(({ data }) => /ICMP echo (request|reply)/.test(format(data))).length;
const checks: Record<string, boolean> = {
  "each end has three requests and three replies": ends.every((end) => echoes(end) === 6),
  "no packet was dropped": captures.every((capture) => capture.statistics().drops === 0),
};
if (write !== undefined) {
  const written = await Array.fromAsync(readCapture(write));
  checks[`${write} has all ${frames.length} packets`] = written.length === frames.length;
}
await finish({ checks, keep, look: "ip netns exec ns1 tcpdump -nni tap1" });
