/**
 * An ipvtap: a link with an address of its own and its parent's MAC. Its frames go to this program, as
 * they would to a virtual machine. The program is a host: it answers ARP requests and pings.
 *
 *     deno run -A examples/ipvtap.ts [--keep]
 *
 * Needs root: a user namespace other than the first one has no character devices.
 */
import { Ipvtap, NetNs, Scope, supports, Veth } from "@netloom/netloom";
import { Arp, ARPOP, Ethernet, format, ICMP, Icmp, Ipv4 } from "@netloom/netloom/packet";
import { parseArgs } from "@std/cli/parse-args";

const { keep } = parseArgs(Deno.args, { boolean: ["keep"], unknown: usage });
if (!supports("ipvtap")) {
  console.error("This kernel lacks ipvtap: CONFIG_IPVTAP brings it");
  Deno.exit(77);
}

// The scope owns all that follows. At the end it removes that: also on Ctrl-C, and the remains of a
// run that was killed.
await using lab = Scope.open({ name: "netloom-ipvtap", replace: true, signals: true });

// ip netns add host; ip netns add outside
const host = NetNs.create("host", { scope: lab });
const outside = NetNs.create("outside", { scope: lab });

// ip -n host link add eth0 type veth peer name eth0 netns outside
// ip -n host link set eth0 up; ip -n outside link set eth0 up
// ip -n outside address add 192.168.123.2/24 dev eth0
const peer = { name: "eth0", netns: outside, up: true, addresses: ["192.168.123.2/24"] };
const parent = Veth.create({ scope: lab, name: "eth0", netns: host, up: true, peer });

// ip -n host link add ipvtap0 link eth0 type ipvtap mode l2
// ip -n host address add 192.168.123.1/24 dev ipvtap0; ip -n host link set ipvtap0 up
const tap = { scope: lab, name: "ipvtap0", netns: host, parent, up: true };
// By its address the kernel tells the links on a parent apart.
const link = Ipvtap.create({ ...tap, mode: "l2", addresses: ["192.168.123.1/24"] });
await lab.ready();

// exec 3<>/dev/tapN; ip netns exec host qemu-system-x86_64 -netdev tap,fd=3,...
const device = lab.use(link.openDevice());
const mac = link.read().mac!;
const running = serve();

// ip netns exec outside ping -c 3 -i 0.2 192.168.123.1
const { sent, received } = await outside.ping("192.168.123.1", { count: 3, interval: 200 });
const good = received === sent;
console.log(
  `\n${good ? "yes" : "NO "}  the program answers ${received} of ${sent} pings from outside`,
);
console.log(`\nVerdict: ${good ? "good" : "bad"}`);
if (!good) Deno.exitCode = 1;

if (keep) {
  console.log("\nThe network stays up. Look around: ip netns exec outside ping 192.168.123.1");
  console.log("Ctrl-C removes it.");
  await new Promise(() => setInterval(() => {}, 1 << 30));
}
device.close();
await running;

/** Answers frame after frame until the device is closed. */
async function serve(): Promise<void> {
  for await (const frame of device.packets()) {
    const request = format(frame);
    if (!answer(frame)) continue;
    await device.write(frame);
    console.log(`read:    ${request}\nwritten: ${format(frame)}`);
  }
}

/** Turns an ARP request or a ping into its answer, in place; `false` for any other frame. */
function answer(bytes: Uint8Array): boolean {
  const frame = Ethernet.parse(bytes)!;
  const arp = Arp.parse(bytes, frame.payloadStart);
  const ip = Ipv4.parse(bytes, frame.payloadStart);
  const icmp = ip && Icmp.parse(bytes, ip.payloadStart, ip.payloadEnd);
  if (arp?.operation === ARPOP.REQUEST && arp.targetIp === "192.168.123.1") {
    arp.swapSenderAndTarget();
    arp.operation = ARPOP.REPLY;
    arp.senderMac = mac;
  } else if (icmp?.type === ICMP.ECHO && ip?.destination === "192.168.123.1") {
    ip.swapAddresses();
    icmp.type = ICMP.ECHO_REPLY;
    icmp.updateChecksum();
  } else return false;
  frame.destination = frame.source;
  frame.source = mac;
  return true;
}

/** Ends the script at --help, and at an argument that it does not have. */
function usage(arg: string): never {
  const help = arg === "--help" || arg === "-h";
  if (help) {
    console.log("Usage: deno run -A examples/ipvtap.ts [--keep]");
    console.log("  --keep  holds the network up until Ctrl-C");
  } else console.error(`Unknown argument ${arg}; see --help`);
  Deno.exit(help ? 0 : 2);
}
