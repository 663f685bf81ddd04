/**
 * A link that is slower than it could be: one rate for all by tbf, then two classes by htb that share
 * a rate, with a filter that tells the packets apart. The throughput is measured each time.
 *
 *     deno run -A examples/shaping.ts [--rate RATE] [--keep]
 */
import { NetNs, Scope, Veth } from "@netloom/netloom";
import { parseRate } from "@netloom/netloom/tc";
import { fail, finish, options } from "./_recipe.ts";
import { printTable } from "./_table.ts";
import { type Flow, throughput } from "./_throughput.ts";

const { keep, rate: word = "20mbit" } = options("A link that is slower than it could be", {
  needs: ["veth", "qdisc tbf", "qdisc htb"],
  own: { rate: { value: "RATE", help: "the rate: 20mbit is the default" } },
});
const rate = rateOf(word);

await using lab = Scope.open({ name: "netloom-shaping", replace: true, signals: true });

// ip netns add ns1; ip netns add ns2
// ip link add tap1 netns ns1 up type veth peer name tap2 netns ns2
// ip -n ns1 address add 192.168.123.1/24 dev tap1
// ip -n ns2 link set tap2 up; ip -n ns2 address add 192.168.123.2/24 dev tap2
const ns1 = NetNs.create("ns1", { scope: lab });
const ns2 = NetNs.create("ns2", { scope: lab });
const link = Veth.create({
  scope: lab,
  name: "tap1",
  netns: ns1,
  up: true,
  addresses: ["192.168.123.1/24"],
  peer: { name: "tap2", netns: ns2, up: true, addresses: ["192.168.123.2/24"] },
});
await lab.ready();
const flow = (port: number): Flow => ({ from: ns1, to: ns2, address: "192.168.123.2", port });
const rows: Record<string, string>[] = [];
const measure = async (what: string, ...ports: number[]) => {
  const rates = await throughput(ports.map(flow));
  for (const [i, port] of ports.entries()) {
    rows.push({ what, port: String(port), "Mbit/s": (rates[i]! / 1e6).toFixed(1) });
  }
  return rates;
};

const [free] = await measure("no limit", 5001);

// tc -n ns1 qdisc add dev tap1 root tbf rate 20mbit burst 16kb latency 50ms
link.qdiscs.add({ kind: "tbf", options: { rate, burst: "16kb", latency: "50ms" } });
const [limited] = await measure("tbf", 5001);

// tc -n ns1 qdisc replace dev tap1 root handle 1: htb default 20
// tc -n ns1 class add dev tap1 parent 1: classid 1:1 htb rate 20mbit
// tc -n ns1 class add dev tap1 parent 1:1 classid 1:10 htb rate 15mbit ceil 20mbit
// tc -n ns1 class add dev tap1 parent 1:1 classid 1:20 htb rate 5mbit ceil 20mbit
link.qdiscs.replace({ kind: "htb", handle: "1:", options: { default: "20" } });
link.classes.add([
  { kind: "htb", classid: "1:1", options: { rate } },
  { kind: "htb", classid: "1:10", parent: "1:1", options: { rate: rate * 3 / 4, ceil: rate } },
  { kind: "htb", classid: "1:20", parent: "1:1", options: { rate: rate / 4, ceil: rate } },
]);
// tc -n ns1 filter add dev tap1 parent 1: protocol ip prio 1 u32 match u16 5001 0xffff at 22 classid 1:10
link.filters.add({
  kind: "u32",
  parent: "1:",
  protocol: "ip",
  priority: 1,
  options: { match: [{ offset: 20, value: 5001, mask: 0xffff }], classid: "1:10" },
});
const [preferred, other] = await measure("htb, both at once", 5001, 5002);
const [alone] = await measure("htb, the second alone", 5002);

printTable(rows);
const most = rate * 1.1;
await finish({
  checks: {
    "the link can do more than the rate": free! > most,
    "tbf: at most the rate": limited! < most,
    "htb: both together have at most the rate": preferred! + other! < most,
    "htb: the first has more, as its class says": preferred! > other!,
    "htb: alone, the second borrows what the first leaves": alone! > rate / 3 && alone! < most,
  },
  keep,
  look: "tc -n ns1 -s class show dev tap1",
});

function rateOf(word: string): number {
  try {
    const rate = parseRate(word, "--rate");
    if (rate >= 1e6 && rate <= 100e6) return rate;
  } catch {
    // The same line for text that is no rate.
  }
  fail(`--rate takes a rate from 1mbit to 100mbit: got ${JSON.stringify(word)}`);
}
