import { assert, assertEquals, assertThrows } from "@std/assert";
import { ERRNO } from "../../ffi/errno.ts";
import { NLM_F } from "../../src/netlink/message.ts";
import { DumpInterruptedError, NetlinkDecodeError, NetlinkError } from "../../src/netlink/error.ts";
import { fromHex } from "../helpers.ts";
import { acknowledge, attribute, concat, done, message, word } from "./fake_socket.ts";
import { dumpToys, type Toy } from "./toy.ts";
import { connect, interrupting, toyMessage } from "./toy_connection.ts";

Deno.test("A dump collects the entries of all datagrams and asks for no acknowledgement", () => {
  const { connection, socket } = connect(([sent], socket) => {
    const toy = (size: number) => toyMessage(sent!.sequence, { size }, NLM_F.MULTI);
    socket.queue(toy(1), toy(2));
    socket.queue(toyMessage(0, { size: 99 }));
    socket.queue(toy(3), toy(4), done(sent!));
  });
  assertEquals(connection.dump(dumpToys()).map(({ size }) => size), [1, 2, 3, 4]);
  assertEquals(connection.dump(dumpToys(({ size }) => size! % 2 === 0)).map(({ size }) => size), [
    2,
    4,
  ]);
  assertEquals(socket.sends.flat().map(({ flags }) => flags), [0x301, 0x301]);
});

Deno.test("A dump may be empty, and its end without error number", () => {
  const { connection } = connect(([sent], socket) =>
    socket.queue(message(3, NLM_F.MULTI, sent!.sequence))
  );
  assertEquals(connection.dump(dumpToys()), []);
});

for (const mark of ["entry", "end"] as const) {
  Deno.test(`A dump interrupted at an ${mark} is read again`, () => {
    const { connection, socket } = connect(interrupting(3, mark));
    assertEquals(connection.dump(dumpToys()).map(({ size }) => size), [4, 400]);
    assertEquals(socket.sends.length, 4);
  });

  Deno.test(`A dump always interrupted at an ${mark} is a DumpInterruptedError with the last read`, () => {
    const { connection, socket } = connect(interrupting(Infinity, mark));
    const error = assertThrows(
      () => connection.dump(dumpToys(({ size }) => size! >= 100)),
      DumpInterruptedError,
      'list toys in netns "blue": The table changed during each of 8 reads (EAGAIN)',
    );
    assertEquals(socket.sends.length, 8);
    assertEquals((error.partial as Toy[]).map(({ size }) => size), [800]);
    assert(error instanceof NetlinkError);
  });
}

Deno.test("A dump refused at once is an error", () => {
  const { connection } = connect(([sent], socket) => socket.queue(acknowledge(sent!, 1)));
  assertEquals(assertThrows(() => connection.dump(dumpToys()), NetlinkError).code, "EPERM");
});

Deno.test("A dump that fails on the way is an error, though entries came", () => {
  const { connection } = connect(([sent], socket) => {
    socket.queue(toyMessage(sent!.sequence, { size: 1 }, NLM_F.MULTI));
    socket.queue(done(sent!, 12));
  });
  assertEquals(assertThrows(() => connection.dump(dumpToys()), NetlinkError).code, "ENOMEM");
});

Deno.test("A dump without end is an error", () => {
  const { connection } = connect(([sent], socket) =>
    socket.queue(toyMessage(sent!.sequence, { size: 1 }, NLM_F.MULTI))
  );
  const error = assertThrows(() => connection.dump(dumpToys()), NetlinkError);
  assertEquals(error.code, "ENODATA");
});

Deno.test("A dump with an entry that cannot be read is read to its end before it fails", () => {
  let broken = true;
  const { connection, socket } = connect(([sent], socket) => {
    const good = (size: number) => toyMessage(sent!.sequence, { size }, NLM_F.MULTI);
    const bad = message(101, 2, sent!.sequence, concat(word(0), attribute(1, fromHex("01"))));
    socket.queue(good(1), ...(broken ? [bad] : []), good(2));
    socket.queue(good(3));
    socket.queue(done(sent!));
  });
  assertThrows(() => connection.dump(dumpToys()), NetlinkDecodeError, "too short for u32");
  assertEquals(socket.pending, 0);
  broken = false;
  assertEquals(connection.dump(dumpToys()).length, 3);
});

Deno.test("A dump with a datagram longer than the memory for it is read again", () => {
  const { connection, socket } = connect(([sent], socket) => {
    const toy = (size: number, more = 0) => {
      const parts = Array.from({ length: more }, () => attribute(90, new Uint8Array(60_000)));
      return message(
        101,
        NLM_F.MULTI,
        sent!.sequence,
        concat(word(0), attribute(1, word(size)), ...parts),
      );
    };
    socket.queue(toy(1));
    socket.queue(toy(2, 15), done(sent!));
  });
  assertEquals(connection.dump(dumpToys()).map(({ size }) => size), [1, 2]);
  assertEquals(socket.sends.length, 2);
});

Deno.test("A dump that strict checking refuses is tried without what it refuses, and filtered", () => {
  for (const errno of [ERRNO.EINVAL, ERRNO.EOPNOTSUPP]) {
    const { connection, socket } = connect(([sent], socket) => {
      if (sent!.body.length > 4) return socket.queue(acknowledge(sent!, errno));
      for (const size of [1, 2]) socket.queue(toyMessage(sent!.sequence, { size }, NLM_F.MULTI));
      socket.queue(done(sent!));
    });
    const base = dumpToys(({ size }) => size === 2);
    const toys = connection.dump({
      ...base,
      message: { size: 2 },
      fallback: { ...base, message: {} },
    });
    assertEquals(toys.map(({ size }) => size), [2]);
    assertEquals(socket.sends.flat().map(({ body }) => body.length), [12, 4]);
  }
});

Deno.test("A dump refused for another reason, or without a fallback, is not tried again", () => {
  const { connection, socket } = connect(([sent], socket) =>
    socket.queue(acknowledge(sent!, socket.sends.length === 1 ? ERRNO.EPERM : ERRNO.EINVAL))
  );
  const base = dumpToys();
  const withFallback = { ...base, fallback: { ...base, message: {} } };
  assertEquals(assertThrows(() => connection.dump(withFallback), NetlinkError).code, "EPERM");
  assertEquals(assertThrows(() => connection.dump(base), NetlinkError).code, "EINVAL");
  assertEquals(socket.sends.length, 2);
});
