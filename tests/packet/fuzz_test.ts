import { assertThrows } from "@std/assert";
import { fuzz } from "./fuzz_target.ts";

/** `deno task fuzz` runs ten million. */
const INPUTS = 20_000;

Deno.test("No reader of packets throws, reads outside its packet or runs forever", () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  for (let i = 0; i < INPUTS; i++) {
    try {
      fuzz(seed, i);
    } catch (cause) {
      throw new Error(`deno task fuzz --seed ${seed} --only ${i}`, { cause });
    }
  }
});

Deno.test("The fuzzer notices a read outside of its input", () => {
  const original = Uint8Array.prototype.subarray;
  // A reader that reads beyond its packet.
  Uint8Array.prototype.subarray = function (start?: number, end?: number) {
    return original.call(this, start, end === undefined ? end : end + 1) as never;
  };
  try {
    assertThrows(() => {
      for (let i = 0; i < 1000; i++) fuzz(1, i);
    }, Error);
  } finally {
    Uint8Array.prototype.subarray = original;
  }
});
