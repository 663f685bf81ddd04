/**
 * A macvtap: a link on a parent whose frames go to this program, as they would to a virtual machine.
 * The program is a host: it answers ARP requests and pings.
 *
 *     deno run -A examples/macvtap.ts [--keep]
 */
import { Macvtap, NetNs, Scope } from "@netloom/netloom";
import { format } from "@netloom/netloom/packet";
import { answer } from "./_answer.ts";
import { finish, options, pingLine, printLinks } from "./_recipe.ts";
import { uplink } from "./_uplink.ts";

const { keep } = options("A macvtap, and a program that answers at its other end", {
  needs: ["veth", "bridge", "macvtap", "device nodes"],
});
await using lab = Scope.open({ name: "netloom-macvtap", replace: true, signals: true });
const { parent, outside } = uplink(lab);

// ip netns add ns1
// ip -n host link add macvtap0 link eth0 netns ns1 type macvtap mode bridge
// ip -n ns1 link set macvtap0 up
const ns1 = NetNs.create("ns1", { scope: lab });
const tap = Macvtap.create({
  scope: lab,
  name: "macvtap0",
  netns: ns1,
  parent,
  mode: "bridge",
  up: true,
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
  checks: { "the switch reaches the program behind the macvtap": result.received === 3 },
  keep,
  look: "ip netns exec switch ping 192.168.123.1",
});
device.close();
await running;
