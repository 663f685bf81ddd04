import { assertEquals, assertThrows } from "@std/assert";
import {
  be16,
  binary,
  bool,
  type Field,
  flag,
  forEachAttribute,
  list,
  mapped,
  named,
  readText,
  s32,
  struct,
  text,
  u16,
  u32,
  u64,
  u8,
  uint,
  writeAttribute,
} from "../../src/netlink/attribute.ts";
import { source, Writer } from "../../src/netlink/bytes.ts";
import { NetlinkDecodeError } from "../../src/netlink/error.ts";
import { nested, schema } from "../../src/netlink/schema.ts";
import { fromHex, toHex } from "../helpers.ts";

/** The attribute's bytes, without those it does not fill. */
function written<T>(field: Field<T>, value: T, path = "value"): string {
  const writer = new Writer(4);
  writeAttribute(writer, field, value, path);
  return toHex(writer.bytes.subarray(0, writer.length));
}

/** The value read from a payload that something else comes after. */
function readFrom<T>(field: Field<T>, payload: string): T {
  const bytes = fromHex(payload);
  const memory = new Uint8Array(bytes.length + 8).fill(0xee);
  memory.set(bytes, 4);
  return field.read(source(memory), 4, bytes.length);
}

const SCALARS: [name: string, field: Field<number>, value: number, bytes: string][] = [
  ["u8", u8(7), 0xfe, "05000700 fe000000"],
  ["u16", u16(7), 0xfedc, "06000700 dcfe0000"],
  ["be16", be16(7), 0xfedc, "06000700 fedc0000"],
  ["u32", u32(7), 0xfedcba98, "08000700 98badcfe"],
  ["s32", s32(7), -2, "08000700 feffffff"],
  ["u64", u64(7), 0x1f_fedc_ba98_7654, "0c000700 547698ba dcfe1f00"],
];

for (const [name, field, value, bytes] of SCALARS) {
  Deno.test(`${name}() writes and reads its width in its byte order`, () => {
    assertEquals(written(field, value), bytes);
    const payload = bytes.slice(9).replaceAll(" ", "");
    const width = parseInt(bytes.slice(0, 2), 16) - 4;
    assertEquals(readFrom(field, payload.slice(0, width * 2)), value);
  });

  Deno.test(`${name}() refuses to read a payload that is too short, and takes a longer one`, () => {
    const width = parseInt(bytes.slice(0, 2), 16) - 4;
    const payload = bytes.slice(9).replaceAll(" ", "");
    assertThrows(
      () => readFrom(field, payload.slice(0, width * 2 - 2)),
      NetlinkDecodeError,
      `Cannot read attribute 7: ${width - 1} bytes are too short for ${name}`,
    );
    assertEquals(readFrom(field, payload.slice(0, width * 2) + "ffff"), value);
  });
}

const LIMITS: [name: string, field: Field<number>, min: number, max: number][] = [
  ["u8", u8(1), 0, 255],
  ["u16", u16(1), 0, 65535],
  ["be16", be16(1), 0, 65535],
  ["u32", u32(1), 0, 4294967295],
  ["s32", s32(1), -2147483648, 2147483647],
  ["u64", u64(1), 0, Number.MAX_SAFE_INTEGER],
  ["u8 with a range", u8(1, { min: 3, max: 9 }), 3, 9],
  ["u16 with a range", u16(1, { min: 3, max: 9 }), 3, 9],
  ["u32 with a range", u32(1, { min: 3, max: 9 }), 3, 9],
];

for (const [name, field, min, max] of LIMITS) {
  Deno.test(`${name} accepts ${min} and ${max}, and nothing beyond`, () => {
    for (const value of [min, max]) {
      const width = written(field, value).replaceAll(" ", "").slice(8);
      assertEquals(readFrom(field, width), value);
    }
    for (const value of [min - 1, max + 1]) {
      assertThrows(() => written(field, value, "peer.mtu"), RangeError, `in ${min}..${max}`);
    }
  });
}

