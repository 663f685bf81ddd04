import { assertEquals, assertThrows } from "@std/assert";
import { source, Writer } from "../../src/netlink/bytes.ts";
import { linkAddress } from "../../src/rtnetlink/fields.ts";
import { getLink } from "../../src/rtnetlink/link.ts";
import { fromHex, ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { lacking, Testbed } from "./testbed.ts";

const field = linkAddress(1);

function written(text: string): Uint8Array<ArrayBuffer> {
  const writer = new Writer(64);
  field.write(writer, text, "mac");
  return writer.bytes.slice(0, writer.length) as Uint8Array<ArrayBuffer>;
}

// As `ll_addr_n2a` of iproute2 shows them.
const ADDRESSES: [text: string, bytes: string][] = [
  ["5e", "5e"],
  ["192.0.2.1", "c0000201"],
  ["02:00:00:00:00:01", "020000000001"],
  ["02:00:00:00:00:00:00:01", "0200000000000001"],
  ["2001:db8::1", "20010db8000000000000000000000001"],
  [
    "80:00:02:08:fe:80:00:00:00:00:00:00:02:02:c9:03:00:00:00:01",
    "80000208fe800000000000000202c90300000001",
  ],
];

for (const [text, bytes] of ADDRESSES) {
  Deno.test(`A link-layer address of ${bytes.length / 2} bytes is read in a form that can be set: ${text}`, () => {
    const own = fromHex(bytes);
    assertEquals(field.read(source(own), 0, own.length), text);
    assertEquals(written(text), own);
  });
}

Deno.test("A link-layer address may be spelled with dashes, capitals and single digits", () => {
  for (const text of ["2:0:0:0:0:d", "02-00-00-00-00-0D", "02:00:00:00:00:0d"]) {
    assertEquals(written(text), fromHex("02000000000d"));
  }
  assertEquals(written("c0:00:02:01"), written("192.0.2.1"));
});

Deno.test("A link-layer address of a length that no link has is refused", () => {
  for (
    const text of ["", "02:00:00:00:00", "02:00:00:00:00:0g", "02:00:00:00:00:01:", "1.2.3", "x"]
  ) {
    assertThrows(() => written(text), TypeError, `mac: "${text}" is not a link-layer address`);
  }
  assertThrows(() => written(7 as unknown as string), TypeError, "mac: 7 is not");
});

const GRE = "ip link add g0 type gre local 192.0.2.1 remote 192.0.2.2";
test("The addresses of a tunnel are read as iproute2 shows them", { lacks: lacking(GRE) }, () => {
  using testbed = new Testbed();
  run(testbed.netns, GRE);
  const [shown] = ip(testbed.netns, "-j link show dev g0");
  const { mac, broadcast } = testbed.connection.request(getLink("g0"));
  assertEquals([mac, broadcast], [shown!.address, shown!.broadcast]);
  assertEquals([mac, broadcast], ["192.0.2.1", "192.0.2.2"]);
});
