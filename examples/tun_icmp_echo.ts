/**
 * A TUN whose other end is a program that answers pings: a whole subnet of hosts that are not there.
 *
 *     deno run -A examples/tun_icmp_echo.ts [--keep]
 */
import { NetNs, Scope, Tun } from "@netloom/netloom";
import { ICMP, Icmp, IPPROTO, Ipv4 } from "@netloom/netloom/packet";
import { finish, options, pingLine, printLinks } from "./_recipe.ts";
import { systemPing } from "./_system_ping.ts";

const { keep } = options("A program answers pings to a whole subnet, through a TUN", {
  needs: ["tun"],
});
await using lab = Scope.open({ name: "netloom-tun-echo", replace: true, signals: true });

// ip netns add ns1
// ip -n ns1 tuntap add dev tun0 mode tun
// ip -n ns1 address add 10.9.0.1/24 dev tun0; ip -n ns1 link set tun0 up
const ns1 = NetNs.create("ns1", { scope: lab });
const tun = Tun.create({
  scope: lab,
  name: "tun0",
  netns: ns1,
  up: true,
  addresses: ["10.9.0.1/24"],
});

/** Turns an echo request into its reply, in place. Anything else is left alone: `false`. */
function answer(bytes: Uint8Array): boolean {
  const packet = Ipv4.parse(bytes);
  if (packet?.protocol !== IPPROTO.ICMP || packet.isFragment) return false;
  const message = Icmp.parse(bytes, packet.payloadStart, packet.payloadEnd);
  if (message?.type !== ICMP.ECHO) return false;
  message.type = ICMP.ECHO_REPLY;
  message.updateChecksum();
  packet.swapAddresses();
  return true;
}

let answered = 0;

/** Answers until the device is closed. */
async function echo(): Promise<void> {
  for await (const packet of tun) {
    if (!answer(packet)) continue;
    await tun.write(packet);
    answered++;
  }
}
const running = echo();

await lab.ready();
printLinks(lab);

// fping -g 10.9.0.2 10.9.0.254
const hosts = Array.from({ length: 253 }, (_, i) => `10.9.0.${i + 2}`);
// Sending them all takes a slow machine longer than an answer.
const pings = await Promise.all(hosts.map((host) => ns1.ping(host, { timeout: 20_000 })));
const alive = pings.filter(({ received }) => received === 1).length;
console.log(`${hosts[0]} to ${hosts.at(-1)}: ${alive} of ${hosts.length} hosts answer`);

// ip netns exec ns1 ping -c 100 -i 0.01 10.9.0.99
const one = await ns1.ping("10.9.0.99", { count: 100, interval: 10 });
console.log(pingLine(one));
const theirs = await systemPing(ns1, "10.9.0.99");
console.log(`the system's ping: ${theirs?.summary ?? "not installed"}`);
console.log(`The program has answered ${answered} requests.`);

await finish({
  checks: {
    "every address of the subnet answers": alive === hosts.length,
    "each of 100 requests in a row is answered": one.received === 100,
    ...theirs && { "the system's ping agrees": theirs.good },
  },
  keep,
  look: "ip netns exec ns1 ping 10.9.0.77",
});
tun.close();
await running;
