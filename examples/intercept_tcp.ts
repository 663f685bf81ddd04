/**
 * A program on a link loses the third segment of a TCP transfer: the retransmission is seen, and how long it took.
 *
 *     deno run -A examples/intercept_tcp.ts [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/intercept_tcp.ts
 */
import { NetNs, Scope, Veth } from "@netloom/netloom";
import "@netloom/netloom/tc";
import { format } from "@netloom/netloom/packet";
import { finish, options, printLinks } from "./_recipe.ts";

const { keep } = options("The third segment of a TCP transfer lost, and its retransmission seen");
const SERVER = "192.168.123.2";

await using lab = Scope.open({ name: "netloom-intercept-tcp", replace: true, signals: true });

// ip netns add client; ip netns add server
// ip link add eth0 netns client type veth peer name eth0 netns server
// ip -n client link set eth0 up; ip -n client address add 192.168.123.1/24 dev eth0
// ip -n server link set eth0 up; ip -n server address add 192.168.123.2/24 dev eth0
const client = NetNs.create("client", { scope: lab });
const server = NetNs.create("server", { scope: lab });
const link = Veth.create({
  scope: lab,
  name: "eth0",
  netns: client,
  up: true,
  addresses: ["192.168.123.1/24"],
  peer: { name: "eth0", netns: server, up: true, addresses: [`${SERVER}/24`] },
});
await lab.ready();
printLinks(lab);

// Each frame is as on a wire, though the kernel hands the link many segments at once.
let segments = 0;
let lost: { readonly sequence: number; readonly at: number } | undefined;
let retransmitted: number | undefined;
const interception = link.intercept((frame) => {
  const { tcp, payload } = frame.packet;
  if (!tcp || payload.length === 0) return;
  segments++;
  if (segments === 3) {
    lost = { sequence: tcp.sequence, at: performance.now() };
    console.log(`lost:          ${format(frame.bytes)}`);
    frame.drop();
  } else if (tcp.sequence === lost?.sequence && retransmitted === undefined) {
    retransmitted = performance.now() - lost.at;
    console.log(`retransmitted: ${format(frame.bytes)}`);
  }
}, { filter: { protocol: "tcp", dstPort: 5000 }, direction: "out" });

using listener = server.listen({ hostname: SERVER, port: 5000 });
const receiving = (async () => {
  using connection = await listener.accept();
  return new Uint8Array(await new Response(connection.readable).arrayBuffer());
})();
const sent = crypto.getRandomValues(new Uint8Array(20_000));
const connection = await client.connect({ hostname: SERVER, port: 5000 });
const writer = connection.writable.getWriter();
await writer.write(sent);
await writer.close();
const received = await receiving;
interception.close();
console.log(
  `\n${segments} segments; the third one came again after ${retransmitted?.toFixed(1)} ms`,
);

await finish({
  checks: {
    "the third segment was lost": lost !== undefined,
    "it was sent again": retransmitted !== undefined,
    "all bytes have arrived": received.length === sent.length &&
      received.every((byte, i) => byte === sent[i]),
  },
  keep,
  look: "ip netns exec client tcpdump -nni eth0 tcp",
});
