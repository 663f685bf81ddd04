/**
 * A network card moves into a namespace and comes home: also when the program fails while it has the
 * card, and on Ctrl-C.
 *
 *     deno run -A examples/local_breakout.ts [--nic NAME] [--keep]
 *
 * Without --nic, one end of a veth pair takes the place of the card; the other end is a host.
 */
import { Link, NetNs, Scope, Veth } from "@netloom/netloom";
import { checkCard } from "./_card.ts";
import { finish, options, pingLine } from "./_recipe.ts";
import { printTable } from "./_table.ts";

const { keep, nic } = options("A network card moves into a namespace, and comes home", {
  own: { nic: { value: "NAME", help: "the card; default: a veth end as a stand-in" } },
});
using home = NetNs.current();
if (nic !== undefined) checkCard(home, nic);
await using lab = Scope.open({ name: "netloom-local_breakout", replace: true, signals: true });

/** The end of a veth pair in place of the card, and the host behind it. */
function standIn(): string {
  const outside = NetNs.create("outside", { scope: lab });
  const peer = { name: "eth0", netns: outside, up: true, addresses: ["192.168.123.2/24"] };
  Veth.create({ scope: lab, name: "nic", up: true, addresses: ["192.0.2.1/24"], peer });
  return "nic";
}
const card = Link.get(nic ?? standIn());

/** The state of the card. */
function look(): { netns: string; state: string; mac: string; addresses: string } {
  const { up, mac = "" } = card.read();
  const global = card.addresses.list().filter(({ scope }) => scope === "global");
  const addresses = global.map(({ address }) => address).join(" ");
  return {
    netns: card.ref.netnsName ?? "(this one)",
    state: up ? "up" : "down",
    mac,
    addresses,
  };
}

/** Moves the card into a namespace. Disposal moves it home, with its addresses and its state. */
function lend(to: NetNs): Disposable {
  const { state, addresses } = look();
  const bringHome = () => {
    if (card.ref.inode === home.inode) return;
    // ip -n breakout link set NIC netns 1
    card.move(home);
    if (state === "up") card.up();
    card.addresses.add(addresses.split(" ").filter(Boolean));
  };
  // ip link set NIC netns breakout
  card.move(to);
  return lab.use({ [Symbol.dispose]: bringHome }); // by the scope too: Ctrl-C runs no `using`
}

// ip netns add breakout
const breakout = NetNs.create("breakout", { scope: lab });
const seen = { before: look(), lent: look(), after: look() };
let used = false;

/** Uses the card in the namespace, and fails. */
async function useCard(): Promise<void> {
  using _lent = lend(breakout);
  // ip -n breakout address add 192.168.123.1/24 dev NIC; ip -n breakout link set NIC up
  card.up().addresses.add("192.168.123.1/24");
  await card.waitFor(({ carrier }) => carrier === true, { timeout: 5000 });
  seen.lent = look();
  // ip netns exec breakout ping -c 3 -i 0.2 192.168.123.2
  const result = await breakout.ping("192.168.123.2", { count: 3, interval: 200 });
  console.log(pingLine(result));
  const asked = breakout.neighbors.list().some(({ address }) => address === result.address);
  used = nic ? asked : result.received > 0;
  throw new Error("The program fails while it has the card");
}
await useCard().catch((error: Error) => console.log(`${error.message}\n`));
seen.after = look();
printTable(Object.entries(seen).map(([when, it]) => ({ when, card: card.name, ...it })));
if (keep) lend(breakout);

await finish({
  checks: {
    [nic ? "the namespace looks for its neighbor on the card" : "the namespace uses the card"]:
      used,
    "after the failure it is home, as it was":
      JSON.stringify(seen.after) === JSON.stringify(seen.before),
  },
  keep,
  look: "ip -n breakout address",
});