Deno.test("uint() takes 4 bytes, or 8 where the number needs them", () => {
  assertEquals(written(uint(7), 0xfedcba98), "08000700 98badcfe");
  assertEquals(written(uint(7), 0x1f_fedc_ba98_7654), "0c000700 547698ba dcfe1f00");
  assertEquals(readFrom(uint(7), "98badcfe"), 0xfedcba98);
  assertEquals(readFrom(uint(7), "547698badcfe1f00"), 0x1f_fedc_ba98_7654);
  assertThrows(() => readFrom(uint(7), "98badc"), NetlinkDecodeError, "3 bytes are too short");
});

Deno.test("A number out of range or not integral is named with its path, value and unit", () => {
  const mtu = u32(1, { min: 68, max: 9000, unit: "bytes" });
  assertThrows(
    () => written(mtu, 67, "peer.mtu"),
    RangeError,
    "peer.mtu must be in 68..9000 bytes: got 67",
  );
  for (const value of [1.5, NaN, Infinity, "100", null, true, 100n]) {
    const error = assertThrows(
      () => written(mtu, value as number, "peer.mtu"),
      TypeError,
      "peer.mtu must be an integer: got ",
    );
    assertEquals(error.message.includes(typeof value === "string" ? '"100"' : `${value}`), true);
  }
});

Deno.test("bool() is a number on the wire, 0 included, and any other number is true", () => {
  const field = bool(u16(3));
  assertEquals(written(field, true), "06000300 01000000");
  assertEquals(written(field, false), "06000300 00000000");
  assertEquals(["0000", "0100", "0002"].map((payload) => readFrom(field, payload)), [
    false,
    true,
    true,
  ]);
  assertThrows(() => written(field, 1 as unknown as boolean), TypeError, "value must be a boolean");
});

Deno.test("flag() is present without payload", () => {
  assertEquals(written(flag(9), true), "04000900");
  assertEquals(readFrom(flag(9), ""), true);
});

Deno.test("named() takes names and numbers, and a number without a name stays one", () => {
  const field = named(u8(2), { up: 6, down: 2 });
  assertEquals(written(field, "up"), "05000200 06000000");
  assertEquals(written(field, 77), "05000200 4d000000");
  assertEquals([readFrom(field, "02"), readFrom(field, "4d")], ["down", 77]);
  assertThrows(() => written(field, 256), RangeError);
  for (const value of ["sideways", "toString", null, true]) {
    assertThrows(
      () => written(field, value as "up"),
      TypeError,
      'value must be one of "up", "down": got ',
    );
  }
});

Deno.test("mapped() converts both ways", () => {
  const field = mapped(u8(2), (value: string) => value.length, (value) => "x".repeat(value));
  assertEquals(written(field, "abc"), "05000200 03000000");
  assertEquals(readFrom(field, "02"), "xx");
});

Deno.test("text() closes with NUL, counts bytes, and reads up to NUL or the end", () => {
  const field = text(3, 4);
  assertEquals(written(field, "äa"), "08000300 c3a46100");
  assertEquals(readFrom(field, "c3a46100"), "äa");
  assertEquals(readFrom(field, "6162"), "ab");
  assertEquals(readFrom(field, "c3a4"), "ä");
  assertEquals(readFrom(field, "6100c3a4"), "a");
  assertEquals(readFrom(field, ""), "");
  assertThrows(() => written(field, "ääa"), RangeError, 'at most 4 bytes: "ääa" has 5');
  assertThrows(() => written(field, "a\0"), TypeError, "without NUL");
  assertThrows(() => written(field, 5 as unknown as string), TypeError, "must be text");
});

Deno.test("readText() stays inside the attribute when more text comes after it", () => {
  const bytes = fromHex("c3a4 616263");
  assertEquals(readText(source(bytes), 0, 2), "ä");
  assertEquals(readText(source(bytes), 2, 2), "ab");
});

