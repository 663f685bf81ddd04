/**
 * A link between two namespaces made slow and lossy: a ping across it at each step. The kernel does it where it has
 * netem, otherwise this process.
 *
 *     deno run -A examples/impair.ts [--engine kernel|user] [--keep]
 *
 * Needs root; as an ordinary user: unshare -Urmn deno run -A examples/impair.ts
 */
import { NetNs, Scope, UnsupportedError, Veth } from "@netloom/netloom";
import "@netloom/netloom/tc";
import { fail, finish, options, pingLine, printLinks } from "./_recipe.ts";

const { keep, engine } = options("A link that is slow in one direction and loses packets", {
  own: { engine: { value: "kernel|user", help: "the one that impairs; default: what there is" } },
});
if (engine !== undefined && engine !== "kernel" && engine !== "user") {
  fail(`--engine must be kernel or user: got ${engine}`);
}

await using lab = Scope.open({ name: "netloom-impair", replace: true, signals: true });
const ns1 = NetNs.create("ns1", { scope: lab });
const ns2 = NetNs.create("ns2", { scope: lab });
const veth = Veth.create({
  scope: lab,
  name: "tap1",
  netns: ns1,
  up: true,
  addresses: ["192.168.123.1/24"],
  peer: { name: "tap2", netns: ns2, up: true, addresses: ["192.168.123.2/24"] },
});
await lab.ready();
printLinks(lab);

/** Pings, and prints what the link does and what came of it. */
async function look(title: string) {
  const result = await ns1.ping("192.168.123.2", { count: 20, interval: 20, timeout: 500 });
  console.log(`${title}\n  ${pingLine(result)}`);
  return result;
}

const before = await look("not impaired");

// tc -n ns1 qdisc add dev tap1 root netem delay 30ms
// tc -n ns2 qdisc add dev tap2 root netem delay 10ms
try {
  veth.impair({ out: { delay: "30ms" }, in: { delay: "10ms" }, ...(engine && { engine }) });
} catch (error) {
  if (error instanceof UnsupportedError) fail(error.message, 77);
  throw error;
}
const slow = await look(`30 ms there and 10 ms back, by the ${veth.impairment()!.engine} engine`);

// tc -n ns1 qdisc change dev tap1 root netem delay 30ms loss 50% seed 7
veth.impair({ out: { loss: "50%", seed: 7 } });
const lossy = await look("the same, and half of the packets there are lost");

// The ping is not TCP: it is free.
veth.impair({ match: { protocol: "tcp" } });
const other = await look("the same for TCP alone");

// tc -n ns1 qdisc delete dev tap1 root; tc -n ns2 qdisc delete dev tap2 root
veth.impair(null);
const after = await look("cleared");

await finish({
  checks: {
    "the round trip took 40 ms longer": slow.min! >= 40 && slow.received === 20,
    "some packets were lost, not all": lossy.received > 0 && lossy.received < 20,
    "other packets than those of TCP were free": other.received === 20 && other.min! < 40,
    "the link is as before": after.received === 20 && before.received === 20 && after.min! < 40,
  },
  keep,
  look: "ip netns exec ns1 tc qdisc show",
});
