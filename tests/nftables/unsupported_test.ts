// Parts that the kernel lacks: the error names what would bring them.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetlinkError, NetNs, UnsupportedError } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import { interceptSends } from "../../src/netlink/socket.ts";
import type { Rule } from "../../src/nftables/mod.ts";
import { listed, nft } from "./nft.ts";

/** Whether nft can set a rule here. */
function can(netns: NetNs, line: string): boolean {
  try {
    nft(netns, `add rule bridge probe c ${line}`);
    return true;
  } catch {
    return false;
  }
}

/** The error of a rule, or `undefined`. */
function refusal(netns: NetNs, rule: Rule): UnsupportedError | undefined {
  try {
    netns.nftables.add({
      family: "bridge",
      name: "t",
      chains: [{ name: "c", hook: "prerouting", rules: [rule] }],
    });
  } catch (error) {
    if (error instanceof UnsupportedError) return error;
    throw error;
  }
  return undefined;
}

for (
  const [rule, line, config, module] of [
    [{ queue: 1 }, "queue num 1", "CONFIG_NFT_QUEUE", "nft_queue"],
    [{ "meta ibrname": "x" }, "meta ibrname x", "CONFIG_NFT_BRIDGE_META", "nft_meta_bridge"],
    [{ limit: "1/second" }, "limit rate 1/second", "CONFIG_NFT_LIMIT", "nft_limit"],
  ] as const
) {
  Deno.test(`A rule with "${line}" is set, or the error names ${config}`, () => {
    using netns = NetNs.create();
    nft(netns, "add table bridge probe; add chain bridge probe c");
    const has = can(netns, line);
    nft(netns, "flush ruleset");
    const error = refusal(netns, rule);
    if (has) return assertEquals(error, undefined);
    assert(error);
    assertEquals([error.config, error.module], [config, module]);
    assert(error.message.includes(config), error.message);
    assertEquals(listed(netns), "", "asking leaves nothing");
  });
}

Deno.test("An expression that no kernel has is named", () => {
  using netns = NetNs.create();
  const expression = { name: "unknown" as const, kernelName: "weather", data: new Uint8Array(0) };
  const error = refusal(netns, { expressions: [expression] })!;
  assertEquals([error.kind, error.config], ["weather", undefined]);
});

Deno.test("A rule that is wrong for another reason stays the kernel's refusal", () => {
  using netns = NetNs.create();
  const add = () =>
    netns.nftables.add({
      family: "inet",
      name: "t",
      chains: [{ name: "c", rules: [{ "ip saddr": "@none", counter: true }] }],
    });
  const error = assertThrows(add, NetlinkError);
  assertEquals([error.name, error.code], ["NetlinkError", "ENOENT"]);
});

Deno.test("Without nftables in the kernel, calls name the option that brings it", () => {
  using netns = NetNs.create();
  // NFNL_SUBSYS_CTHELPER, which has no batches, in place of nftables.
  using _hook = interceptSends((bytes, length) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    for (let at = 0; at < length; at += (view.getUint32(at, true) + 3) & ~3) {
      const type = view.getUint16(at + 4, true);
      if (type === 16 || type === 17) view.setUint16(at + 18, 9, false);
      else if (type >> 8 === 10) view.setUint8(at + 5, 9);
    }
  });
  for (
    const call of [
      () => netns.nftables.list(),
      () => netns.nftables.add({ family: "inet", name: "t" }),
    ]
  ) {
    const error = assertThrows(call, UnsupportedError);
    assertEquals([error.kind, error.config, error.module], [
      "nftables",
      "CONFIG_NF_TABLES",
      "nf_tables",
    ]);
  }
});