Deno.test("binary() reads a copy, and writes nothing but bytes", () => {
  const bytes = fromHex("00000000 010203");
  const value = binary(4).read(source(bytes), 4, 3);
  bytes.fill(9);
  assertEquals(value, fromHex("010203"));
  assertEquals(written(binary(4), value), "07000400 01020300");
  for (const wrong of ["0102", [1, 2], 5]) {
    assertThrows(
      () => written(binary(4), wrong as unknown as Uint8Array, "encap"),
      TypeError,
      "encap must be bytes",
    );
  }
});

Deno.test("struct() reads a shorter one, of an older kernel, as if zeros followed", () => {
  const field = struct<[number, number]>(5, 8, (view, at, [a, b]) => {
    view.setUint32(at, a, true);
    view.setUint32(at + 4, b, true);
  }, (view, at) => [view.getUint32(at, true), view.getUint32(at + 4, true)]);
  assertEquals(written(field, [1, 2]), "0c000500 01000000 02000000");
  assertEquals(readFrom(field, "0300000004000000"), [3, 4]);
  assertEquals(readFrom(field, "030000000400"), [3, 4]);
  assertEquals(readFrom(field, "03000000"), [3, 0]);
  assertEquals(readFrom(field, ""), [0, 0]);
  assertEquals(readFrom(field, "0300000004000000ffff"), [3, 4]);
});

Deno.test("nested() has the nest bit, and names options with their path", () => {
  const inner = schema<{ a?: number }>("IN_", { A: 1 }, { a: u8(1) });
  const field = nested(2, inner);
  assertEquals(written(field, { a: 5 }), "0c000280 05000100 05000000");
  assertEquals(readFrom(field, "0500010005000000"), { a: 5 });
  assertThrows(() => written(field, { a: 256 }, "outer"), RangeError, "outer.a must be in 0..255");
  assertThrows(() => written(field, { b: 1 } as object, "outer"), TypeError, '"outer.b"');
  assertThrows(() => written(field, { a: 256 }, ""), RangeError, "a must be in 0..255");
});

Deno.test("list() has one attribute for each element", () => {
  const field = list(2, text(9, 3));
  assertEquals(written(field, ["a", "b"]), "14000280 06000900 61000000 06000900 62000000");
  assertEquals(readFrom(field, "06000900610000000600090062000000"), ["a", "b"]);
  assertEquals(readFrom(field, ""), []);
  assertThrows(() => written(field, ["a", "long"], "names"), RangeError, "names[1] must have");
});

Deno.test("writeAttribute() refuses what its 16-bit length cannot say", () => {
  const whole = new Uint8Array(0xffff - 4);
  const writer = new Writer();
  writeAttribute(writer, binary(1), whole, "value");
  assertEquals(writer.length, 0x10000);
  assertThrows(
    () => writeAttribute(writer, binary(1), new Uint8Array(0xffff - 3), "value"),
    RangeError,
    "65536 bytes",
  );
});

Deno.test("forEachAttribute() masks the bits that are not the type, and skips padding", () => {
  const bytes = fromHex("05000180 aaffffff 06000240 bbbb0000 04000300");
  const seen: number[][] = [];
  forEachAttribute(source(bytes), 0, bytes.length, (...attribute) => seen.push(attribute));
  assertEquals(seen, [[1, 4, 1], [2, 12, 2], [3, 20, 0]]);
});

Deno.test("forEachAttribute() refuses lengths that cannot be, and ignores a rest below a header", () => {
  const read = (hex: string) => {
    const bytes = fromHex(hex);
    let count = 0;
    forEachAttribute(source(bytes), 0, bytes.length, () => count++);
    return count;
  };
  assertEquals(read("04000100 aabbcc"), 1);
  assertThrows(() => read("03000100"), NetlinkDecodeError, "claims 3 of 4 bytes");
  assertThrows(() => read("00000000"), NetlinkDecodeError, "claims 0 of 4 bytes");
  assertThrows(
    () => read("04000100 0c000100 00000000"),
    NetlinkDecodeError,
    "claims 12 of 8 bytes",
  );
});
