/**
 * A program on a link rewrites the answers of a DNS server: of all names the client learns another address.
 *
 *     deno run -A examples/intercept_dns.ts [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/intercept_dns.ts
 */
import { NetNs, Scope, UdpSocket, Veth } from "@netloom/netloom";
import "@netloom/netloom/tc";
import {
  buildPacket,
  Dns,
  dns,
  DNS_TYPE,
  ethernet,
  format,
  ipv4,
  udp,
} from "@netloom/netloom/packet";
import { finish, options, printLinks } from "./_recipe.ts";

const { keep } = options("The answers of a DNS server, rewritten on the way to the client");
const [CLIENT, SERVER] = ["192.168.123.1", "192.168.123.2"] as const;
const [TRUE, FALSE] = ["203.0.113.7", "198.51.100.66"] as const;

await using lab = Scope.open({ name: "netloom-intercept-dns", replace: true, signals: true });

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
  addresses: [`${CLIENT}/24`],
  peer: { name: "eth0", netns: server, up: true, addresses: [`${SERVER}/24`] },
});
await lab.ready();
printLinks(lab);

// The server answers each question with the same address.
using socket = UdpSocket.open({ netns: server, local: { address: SERVER, port: 53 } });
const serving = (async () => {
  const buffer = new Uint8Array(512);
  while (!socket.closed) {
    const { length, from } = await socket.readFrom(buffer);
    const query = Dns.parse(buffer, 0, length);
    if (query) await socket.writeTo(buildPacket(answerTo(query, TRUE)), from);
  }
})().catch(() => {}); // until the socket is closed

/** The answer to all questions of a query. */
function answerTo({ id, questions }: Dns, address: string) {
  const answers = questions.map(({ name }) => ({ name, type: DNS_TYPE.A, data: { address } }));
  return dns({ id, response: true, questions, answers });
}

/** Asks for the address of a name. */
async function lookUp(name: string): Promise<string | undefined> {
  using asking = UdpSocket.open({ netns: client, remote: { address: SERVER, port: 53 } });
  const question = { name, type: DNS_TYPE.A };
  await asking.write(buildPacket(dns({ id: 1, questions: [question] })));
  const buffer = new Uint8Array(512);
  const length = await asking.read(buffer, { signal: AbortSignal.timeout(5000) });
  const [answer] = Dns.parse(buffer, 0, length)?.answers ?? [];
  return answer && "address" in answer.data ? answer.data.address : undefined;
}

const direct = await lookUp("www.example.com");

// Only answers of the server leave the kernel: they come in by the client's link, from port 53.
const interception = link.intercept((frame) => {
  const { ethernet: mac, ipv4: ip, udp: ports, dns: message } = frame.packet;
  if (!mac || !ip || !ports || !message?.response) return;
  console.log(`${format(frame.bytes)}\n  becomes`);
  frame.replace(buildPacket(
    ethernet({ source: mac.source, destination: mac.destination }),
    ipv4({ source: ip.source, destination: ip.destination }),
    udp({ sourcePort: ports.sourcePort, destinationPort: ports.destinationPort }),
    answerTo(message, FALSE),
  ));
  console.log(`${format(frame.bytes)}`);
}, { filter: { protocol: "udp", srcPort: 53 }, direction: "in" });
const rewritten = await lookUp("www.example.com");
interception.close();
const restored = await lookUp("www.example.com");

socket.close();
await serving;
await finish({
  checks: {
    [`without the program the name leads to ${TRUE}`]: direct === TRUE,
    [`with the program it leads to ${FALSE}`]: rewritten === FALSE,
    "afterwards it leads to the first address again": restored === TRUE,
  },
  keep,
  look: "ip netns exec client tcpdump -nni eth0",
});
