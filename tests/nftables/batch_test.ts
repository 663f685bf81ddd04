// Changes of a ruleset as a whole: refused, broken off, beside those of others, large.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { BatchError, NetlinkError, NetNs } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import { interceptSends } from "../../src/netlink/socket.ts";
import { OURS } from "./cases.ts";
import { json, listed, nft } from "./nft.ts";

Deno.test("A refused entry leaves everything as it was, and the error names it", () => {
  using netns = NetNs.create();
  nft(netns, "add table inet there");
  const before = listed(netns);
  const error = assertThrows(() =>
    netns.nftables.add([
      { family: "inet", name: "a", chains: [{ name: "c", rules: [{ verdict: "drop" }] }] },
      { family: "inet", name: "there" },
    ]), BatchError);
  assertEquals([error.code, error.index, error.refused, error.total], ["EEXIST", 1, 1, 2]);
  assertEquals(error.operation, 'add table inet "there"');
  assertEquals(listed(netns), before);
  const rule = assertThrows(
    () =>
      netns.nftables.add({
        family: "inet",
        name: "a",
        chains: [{ name: "c", rules: [{ verdict: "jump nowhere" }] }],
      }),
    NetlinkError,
  );
  assertEquals(
    [rule.code, rule.operation],
    ["ENOENT", `add rule 'jump nowhere' to chain "c" of table inet "a"`],
  );
  assertEquals(listed(netns), before);
});

Deno.test("A fault at any message of a batch leaves the ruleset as it was", () => {
  using netns = NetNs.create();
  nft(netns, "table inet filter { chain c { type filter hook input priority 0; accept; }; }");
  const before = json(netns);
  let messages = 0;
  let broken = 0;
  const each = (visit: (view: DataView, at: number) => void) =>
    interceptSends((bytes, length) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, length);
      for (let at = 0; at < length; at += (view.getUint32(at, true) + 3) & ~3) visit(view, at);
    });
  {
    using _count = each(() => messages++);
    netns.nftables.replace(OURS, { all: true });
  }
  nft(
    netns,
    "flush ruleset; table inet filter { chain c { type filter hook input priority 0; accept; }; }",
  );
  assert(messages > 20, `${messages} messages`);
  for (let n = 1; n <= messages; n++) {
    let count = 0;
    const fault = each((view, at) => {
      if (++count === n) view.setUint16(at + 4, 0x7f0, true);
    });
    try {
      assertThrows(() => netns.nftables.replace(OURS, { all: true }), NetlinkError);
      broken++;
    } finally {
      fault[Symbol.dispose]();
    }
    assertEquals(json(netns), before, `message ${n}`);
  }
  assertEquals(broken, messages);
  netns.nftables.replace(OURS, { all: true }); // and it still works
});

Deno.test("flush() of some tables reads again when others change the ruleset meanwhile", () => {
  using netns = NetNs.create();
  nft(netns, "add table ip a; add table inet b");
  let changes = 0;
  {
    using _hook = interceptSends((bytes) => {
      // NFNL_MSG_BATCH_BEGIN: between the reading and the batch.
      if (new DataView(bytes.buffer).getUint16(4, true) === 16 && changes++ < 3) {
        nft(netns, `add table ip other${changes}`);
      }
    });
    netns.nftables.flush({ family: "ip" });
  }
  assertEquals(changes, 4);
  assertEquals(netns.nftables.list().map(({ name }) => name), ["b"]);
});

Deno.test("flush() of some tables gives up when others change the ruleset each time", () => {
  using netns = NetNs.create();
  nft(netns, "add table ip a");
  let changes = 0;
  using _hook = interceptSends((bytes) => {
    if (new DataView(bytes.buffer).getUint16(4, true) === 16) {
      nft(netns, `add table ip x${++changes}`);
    }
  });
  const error = assertThrows(() => netns.nftables.flush({ family: "ip" }), NetlinkError);
  assertEquals([error.code, changes], ["ERESTART", 8]);
});

Deno.test("list() reads again when others change the ruleset meanwhile", () => {
  using netns = NetNs.create();
  nft(netns, "add table ip a");
  let changes = 0;
  {
    using _hook = interceptSends((bytes) => {
      const type = new DataView(bytes.buffer).getUint16(4, true);
      // NFT_MSG_GETRULE: after the tables.
      if (type === (10 << 8 | 7) && changes++ < 2) nft(netns, `add table ip other${changes}`);
    });
    assertEquals(netns.nftables.list().map(({ name }) => name), ["a", "other1", "other2"]);
  }
});

Deno.test("A batch of thousands of elements and rules is one message", () => {
  using netns = NetNs.create();
  const addresses = Array.from({ length: 5000 }, (_, i) => `10.${i >> 8}.${i & 255}.1`);
  const rules = Array.from(
    { length: 1000 },
    (_, i) => ({ "tcp dport": i + 1, counter: true as const }),
  );
  let sends = 0;
  {
    using _hook = interceptSends(() => void sends++);
    netns.nftables.add({
      family: "inet",
      name: "large",
      sets: [{ name: "many", type: "ipv4_addr", elements: addresses }],
      chains: [{ name: "c", rules }],
    });
  }
  assertEquals(sends, 1);
  const [table] = netns.nftables.list();
  assertEquals(table!.sets[0]!.elements!.length, 5000);
  assertEquals(table!.chains[0]!.rules.length, 1000);
});
