/**
 * A TUN whose other end is a program that answers pings: a whole subnet of hosts that do not exist.
 *
 *     deno run -A examples/tun_icmp_echo.ts [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/tun_icmp_echo.ts
 */
import { NetNs, Scope, supports, Tun } from "@netloom/netloom";
import { ICMP, Icmp, IPPROTO, Ipv4 } from "@netloom/netloom/packet";
import { parseArgs } from "@std/cli/parse-args";

const { keep } = parseArgs(Deno.args, { boolean: ["keep"], unknown: usage });
if (!supports("tun")) {
  console.error("This kernel lacks tun: CONFIG_TUN brings it");
  Deno.exit(77);
}

// The scope owns all that follows. At the end it removes that: also on Ctrl-C, and the remains of a
// run that was killed.
await using lab = Scope.open({ name: "netloom-tun_icmp_echo", replace: true, signals: true });

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
await lab.ready();
let answered = 0;
const running = echo();

// fping -g 10.9.0.2 10.9.0.254
const hosts = Array.from({ length: 253 }, (_, i) => `10.9.0.${i + 2}`);
// A slow machine takes longer to send all requests than a host to answer one.
const pings = await Promise.all(hosts.map((host) => ns1.ping(host, { timeout: 20_000 })));
const alive = pings.filter(({ received }) => received === 1).length;
console.log(`${hosts[0]} to ${hosts.at(-1)}: ${alive} of ${hosts.length} hosts answer`);

// ip netns exec ns1 ping -c 100 -i 0.01 10.9.0.99
const one = await ns1.ping("10.9.0.99", { count: 100, interval: 10, timeout: 5000 });
console.log(`ping 10.9.0.99: ${one.received} of 100 replies, ${one.avg?.toFixed(3)} ms on average`);
console.log(`The program has answered ${answered} requests`);

const good = alive === hosts.length && one.received === 100;
console.log(`\n${good ? "yes" : "NO "}  every address of the subnet answers each request`);
console.log(`\nVerdict: ${good ? "good" : "bad"}`);
if (!good) Deno.exitCode = 1;

if (keep) {
  console.log("\nThe network stays up. Look around: ip netns exec ns1 ping 10.9.0.77");
  console.log("Ctrl-C removes it.");
  await new Promise(() => setInterval(() => {}, 1 << 30));
}

tun.close();
await running;

/** Answers packet after packet until the device is closed. */
async function echo(): Promise<void> {
  for await (const packet of tun) {
    if (!answer(packet)) continue;
    await tun.write(packet);
    answered++;
  }
}

/** Turns an echo request into its reply, in place; `false` for any other packet. */
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

/** Ends the script at --help, and at an argument that it does not have. */
function usage(arg: string): never {
  const help = arg === "--help" || arg === "-h";
  if (help) {
    console.log("Usage: deno run -A examples/tun_icmp_echo.ts [--keep]");
    console.log("  --keep  holds the network up until Ctrl-C");
  } else console.error(`Unknown argument ${arg}; see --help`);
  Deno.exit(help ? 0 : 2);
}
