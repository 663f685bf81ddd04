import { assertEquals, assertThrows } from "@std/assert";
import { source, Writer } from "../../src/netlink/bytes.ts";
import { NetlinkDecodeError } from "../../src/netlink/error.ts";
import { forEachMessage, type Header, writeMessage } from "../../src/netlink/message.ts";
import { fromHex, toHex } from "../helpers.ts";
import { concat, message } from "./fake_socket.ts";
import { newToy } from "./toy.ts";

function headers(bytes: Uint8Array<ArrayBuffer>, length = bytes.length): Header[] {
  const seen: Header[] = [];
  forEachMessage(source(bytes), length, (header) => seen.push({ ...header }));
  return seen;
}

Deno.test("writeMessage() frames a request, padded to four bytes", () => {
  const writer = new Writer(8);
  assertEquals(writeMessage(writer, newToy({ name: "ab" }), 0x0605, 0x04030201), 0);
  assertEquals(
    toHex(writer.bytes.subarray(0, writer.length)),
    "1c000000 64000506 01020304 00000000 00000000 07000200 61620000",
  );
});

Deno.test("writeMessage() appends, and returns where the message starts", () => {
  const writer = new Writer(8);
  writeMessage(writer, newToy({}), 1, 1);
  assertEquals(writeMessage(writer, newToy({ size: 5 }), 1, 2), 20);
  assertEquals(headers(writer.bytes, writer.length).map(({ start, end }) => [start, end]), [
    [16, 20],
    [36, 48],
  ]);
});

Deno.test("Messages need not be what the writer held before", () => {
  const writer = new Writer(8);
  writer.append(new Uint8Array(100).fill(0xff));
  writer.length = 0;
  writeMessage(writer, newToy({ name: "a" }), 1, 1);
  assertEquals(
    toHex(writer.bytes.subarray(0, writer.length)),
    "1c000000 64000100 01000000 00000000 00000000 06000200 61000000",
  );
});

Deno.test("forEachMessage() visits messages of odd lengths in order", () => {
  const bytes = concat(
    message(1, 2, 3, fromHex("aa")),
    message(4, 5, 6, fromHex("aabbccdd ee")),
    message(7, 8, 0xffffffff),
  );
  assertEquals(headers(bytes), [
    { type: 1, flags: 2, sequence: 3, start: 16, end: 17 },
    { type: 4, flags: 5, sequence: 6, start: 36, end: 41 },
    { type: 7, flags: 8, sequence: 0xffffffff, start: 60, end: 60 },
  ]);
});

Deno.test("forEachMessage() looks at the given length only", () => {
  const bytes = concat(message(1, 0, 1), message(2, 0, 2));
  assertEquals(headers(bytes, 16).map(({ type }) => type), [1]);
  assertEquals(headers(bytes, 0), []);
});

Deno.test("forEachMessage() refuses bytes that are shorter than a header", () => {
  const bytes = concat(message(1, 0, 1), message(2, 0, 2));
  for (const length of [17, 20, 31]) {
    assertThrows(
      () => headers(bytes, length),
      NetlinkDecodeError,
      `the last ${length - 16} bytes are shorter than a header`,
    );
  }
});

Deno.test("forEachMessage() refuses a message that is longer than what was received", () => {
  const bytes = concat(message(1, 0, 1), message(2, 0, 2, new Uint8Array(8)));
  assertThrows(
    () => headers(bytes, 36),
    NetlinkDecodeError,
    "one at offset 16 claims 24 of 20 bytes",
  );
});

Deno.test("forEachMessage() refuses a message shorter than its header, and ends", () => {
  for (const length of ["00000000", "0f000000"]) {
    const bytes = fromHex(length + "0100 0000 00000000 00000000");
    assertThrows(() => headers(bytes), NetlinkDecodeError, "of 16 bytes");
  }
});
