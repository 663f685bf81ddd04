import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ERRNO } from "../../ffi/errno.ts";
import { Connection } from "../../src/netlink/connection.ts";
import { NLM_F } from "../../src/netlink/message.ts";
import { NetlinkError } from "../../src/netlink/error.ts";
import { trace, type TraceMessage } from "../../src/netlink/trace.ts";
import { acknowledge } from "./fake_socket.ts";
import { dumpToys, newToy, type Toy } from "./toy.ts";
import { agree, connect, interrupting, requests, sizeOf } from "./toy_connection.ts";

Deno.test("trace() sees every request with its outcome, in the order of sending", () => {
  const { connection } = connect((sent, socket) => {
    for (const it of sent) socket.queue(acknowledge(it, sizeOf(it) === 1 ? 17 : 0));
  });
  const seen: TraceMessage[] = [];
  {
    using _trace = trace((message) => seen.push(message));
    connection.batch(requests(3));
  }
  connection.request(newToy({ size: 7 }));
  assertEquals(seen.map((message) => [(message.message as Toy).size, message.error?.message]), [
    [0, undefined],
    [1, 'make toy ? in netns "blue": File exists (EEXIST)'],
    [2, undefined],
  ]);
  const { error: _, ...first } = seen[0]!;
  assertEquals(first, {
    type: "NEW_TOY",
    operation: "make toy ?",
    netns: 'netns "blue"',
    flags: NLM_F.REQUEST | NLM_F.ACK,
    message: { size: 0 },
    command: "ip netns exec blue toy add undefined",
  });
});

Deno.test("trace() quotes names for a shell", () => {
  const { connection, socket } = connect(agree);
  using odd = new Connection(() => socket, { description: "", netnsName: "it's $& here" });
  const seen: string[] = [];
  using _trace = trace(({ command }) => seen.push(command));
  connection.request(newToy({ name: "a" }));
  odd.request(newToy({ name: "a" }));
  assertEquals(seen, [
    "ip netns exec blue toy add a",
    `ip netns exec 'it'\\''s $& here' toy add a`,
  ]);
});

Deno.test("trace() sees dumps, refused ones with the error and each attempt", () => {
  const { connection } = connect(interrupting(1, "end"));
  const seen: TraceMessage[] = [];
  using _trace = trace((message) => seen.push(message));
  connection.dump(dumpToys());
  assertEquals(seen.map(({ operation, error }) => [operation, error]), [
    ["list toys", undefined],
    ["list toys", undefined],
  ]);
  const { connection: refusing } = connect(([sent], socket) =>
    socket.queue(acknowledge(sent!, ERRNO.EINVAL))
  );
  assertThrows(() => refusing.dump(dumpToys()), NetlinkError);
  assertInstanceOf(seen.at(-1)!.error, NetlinkError);
});

Deno.test("A trace handler may make requests on the same connection", () => {
  const { connection, socket } = connect(agree);
  let inner = false;
  using _trace = trace(() => {
    if (inner) return;
    inner = true;
    connection.batch(Array.from({ length: 300 }, () => newToy({ name: "inner" })));
  });
  const results = connection.batch(requests(300));
  assert(inner && results.length === 300 && results.every(({ ok }) => ok));
  const outer = socket.sends.flat().filter(({ body }) => body.length === 12).map(sizeOf);
  assertEquals(outer, Array.from({ length: 300 }, (_, i) => i));
});
