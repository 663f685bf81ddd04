/**
 * A firewall on a server: what it lets in, what it refuses, and what it counts; a set of blocked
 * addresses that changes while it works; and a loss of half of the packets.
 *
 *     deno run -A examples/firewall.ts [--keep]
 */
import { NetNs, Scope, Veth } from "@netloom/netloom";
import "@netloom/netloom/nftables";
import { finish, options } from "./_recipe.ts";
import { printTable } from "./_table.ts";

const { keep } = options("A firewall: rules, a set of blocked addresses, a loss");
await using lab = Scope.open({ name: "netloom-firewall", replace: true, signals: true });

// ip netns add client; ip netns add server
const client = NetNs.create("client", { scope: lab });
const server = NetNs.create("server", { scope: lab });
// ip link add eth0 netns client type veth peer name eth0 netns server
Veth.create({
  scope: lab,
  name: "eth0",
  netns: client,
  up: true,
  addresses: ["10.0.0.1/24"],
  peer: { name: "eth0", netns: server, up: true, addresses: ["10.0.0.2/24"] },
});
await lab.ready();
await using _web = server.serve({ port: 80, onListen: () => {} }, () => new Response("hello"));
await using _other = server.serve({ port: 81, onListen: () => {} }, () => new Response("hello"));

/** Whether the client gets an answer from a port of the server within some milliseconds. */
async function answers(port: number, timeout = 5000): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(timeout);
    return (await (await client.fetch(`http://10.0.0.2:${port}/`, { signal })).text()) === "hello";
  } catch {
    return false;
  }
}
const pings = async (count = 1) =>
  (await client.ping("10.0.0.2", { count, interval: 0, timeout: 300, concurrency: 50 })).received;

const open = { web: await answers(80), other: await answers(81) };

// All of it in one batch, as a file for `nft -f`.
server.nftables.add({
  family: "inet",
  name: "filter",
  sets: [{ name: "blocked", type: "ipv4_addr", flags: ["interval"] }],
  chains: [{
    name: "input",
    hook: "input",
    policy: "drop",
    rules: [
      { "ip saddr": "@blocked", counter: true, verdict: "drop" },
      { "ct state": ["established", "related"], verdict: "accept" },
      { "tcp dport": [22, 80], counter: true, verdict: "accept" },
      { "icmp type": "echo-request", counter: true, verdict: "accept" },
      { "tcp dport": "1-1023", counter: true, reject: "tcp reset" },
    ],
  }],
});
const closed = { web: await answers(80), other: await answers(81), ping: await pings() };

// nft add element inet filter blocked { 10.0.0.0/25 }
const blocked = { family: "inet", table: "filter", set: "blocked" } as const;
server.nftables.elements.add({ ...blocked, elements: ["10.0.0.0/25"] });
const shut = { web: await answers(80, 500), ping: await pings() };
server.nftables.elements.flush(blocked);

// nft insert rule inet filter input icmp type echo-request numgen random mod 100 < 50 drop
server.nftables.rules.add({
  family: "inet",
  table: "filter",
  chain: "input",
  first: true,
  rule: {
    "icmp type": "echo-request",
    numgen: { mode: "random", mod: 100, match: { lt: 50 } },
    counter: true,
    verdict: "drop",
  },
});
const lossy = await pings(400);
console.log(`with a loss of 50 %: ${lossy} of 400 replies\n`);

printTable(server.nftables.rules.list().map(({ text }) => ({ rule: text })));
console.log();

await finish({
  checks: {
    "without a firewall both ports answer": open.web && open.other,
    "the firewall lets the web server answer, and pings": closed.web && closed.ping === 1,
    "the other port is refused": !closed.other,
    "a blocked address gets no answer": !shut.web && shut.ping === 0,
    "about half of the pings are lost": lossy > 130 && lossy < 270,
  },
  keep,
  look: "ip netns exec server nft list ruleset",
});
