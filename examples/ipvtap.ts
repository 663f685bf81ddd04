/**
 * An ipvtap: a link with an address of its own and its parent's MAC, whose frames go to this program,
 * as they would to a virtual machine. The program is a host: it answers ARP requests and pings.
 *
 *     deno run -A examples/ipvtap.ts [--keep]
 */
import { Ipvtap, NetNs, Scope } from "@netloom/netloom";
import { format } from "@netloom/netloom/packet";
import { answer } from "./_answer.ts";
import { finish, options, pingLine, printLinks } from "./_recipe.ts";
import { uplink } from "./_uplink.ts";

const { keep } = options("An ipvtap, and a program that answers at its other end", {
  needs: ["veth", "bridge", "ipvtap", "device nodes"],
});
await using lab = Scope.open({ name: "netloom-ipvtap", replace: true, signals: true });
const { parent, outside } = uplink(lab);

// ip netns add ns1
// ip -n host link add ipvtap0 link eth0 netns ns1 type ipvtap mode l2
// ip -n ns1 address add 192.168.123.1/24 dev ipvtap0; ip -n ns1 link set ipvtap0 up
const ns1 = NetNs.create("ns1", { scope: lab });
const tap = Ipvtap.create({
  scope: lab,
  name: "ipvtap0",
  netns: ns1,
  parent,
  mode: "l2",
  up: true,
  addresses: ["192.168.123.1/24"], // what it is told apart by
});
await lab.ready();
printLinks(lab);

// exec 3<>/dev/tapN; ip netns exec ns1 qemu-system-x86_64 -netdev tap,fd=3,...
const device = lab.use(tap.openDevice());
const mac = tap.read().mac!;
let [read, written] = [0, 0];

/** Answers frame after frame until the device is closed. */
async function host(): Promise<void> {
  for await (const frame of device.packets()) {
    read++;
    const request = format(frame);
    if (!answer(frame, mac, "192.168.123.1")) continue;
    await device.write(frame);
    written++;
    console.log(`read:    ${request}\nwritten: ${format(frame)}`);
  }
}
const running = host();

// ip netns exec switch ping -c 3 -i 0.2 192.168.123.1
const result = await outside.netns.ping("192.168.123.1", { count: 3, interval: 200 });
console.log(`\n${pingLine(result)}; the program read ${read} frames and wrote ${written}`);

await finish({
  checks: { "the switch reaches the program behind the ipvtap": result.received === 3 },
  keep,
  look: "ip netns exec switch ping 192.168.123.1",
});
device.close();
await running;
