// The events of a ruleset, of nft's changes and of netloom's.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { NetNs } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import { interceptSends } from "../../src/netlink/socket.ts";
import type { NftChange, NftChangeEvent, NftEvent } from "../../src/nftables/mod.ts";
import { nft } from "./nft.ts";

async function next(events: AsyncIterator<NftEvent>): Promise<NftEvent> {
  const { value, done } = await events.next();
  assert(!done);
  return value;
}

async function change(events: AsyncIterator<NftEvent>): Promise<NftChangeEvent> {
  const event = await next(events);
  assert(event.type === "change", event.type);
  return event;
}

/** A change as a line. */
function line(change: NftChange): string {
  const { action, type } = change;
  switch (type) {
    case "table":
      return `${action} table ${change.family} ${change.table}`;
    case "chain":
      return `${action} chain ${change.chain.name}`;
    case "rule":
      return `${action} rule ${change.rule.text}`;
    case "set":
      return `${action} set ${change.set.name} ${change.set.type}`;
    case "elements":
      return `${action} elements ${change.set} ${change.elements.join(" ")}`;
    default:
      return `${action} ${type} ${change.name}`;
  }
}

Deno.test("nftables.monitor() begins with the tables, then each batch is one event", async () => {
  using netns = NetNs.create();
  nft(netns, "add table inet there");
  await using events = netns.nftables.monitor();
  const first = await next(events);
  assert(first.type === "snapshot");
  assertEquals(first.tables.map(({ name }) => name), ["there"]);

  nft(
    netns,
    `table inet t {
      counter n { }
      set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }
      chain c { type filter hook input priority 0; tcp dport { 22, 80 } accept; }
    }`,
  );
  const added = await change(events);
  assertEquals(added.process, "nft");
  assert(added.pid > 0 && added.generation > first.generation);
  assertEquals(added.changes.map(line).sort(), [
    "add chain c",
    "add elements s 10.0.0.0/8",
    "add object n",
    "add rule tcp dport { 22, 80 } accept",
    "add set s ipv4_addr",
    "add table inet t",
  ]);

  const rules = netns.nftables.rules;
  const [rule] = rules.list();
  rules.replace({ ...rule!, handle: rule!.handle });
  netns.nftables.elements.delete({
    family: "inet",
    table: "t",
    set: "s",
    elements: ["10.0.0.0/8"],
  });
  netns.nftables.delete({ family: "inet", name: "t" });
  assertEquals((await change(events)).changes.map(line).sort(), [
    "add rule tcp dport { 22, 80 } accept",
    "delete rule tcp dport { 22, 80 } accept",
  ]);
  assertEquals((await change(events)).changes.map(line), ["delete elements s 10.0.0.0/8"]);
  assertEquals((await change(events)).changes.map(line).sort(), [
    "delete chain c",
    "delete object n",
    "delete rule tcp dport { 22, 80 } accept",
    "delete set s ipv4_addr",
    "delete table inet t",
  ]);
});

Deno.test("A change during the first reading is in the snapshot, and no event", async () => {
  using netns = NetNs.create();
  let changes = 0;
  const hook = interceptSends((bytes) => {
    // NFT_MSG_GETGEN: the monitor listens already.
    if (new DataView(bytes.buffer).getUint16(4, true) === (10 << 8 | 16) && changes++ === 0) {
      nft(netns, "add table ip early");
    }
  });
  await using events = netns.nftables.monitor();
  hook[Symbol.dispose]();
  const first = await next(events);
  assert(first.type === "snapshot");
  assertEquals(first.tables.map(({ name }) => name), ["early"]);
  nft(netns, "add table ip late");
  assertEquals((await change(events)).changes.map(line), ["add table ip late"]);
});

Deno.test("A refused batch is no event", async () => {
  using netns = NetNs.create();
  await using events = netns.nftables.monitor();
  await next(events);
  const table = { family: "ip", name: "t" } as const;
  netns.nftables.add(table);
  try {
    netns.nftables.add([{ family: "ip", name: "other" }, table]);
  } catch {
    // as it should be
  }
  netns.nftables.delete(table);
  assertEquals((await change(events)).changes.map(line), ["add table ip t"]);
  assertEquals((await change(events)).changes.map(line), ["delete table ip t"]);
});

Deno.test("A monitor ends with its signal, with close(), and with the namespace's handle", async () => {
  const netns = NetNs.create();
  const abort = new AbortController();
  const one = netns.nftables.monitor({ signal: abort.signal });
  const two = netns.nftables.monitor();
  const three = netns.nftables.monitor();
  for (const it of [one, two, three]) await next(it);
  const pending = [one.next(), two.next(), three.next()] as const;
  abort.abort(new Error("enough"));
  await assertRejects(() => pending[0], Error, "enough");
  two.close();
  assertEquals((await pending[1]).done, true);
  netns[Symbol.dispose]();
  assertEquals((await pending[2]).done, true);
});
