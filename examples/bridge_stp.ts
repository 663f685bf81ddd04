/**
 * Three bridges in a loop. Without the spanning tree protocol a single broadcast circulates as long as
 * the loop is closed. With it the bridges block one port, and a broadcast ends.
 *
 *     deno run -A examples/bridge_stp.ts [--keep]
 */
import { Bridge, NetNs, Scope, Veth } from "@netloom/netloom";
import { finish, options, pingLine, sleep } from "./_recipe.ts";

const { keep } = options("Three bridges in a loop, without spanning tree and with it", {
  needs: ["veth", "bridge"],
});
await using lab = Scope.open({ name: "netloom-bridge_stp", replace: true, signals: true });

// ip netns add switches
const netns = NetNs.create("switches", { scope: lab });
const quiet = { addrGenMode: "none", up: true } as const; // no IPv6 chatter

// ip link add br1 up type bridge stp_state 0 forward_delay 200 hello_time 100
const times = { forwardDelay: 200, helloTime: 100 }; // 2 s and 1 s, the shortest possible
const bridge = (name: string) =>
  Bridge.create({ scope: lab, name, netns, stp: false, ...times, ...quiet });
const [br1, br2, br3] = [bridge("br1"), bridge("br2"), bridge("br3")];

// ip link add br1-br2 master br1 type veth peer name br2-br1
// ip link set br2-br1 master br2 up; ip link set br1-br2 up
const cable = (a: Bridge, b: Bridge, up: boolean) => {
  const peer = { ...quiet, name: `${b.name}-${a.name}`, master: b };
  return Veth.create({ ...quiet, scope: lab, name: `${a.name}-${b.name}`, master: a, up, peer });
};
cable(br1, br2, true);
cable(br2, br3, true);
const last = cable(br3, br1, false);
const ports = [br1, br2, br3].flatMap((bridge) => bridge.ports());

// ip netns add ns1
// ip link add port1 master br1 up type veth peer name eth0 netns ns1
// ip -n ns1 address add 192.168.123.1/24 dev eth0; ip -n ns1 link set eth0 up
const host = (n: number, bridge: Bridge) => {
  const netns = NetNs.create(`ns${n}`, { scope: lab });
  const end = { ...quiet, name: "eth0", netns, addresses: [`192.168.123.${n}/24`] };
  Veth.create({ ...end, scope: lab, peer: { ...quiet, name: `port${n}`, master: bridge } });
  return netns;
};
const ns1 = host(1, br1);
host(2, br2);
await lab.ready();

/** Frames between the bridges after ns1 asks for an address that no host has; stops at 10,000. */
async function framesOfBroadcast(address: string): Promise<number> {
  const count = () => ports.reduce((sum, port) => sum + port.stats().txPackets, 0);
  const before = count();
  await ns1.ping(address, { timeout: 10 }); // one ARP request
  for (let i = 0; i < 100 && count() - before < 10_000; i++) await sleep(10);
  return count() - before;
}

// ip link set br3-br1 up, and down again as soon as there are many
last.up();
await lab.ready();
const storm = await framesOfBroadcast("192.168.123.98").finally(() => last.down());
console.log(`Without spanning tree one broadcast became ${storm} frames, and the loop was cut\n`);

// ip link set br1 type bridge stp_state 1
// ip link set br3-br1 up
for (const bridge of [br1, br2, br3]) bridge.set({ stp: true });
last.up();

// bridge link show, over and over
const started = performance.now();
let states = "";
const settled = () => /^((forwarding|blocking) *){6}$/.test(states) && blocked() === 1;
const blocked = () => states.split("blocking").length - 1;
console.log("seconds ", ports.map(({ name }) => name.padEnd(11)).join("").trim());
while (!settled() && performance.now() - started < 60_000) {
  await sleep(50);
  const now = ports.map((port) => String(port.options().state).padEnd(11)).join("");
  if (now === states) continue;
  states = now;
  console.log(((performance.now() - started) / 1000).toFixed(1).padStart(7), "", states);
}
const frames = await framesOfBroadcast("192.168.123.99");
console.log(`\nWith spanning tree one broadcast became ${frames} frames`);

// ip netns exec ns1 ping -c 1 192.168.123.2
const result = await ns1.ping("192.168.123.2");
console.log(pingLine(result));

await finish({
  checks: {
    "without spanning tree a broadcast circulates": storm >= 1000,
    "with it one port blocks and the others forward": settled(),
    "then a broadcast comes to an end": frames < 100, // with what bridges say each second
    "and ns1 reaches ns2": result.received === 1,
  },
  keep,
  look: "bridge -n switches link",
});
