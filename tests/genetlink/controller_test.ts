import { assertEquals, assertThrows } from "@std/assert";
import { getFamily } from "../../src/genetlink/controller.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { NETLINK } from "../../src/netlink/message.ts";
import { NetlinkError } from "../../src/netlink/error.ts";
import { NetNs } from "../../mod.ts";
import { bodyOf, readReply, run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** `genl ctrl get name nlctrl` as the kernel answered it, without the operations. */
const NLCTRL = `
  01020000
  0b000200 6e6c6374 726c0000 06000100 10000000 08000300 02000000
  08000400 00000000 08000500 0a000000
  1c000700 18000100 08000200 10000000 0b000100 6e6f7469 66790000`;

Deno.test("getFamily() asks for a family by its name", () => {
  assertEquals(bodyOf(getFamily("nlctrl")), "03010000 0b000200 6e6c6374 726c0000");
});

Deno.test("getFamily() reads a family with its multicast groups", () => {
  assertEquals(readReply(getFamily("nlctrl"), NLCTRL), {
    name: "nlctrl",
    id: 16,
    version: 2,
    headerSize: 0,
    maxAttribute: 10,
    groups: [{ id: 16, name: "notify" }],
  });
});

Deno.test("getFamily() refuses a name that is too long", () => {
  assertThrows(() => bodyOf(getFamily("sixteen_bytes_xx")), RangeError, "at most 15 bytes");
});

test("getFamily() finds the families that genl finds", () => {
  using netns = NetNs.create();
  const connection = connectionTo(netns.ref, NETLINK.GENERIC);
  const lines = run(netns.ref, "genl ctrl list").split("\n").filter((it) => it.startsWith("Name:"));
  assertEquals(lines.length > 0, true);
  for (const line of lines) {
    const [, name] = /^Name: (\S+)/.exec(line)!;
    const { id } = connection.request(getFamily(name!));
    assertEquals(
      `0x${id.toString(16)}`,
      /ID: (\S+)/.exec(run(netns.ref, `genl ctrl get name ${name}`))![1],
    );
  }
});

test("getFamily() names the family that does not exist", () => {
  using netns = NetNs.create();
  const connection = connectionTo(netns.ref, NETLINK.GENERIC);
  const error = assertThrows(
    () => connection.request(getFamily("netloom_none")),
    NetlinkError,
    `find the generic netlink family "netloom_none" in ${netns.ref.label}: ` +
      "No such file or directory (ENOENT)",
  );
  assertEquals(error.code, "ENOENT");
});
