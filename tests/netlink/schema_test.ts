import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { bool, u16, u32, u8 } from "../../src/netlink/attribute.ts";
import { source, Writer } from "../../src/netlink/bytes.ts";
import { NetlinkDecodeError } from "../../src/netlink/error.ts";
import { schema, type UnknownAttribute, unknownAttributes } from "../../src/netlink/schema.ts";
import { fromHex, toHex } from "../helpers.ts";
import { type Toy, toySchema } from "./toy.ts";

function written(toy: Toy): string {
  const writer = new Writer(4);
  toySchema.write(writer, toy);
  return toHex(writer.bytes.subarray(0, writer.length));
}

function read(hex: string): Toy {
  const bytes = fromHex(hex);
  return toySchema.read(source(bytes), 0, bytes.length);
}

Deno.test("A schema writes attributes in the order of the properties", () => {
  assertEquals(written({ size: 1, name: "a" }), "08000100 01000000 06000200 61000000");
  assertEquals(written({ name: "a", size: 1 }), "06000200 61000000 08000100 01000000");
  assertEquals(written({}), "");
});

Deno.test("undefined is not sent; 0, false and empty text are", () => {
  const values = schema<{ a?: number; b?: boolean }>("X_", {}, { a: u8(1), b: bool(u8(2)) });
  const writer = new Writer(4);
  values.write(writer, { a: 0, b: false });
  assertEquals(
    toHex(writer.bytes.subarray(0, writer.length)),
    "05000100 00000000 05000200 00000000",
  );
  assertEquals(written({ size: undefined, name: "" } as unknown as Toy), "05000200 00000000");
});

Deno.test("A flag that is false is not sent", () => {
  assertEquals(written({ loud: false }), "");
  assertEquals(written({ loud: true }), "04000400");
});

Deno.test("An unknown option is a TypeError, also one that every object has", () => {
  for (const key of ["colour", "toString", "__proto__"]) {
    const toy = Object.fromEntries([[key, 1]]) as Toy;
    assertThrows(() => written(toy), TypeError, `Unknown option "${key}"`);
  }
  assertThrows(
    () => written({ parts: { deep: { depht: 1 } as object } }),
    TypeError,
    'Unknown option "parts.deep.depht"',
  );
});

Deno.test("An option's error has its whole path", () => {
  assertThrows(
    () => written({ parts: { deep: { depth: 10 } } }),
    RangeError,
    "parts.deep.depth must be in 0..9: got 10",
  );
});

Deno.test("A schema reads what it writes, nests included", () => {
  const toy: Toy = { name: "robot", size: 7, loud: true, parts: { width: 3, deep: { depth: 9 } } };
  assertEquals(read(written(toy)), toy);
});

Deno.test("The nest and byte order bits do not count for the type", () => {
  assertEquals(read("08000140 01000000 0a000300 06000180 0500"), { size: 1, parts: { width: 5 } });
});

Deno.test("Attributes that the schema lacks are kept as bytes, in a copy", () => {
  const bytes = fromHex("08000100 01000000 07006300 0102ffff 08006400 03040506");
  const toy: Toy & { [unknownAttributes]?: UnknownAttribute[] } = toySchema.read(
    source(bytes),
    0,
    bytes.length,
  );
  bytes.fill(0);
  assertEquals(toy[unknownAttributes], [
    { type: 99, bytes: fromHex("0102ff") },
    { type: 100, bytes: fromHex("03040506") },
  ]);
  assertEquals(Object.keys(toy), ["size"]);
});

Deno.test("Attributes known and not decoded leave no trace", () => {
  const toy = read("08000500 01000000");
  assertEquals(Reflect.ownKeys(toy), []);
});

Deno.test("The last of an attribute that comes twice counts", () => {
  assertEquals(read("08000100 01000000 08000100 02000000"), { size: 2 });
});

Deno.test("readInto() adds to an object and returns nothing new", () => {
  const target: Toy = { name: "kept" };
  const bytes = fromHex("08000100 01000000");
  toySchema.readInto(target, source(bytes), 0, bytes.length);
  assertEquals(target, { name: "kept", size: 1 });
});

Deno.test("Malformed attributes are a NetlinkDecodeError", () => {
  assertThrows(
    () => read("08000100 01000000 0c000200 61000000"),
    NetlinkDecodeError,
    "Cannot read TOY_* attributes: one claims 12 of 8 bytes",
  );
  assertThrows(() => read("02000100"), NetlinkDecodeError, "claims 2 of 4 bytes");
  assertThrows(() => read("06000100 0100"), NetlinkDecodeError, "2 bytes are too short for u32");
});

Deno.test("nameOf() has the kernel's name, or prefix and number", () => {
  assertEquals([1, 3, 99].map(toySchema.nameOf), ["TOY_SIZE", "TOY_PARTS", "TOY_99"]);
});

Deno.test("fieldOf() finds a field by attribute number", () => {
  assertStrictEquals(toySchema.fieldOf(1)?.type, 1);
  assertEquals([toySchema.fieldOf(5), toySchema.fieldOf(99)], [undefined, undefined]);
});

Deno.test("A schema keeps types apart that differ in width only", () => {
  const wide = schema<{ a?: number; b?: number }>("W_", {}, { a: u16(1), b: u32(2) });
  const bytes = fromHex("06000100 0500eeee 08000200 06000000");
  assertEquals(wide.read(source(bytes), 0, bytes.length), { a: 5, b: 6 });
});
