import { assertEquals, assertThrows } from "@std/assert";
import { type Field, u32 } from "../../src/netlink/attribute.ts";
import { source, Writer } from "../../src/netlink/bytes.ts";
import { NetlinkDecodeError } from "../../src/netlink/error.ts";
import { nested, PLAIN, type Schema, schema, unknownAttributes } from "../../src/netlink/schema.ts";

/** Enough attributes for the reader to remember sequences of them. */
type Wide = Partial<Record<`a${number}`, number>> & { header?: string; inner?: Wide };

const NUMBERS = Array.from({ length: 20 }, (_, i) => i + 1);

/** Its nest is a set of the same schema. It has read so many sets that it remembers the next. */
function wideSchema(): Schema<Wide> {
  const self = { write: () => {}, read: (...args: unknown[]) => read(args) } as unknown;
  const fields: Record<string, Field<unknown>> = { inner: nested(21, self as Schema<Wide>) };
  for (const n of NUMBERS) fields[`a${n}`] = u32(n);
  const made = schema<Wide>("WIDE_", {}, fields as never, [22]);
  const read = (args: unknown[]) => made.read(...args as Parameters<typeof made.read>);
  for (let i = 0; i < PLAIN; i++) readAll(made, source(new Uint8Array()));
  return made;
}

function attributes(...numbers: (readonly [type: number, value: number | Uint8Array])[]) {
  const writer = new Writer();
  for (const [type, value] of numbers) {
    const at = writer.begin(type);
    writer.append(value instanceof Uint8Array ? value : new Uint8Array([value, 0, 0, 0]));
    writer.end(at);
  }
  return source(writer.bytes.slice(0, writer.length));
}

function readAll(schema: Schema<Wide>, bytes: ReturnType<typeof source>, first?: Wide): Wide {
  return schema.read(bytes, 0, bytes.bytes.length, first);
}

const set = (offset: number) => NUMBERS.map((n) => [n, n + offset] as const);
const values = (offset: number): Wide =>
  Object.fromEntries(NUMBERS.map((n) => [`a${n}`, n + offset]));

Deno.test("A sequence that repeats is read with the values it has each time", () => {
  const wide = wideSchema();
  for (const offset of [0, 0, 5, 0, 9]) {
    assertEquals(readAll(wide, attributes(...set(offset))), values(offset));
  }
});

Deno.test("Changing a set changes none that is read later", () => {
  const wide = wideSchema();
  const inner = attributes(...set(3)).bytes;
  for (let i = 0; i < 3; i++) {
    const read = readAll(wide, attributes(...set(0), [21, inner]));
    assertEquals(read, { ...values(0), inner: values(3) });
    read.a1 = 99;
    read.inner!.a1 = 99;
  }
});

Deno.test("Properties keep the order of the attributes, those ahead of them first", () => {
  const wide = wideSchema();
  const reversed = set(0).toReversed();
  for (let i = 0; i < 3; i++) {
    const keys = Object.keys(readAll(wide, attributes(...reversed), { header: "x" }));
    assertEquals(keys, ["header", ...NUMBERS.toReversed().map((n) => `a${n}`)]);
  }
});

Deno.test("What is ahead of the attributes belongs to one way of reading only", () => {
  const wide = wideSchema();
  const header = { header: "x" };
  for (let i = 0; i < 2; i++) {
    assertEquals(readAll(wide, attributes(...set(0)), header), { header: "x", ...values(0) });
    assertEquals(readAll(wide, attributes(...set(0))), values(0));
  }
});

Deno.test("An attribute less, more, skipped or in another place makes another set", () => {
  const wide = wideSchema();
  const [one, two, ...rest] = set(0);
  for (let i = 0; i < 2; i++) {
    const { a2: _, ...less } = values(0);
    assertEquals(readAll(wide, attributes(one!, ...rest)), less);
    assertEquals(readAll(wide, attributes(two!, one!, ...rest)), values(0));
    assertEquals(readAll(wide, attributes(one!, [22, 7], two!, ...rest)), values(0));
    assertEquals(readAll(wide, attributes(...set(0), [21, new Uint8Array()])), {
      ...values(0),
      inner: {},
    });
  }
});

Deno.test("Of an attribute that comes twice the last one counts", () => {
  const wide = wideSchema();
  for (const last of [1, 50, 1]) {
    assertEquals(readAll(wide, attributes(...set(0), [1, last])), { ...values(0), a1: last });
  }
});

Deno.test("Unknown attributes are kept, each set its own", () => {
  const wide = wideSchema();
  readAll(wide, attributes(...set(0)));
  for (const value of [1, 2]) {
    const read = readAll(wide, attributes([99, value], ...set(0))) as {
      [unknownAttributes]?: unknown;
    };
    assertEquals(read[unknownAttributes], [{ type: 99, bytes: new Uint8Array([value, 0, 0, 0]) }]);
  }
  assertEquals(Object.getOwnPropertySymbols(readAll(wide, attributes(...set(0)))), []);
});

Deno.test("A malformed set is a NetlinkDecodeError, also when its like has been read before", () => {
  const wide = wideSchema();
  for (let i = 0; i < 2; i++) readAll(wide, attributes(...set(0)));
  const { bytes } = attributes(...set(0));
  assertThrows(
    () => wide.read(source(bytes), 0, bytes.length - 2),
    NetlinkDecodeError,
    "one claims 8 of 6 bytes",
  );
  const short = [20, new Uint8Array([1])] as const;
  for (let i = 0; i < 2; i++) {
    const read = () => readAll(wide, attributes(...set(0).slice(0, -1), short));
    assertThrows(read, NetlinkDecodeError, "1 bytes are too short for u32");
  }
});

Deno.test("A set that is not aligned, or of another length, is read as it is", () => {
  const wide = wideSchema();
  const { bytes } = attributes(...set(0));
  for (let i = 0; i < 2; i++) assertEquals(readAll(wide, source(bytes)), values(0));
  const shifted = new Uint8Array(bytes.length + 2);
  shifted.set(bytes, 2);
  assertEquals(wide.read(source(shifted), 2, shifted.length), values(0));
  assertEquals(readAll(wide, source(shifted.subarray(2))), values(0));
  const long = attributes(...set(0).slice(0, -1), [20, new Uint8Array([20, 0, 0, 0, 9, 9, 9, 9])]);
  assertEquals(readAll(wide, long), values(0));
  // The last attribute may come without padding.
  const name = attributes(...set(0).slice(0, -1), [20, new Uint8Array([20, 0, 0, 0, 9])]).bytes;
  for (let i = 0; i < 2; i++) {
    assertEquals(wide.read(source(name), 0, name.length - 3), values(0));
  }
});

Deno.test("More sequences than are remembered are read all the same", () => {
  const wide = wideSchema();
  for (let round = 0; round < 2; round++) {
    for (let drop = 0; drop < NUMBERS.length; drop++) {
      const expected = Object.entries(values(0)).filter((_, i) => i !== drop);
      assertEquals(
        readAll(wide, attributes(...set(0).filter((_, i) => i !== drop))),
        Object.fromEntries(expected),
      );
    }
  }
});
