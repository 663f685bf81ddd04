import { assertEquals } from "@std/assert";
import fc from "npm:fast-check@4";
import { checksum, checksumAdd, checksumUpdate, checksumUpdate32 } from "../../src/packet/mod.ts";
import { naiveChecksum } from "./naive.ts";

/** Bytes somewhere in a larger memory: at odd places too, and long enough for every loop. */
const placed = fc.tuple(
  fc.uint8Array({ maxLength: 3000, size: "max" }),
  fc.nat({ max: 40 }),
  fc.nat({ max: 40 }),
);

Deno.test("checksum() equals a naive implementation at any offset", () => {
  fc.assert(fc.property(placed, ([bytes, before, after]) => {
    const memory = new Uint8Array(before + bytes.length + after).fill(0xa5);
    memory.set(bytes, before);
    const end = before + bytes.length;
    assertEquals(checksum(memory, before, end), naiveChecksum(bytes));
    // Also when the memory does not begin at the buffer's begin.
    assertEquals(checksum(memory.subarray(before, end)), naiveChecksum(bytes));
  }));
});

Deno.test("checksumAdd() continues another sum", () => {
  fc.assert(fc.property(placed, fc.nat({ max: 1000 }), ([bytes], words) => {
    const at = Math.min(words * 2, bytes.length & ~1);
    const sum = checksumAdd(bytes, at, bytes.length, checksumAdd(bytes, 0, at));
    assertEquals(~sum & 0xffff, naiveChecksum(bytes));
  }));
});

Deno.test("checksum() does not overflow on a megabyte of ones", () => {
  for (const length of [65_535, 262_144, 1 << 20, (1 << 20) + 1]) {
    const bytes = new Uint8Array(length).fill(0xff);
    assertEquals(checksum(bytes), naiveChecksum(bytes), `${length}`);
  }
});

Deno.test("checksum() reads nothing beyond the end of the memory", () => {
  assertEquals(
    checksum(new Uint8Array(100).fill(1), 0, 200),
    naiveChecksum(new Uint8Array(100).fill(1)),
  );
});

Deno.test("checksumUpdate() equals a recomputed checksum", () => {
  const words = fc.uint8Array({ minLength: 8, maxLength: 60 });
  const word = fc.nat({ max: 0xffff });
  fc.assert(fc.property(words, word, fc.nat({ max: 0xffffffff }), (bytes, to, to32) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    // All zeros is the one sum that has two forms.
    bytes[7] = 1;
    const before = checksum(bytes);
    const from = view.getUint16(2);
    view.setUint16(2, to);
    const after = checksumUpdate(before, from, to);
    assertEquals(after, naiveChecksum(bytes));
    const from32 = view.getUint32(0);
    view.setUint32(0, to32);
    assertEquals(checksumUpdate32(after, from32, to32), naiveChecksum(bytes));
  }));
});
