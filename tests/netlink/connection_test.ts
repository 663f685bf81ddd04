import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ERRNO, KernelError, SyscallError } from "../../ffi/errno.ts";
import { Connection } from "../../src/netlink/connection.ts";
import type { Result } from "../../src/netlink/outbox.ts";
import { NLM_F } from "../../src/netlink/constants.ts";
import { DumpInterruptedError, NetlinkDecodeError, NetlinkError } from "../../src/netlink/error.ts";
import type { Request } from "../../src/netlink/message.ts";
import { trace, type TraceMessage } from "../../src/netlink/trace.ts";
import { fromHex } from "../helpers.ts";
import {
  acknowledge,
  attribute,
  concat,
  cString,
  done,
  FakeSocket,
  message,
  type Script,
  type SentMessage,
  word,
} from "./fake_socket.ts";
import { dumpToys, GET_TOY, getToy, NEW_TOY, newToy, type Toy } from "./toy.ts";

const where = { description: 'netns "blue"', netnsName: "blue" };

function connect(script: Script): { connection: Connection; socket: FakeSocket } {
  const socket = new FakeSocket(script);
  return { connection: new Connection(() => socket, where), socket };
}

/** Acknowledges everything, each message in a datagram of its own. */
const agree: Script = (sent, socket) => sent.forEach((it) => socket.queue(acknowledge(it)));

/** A toy as an answer. */
function toyMessage(sequence: number, toy: Toy, flags = 0): Uint8Array {
  return message(
    101,
    flags,
    sequence,
    concat(word(0), attribute(1, word(toy.size ?? 0)), attribute(2, cString(toy.name ?? ""))),
  );
}

function requests(count: number): Request[] {
  return Array.from({ length: count }, (_, i) => newToy({ size: i }));
}

const sizeOf = ({ body }: SentMessage) => new DataView(body.buffer).getUint32(8, true);

function errorOf(result: Result<unknown> | undefined): NetlinkError {
  assert(result && !result.ok);
  assertInstanceOf(result.error, NetlinkError);
  return result.error;
}

Deno.test("A request without reply asks for an acknowledgement, and returns undefined", () => {
  const { connection, socket } = connect(agree);
  assertEquals(connection.request({ ...newToy({ name: "a" }), flags: NLM_F.CREATE }), undefined);
  const [[sent]] = socket.sends as [[SentMessage]];
  assertEquals([sent.type, sent.flags], [NEW_TOY, NLM_F.REQUEST | NLM_F.ACK | NLM_F.CREATE]);
});

Deno.test("A request with reply asks for no acknowledgement, and returns what it reads", () => {
  const { connection, socket } = connect(([sent], socket) =>
    socket.queue(toyMessage(sent!.sequence, { size: 5, name: "robot" }))
  );
  assertEquals(connection.request(getToy("robot")), { size: 5, name: "robot" });
  const [[sent]] = socket.sends as [[SentMessage]];
  assertEquals([sent.type, sent.flags], [GET_TOY, NLM_F.REQUEST]);
});

Deno.test("An acknowledgement that comes beside the reply changes nothing", () => {
  for (const order of [0, 1]) {
    const { connection } = connect(([sent], socket) => {
      const both = [toyMessage(sent!.sequence, { size: 5 }), acknowledge(sent!)];
      socket.queue(...both);
      if (order) socket.queue(...both);
    });
    assertEquals(connection.request(getToy("x")).size, 5);
    assertEquals(connection.request(getToy("x")).size, 5);
  }
});

Deno.test("What answers no request is passed over: events, late answers", () => {
  const { connection } = connect((sent, socket) => {
    socket.queue(toyMessage(0, { size: 1 }), toyMessage(0xffffffff, { size: 2 }));
    socket.queue(message(3, 0, 77), acknowledge({ ...sent[0]!, sequence: 9999 }, 22));
    socket.queue(toyMessage(sent[0]!.sequence, { size: 3 }));
  });
  assertEquals(connection.request(getToy("x")).size, 3);
});

Deno.test("Sequence numbers do not repeat between sends", () => {
  const { connection, socket } = connect(agree);
  connection.batch(requests(300));
  connection.request(newToy({}));
  const numbers = socket.sends.flat().map(({ sequence }) => sequence);
  assertEquals(new Set(numbers).size, 301);
});

for (const count of [0, 1, 127, 128, 129, 257, 3000]) {
  Deno.test(`A batch of ${count} has every result once, in order`, () => {
    const { connection, socket } = connect((sent, socket) => {
      // Answered in reverse, some in one datagram; every third is refused.
      const answers = sent.map((it) => acknowledge(it, sizeOf(it) % 3 === 0 ? 17 : 0)).reverse();
      while (answers.length > 0) socket.queue(...answers.splice(0, 5));
    });
    const results = connection.batch(requests(count));
    assertEquals(
      results.map((result) => result.ok ? 0 : errorOf(result).errno),
      Array.from({ length: count }, (_, i) => i % 3 === 0 ? 17 : 0),
    );
    assertEquals(socket.sends.flat().map(sizeOf), Array.from({ length: count }, (_, i) => i));
    assertEquals(socket.sends.length, Math.ceil(count / 128));
    assert(socket.sends.every((sent) => sent.length <= 128));
    assertEquals(socket.pending, 0);
  });
}

Deno.test("A batch sends no more than 64 KiB at once, unless one request has more", () => {
  const { connection, socket } = connect(agree);
  const big = (size: number): Request => {
    const request = newToy({});
    const write: typeof request.format.write = (writer) => void writer.reserve(size);
    return { ...request, format: { ...request.format, write } };
  };
  const results = connection.batch([40000, 20000, 10000, 70000, 4, 65484, 0].map(big));
  assert(results.every(({ ok }) => ok));
  assertEquals(
    socket.sends.map((sent) => sent.map(({ body }) => body.length)),
    [[40000, 20000], [10000], [70000], [4, 65484, 0]],
  );
});

Deno.test("Requests with replies count more: their answers are larger", () => {
  const { connection, socket } = connect((sent, socket) => {
    for (const it of sent) socket.queue(toyMessage(it.sequence, { size: it.sequence }));
  });
  const results = connection.batch(Array.from({ length: 40 }, () => getToy("x")));
  assertEquals(socket.sends.map((sent) => sent.length), [16, 16, 8]);
  assertEquals(
    results.map((result) => result.ok && (result.value as Toy).size),
    socket.sends.flat().map(({ sequence }) => sequence),
  );
});

Deno.test("Bad input in a batch throws with nothing sent, and does no harm to what follows", () => {
  const { connection, socket } = connect(agree);
  const bad = [...requests(200), newToy({ name: "much too long" }), newToy({})];
  assertThrows(() => connection.batch(bad), RangeError, "name must have at most 7 bytes");
  assertEquals(socket.sends.length, 0);
  assert(connection.batch(requests(3)).every(({ ok }) => ok));
  assertEquals(socket.sends.flat().map(sizeOf), [0, 1, 2]);
});

Deno.test("Values do not change when the socket's memory is used again", () => {
  const { connection } = connect((sent, socket) => {
    for (const it of sent) {
      const body = concat(word(0), attribute(2, cString("kept")), attribute(99, fromHex("0102")));
      socket.queue(message(101, 0, it.sequence, body));
    }
  });
  const [first, second] = connection.batch([getToy("x"), getToy("y")]);
  connection.request(getToy("z"));
  assertEquals(first, second);
});

Deno.test("A reply of 300 KiB is read", () => {
  const bytes = new Uint8Array(60000).fill(7);
  const { connection } = connect(([sent], socket) => {
    const parts = Array.from({ length: 5 }, (_, i) => attribute(90 + i, bytes));
    const body = concat(word(0), attribute(1, word(5)), ...parts);
    assert(body.length > 300_000);
    socket.queue(message(101, 0, sent!.sequence, body));
  });
  assertEquals(connection.request(getToy("x")).size, 5);
});

Deno.test("A reply that cannot be read is its request's error, not the batch's", () => {
  const { connection } = connect((sent, socket) => {
    const [a, b, c] = sent as [SentMessage, SentMessage, SentMessage];
    socket.queue(toyMessage(a.sequence, { size: 1 }));
    socket.queue(message(101, 0, b.sequence, concat(word(0), attribute(1, fromHex("01")))));
    socket.queue(toyMessage(c.sequence, { size: 3 }));
  });
  const [a, b, c] = connection.batch(["a", "b", "c"].map(getToy));
  assert(a!.ok && c!.ok && !b!.ok);
  assertInstanceOf(b!.error, NetlinkDecodeError);
  const { connection: again } = connect(([sent], socket) =>
    socket.queue(message(101, 0, sent!.sequence, concat(word(0), fromHex("ffff0100"))))
  );
  assertThrows(() => again.request(getToy("x")), NetlinkDecodeError, "claims 65535 of 4 bytes");
});

Deno.test("An answer shorter than its header is its request's error, not the batch's", () => {
  for (const bad of [fromHex(""), fromHex("0102")]) {
    const script = (error: boolean): Script => (sent, socket) => {
      const [a, b, c] = sent as [SentMessage, SentMessage, SentMessage];
      const good = (sequence: number) => toyMessage(sequence, { size: 1 });
      const short = message(error ? 2 : 101, 0, b.sequence, bad);
      socket.queue(good(a.sequence), short, good(c.sequence));
    };
    for (const error of [false, true]) {
      const { connection } = connect(script(error));
      const [a, b, c] = connection.batch(["a", "b", "c"].map(getToy));
      assert(a!.ok && c!.ok && !b!.ok);
      assertInstanceOf(b!.error, NetlinkDecodeError);
      const { connection: dumping } = connect(([sent], socket) =>
        socket.queue(message(error ? 2 : 101, 2, sent!.sequence, bad), done(sent!))
      );
      assertThrows(() => dumping.dump(dumpToys()), NetlinkDecodeError);
    }
  }
});

Deno.test("A missing answer is an error, not a wait", () => {
  const { connection } = connect((sent, socket) => socket.queue(acknowledge(sent[1]!)));
  const results = connection.batch(requests(3));
  assertEquals(results.map(({ ok }) => ok), [false, true, false]);
  assertEquals(
    errorOf(results[0]).message,
    'make toy ? in netns "blue": The kernel sent no answer (ENODATA); the change may have been made',
  );
});

Deno.test("Answers lost to a full buffer are ENOBUFS, and those that came count", () => {
  const { connection, socket } = connect((sent, socket) => {
    socket.queue(acknowledge(sent[0]!), acknowledge(sent[1]!, 17));
    socket.queue(new SyscallError("receive", { syscall: "recv", errno: ERRNO.ENOBUFS }));
    socket.queue(acknowledge(sent.at(-1)!));
  });
  const results = connection.batch(requests(200));
  const outcome = (i: number) => results[i]!.ok ? "ok" : errorOf(results[i]).code;
  assertEquals([0, 1, 2, 126, 127, 128, 129, 130, 198, 199].map(outcome), [
    "ok",
    "EEXIST",
    "ENOBUFS",
    "ENOBUFS",
    "ok",
    "ok",
    "EEXIST",
    "ENOBUFS",
    "ENOBUFS",
    "ok",
  ]);
  assertEquals(results.length, 200);
  assertEquals(socket.pending, 0);
  assertEquals(
    errorOf(results[2]).message,
    `make toy ? in netns "blue": The kernel's answer was lost (ENOBUFS); the change may have been made`,
  );
});

Deno.test("An error of the socket that stays is thrown as it is, one that passes is read over", () => {
  const broken = () => new SyscallError("receive", { syscall: "recv", errno: ERRNO.EBADF });
  const { connection } = connect((_, socket) => {
    for (let i = 0; i < 2; i++) socket.queue(broken());
  });
  const error = assertThrows(() => connection.request(newToy({})), SyscallError);
  assertEquals(error.code, "EBADF");
  const { connection: passing, socket } = connect(([sent], socket) => {
    socket.queue(broken());
    socket.queue(acknowledge(sent!));
  });
  assertEquals(passing.request(newToy({})), undefined);
  assertEquals([socket.sends.length, socket.closed], [1, false]);
});

Deno.test("Where a later send of a batch fails, the results of the earlier ones are there", () => {
  const { connection } = connect((sent, socket) => {
    if (socket.sends.length === 2) {
      throw new SyscallError("send", { syscall: "send", errno: ERRNO.ENOMEM });
    }
    agree(sent, socket);
  });
  const results = connection.batch(requests(300));
  const outcomes = results.map((result) => result.ok ? "ok" : (result.error as KernelError).code);
  assertEquals(outcomes, [...Array(128).fill("ok"), ...Array(172).fill("ENOMEM")]);
  assert(connection.batch(requests(3)).every(({ ok }) => ok));
});

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

/** Answers dumps with one toy, the number of the attempt; marked as interrupted while told so. */
function interrupting(attempts: number, mark: "entry" | "end"): Script {
  let attempt = 0;
  return ([sent], socket) => {
    const flags = ++attempt <= attempts ? NLM_F.DUMP_INTR : 0;
    const toy = (size: number) =>
      toyMessage(sent!.sequence, { size }, NLM_F.MULTI | (mark === "entry" ? flags : 0));
    socket.queue(toy(attempt));
    socket.queue(toy(attempt * 100));
    socket.queue(
      message(3, NLM_F.MULTI | (mark === "end" ? flags : 0), sent!.sequence, word(0)),
    );
  };
}

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

Deno.test("A connection whose answers were not read to the end goes on over another socket", () => {
  const failures: [what: string, queue: (sent: SentMessage, socket: FakeSocket) => void, string][] =
    [
      ["an empty datagram", (_, socket) => socket.queue(new Uint8Array(0)), "EMSGSIZE"],
      ["no end", ({ sequence }, socket) => socket.queue(toyMessage(sequence, {})), "ENODATA"],
      ["an error of the socket", (_, socket) => {
        socket.queue(new SyscallError("receive", { syscall: "recv", errno: ERRNO.ENOBUFS }));
      }, "ENOBUFS"],
    ];
  for (const [what, fail, code] of failures) {
    const sockets: FakeSocket[] = [];
    const connection = new Connection(() => {
      const socket = new FakeSocket(([sent], socket) => {
        if (socket === sockets[0]) return fail(sent!, socket);
        socket.queue(toyMessage(sent!.sequence, { size: 7 }), done(sent!));
      });
      sockets.push(socket);
      return socket;
    }, where);
    assertEquals(assertThrows(() => connection.dump(dumpToys()), KernelError).code, code, what);
    assertEquals(connection.dump(dumpToys()).map(({ size }) => size), [7], what);
    assertEquals(sockets.map(({ closed }) => closed), [true, false], what);
  }
});

Deno.test("An empty answer to a request is EMSGSIZE, and what follows has a socket of its own", () => {
  let broken = true;
  const { connection } = connect(([sent], socket) => {
    socket.queue(broken ? new Uint8Array(0) : acknowledge(sent!));
  });
  const error = assertThrows(() => connection.request(newToy({})), NetlinkError);
  assertEquals(error.code, "EMSGSIZE");
  broken = false;
  assertEquals(connection.request(newToy({})), undefined);
});

Deno.test("An answer longer than the memory for it is asked for again", () => {
  const answer = (sequence: number) => {
    const parts = Array.from({ length: 12 }, () => attribute(90, new Uint8Array(60_000)));
    return message(101, 0, sequence, concat(word(0), attribute(1, word(5)), ...parts));
  };
  const { connection, socket } = connect((sent, socket) => {
    for (const { sequence, type } of sent) {
      socket.queue(type === GET_TOY ? answer(sequence) : acknowledge(sent[0]!));
    }
  });
  const results = connection.batch([newToy({ size: 1 }), getToy("x")]);
  assertEquals(results.map((result) => result.ok), [true, true]);
  assertEquals(socket.sends.map((sent) => sent.map(({ type }) => type)), [
    [NEW_TOY, GET_TOY],
    [GET_TOY],
  ]);
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

Deno.test("A decoder may make requests on the same connection", () => {
  const script: Script = (sent, socket) => {
    for (const it of sent) {
      socket.queue(toyMessage(it.sequence, { size: it.body.length }));
      if (it.flags & NLM_F.DUMP) socket.queue(done(it));
    }
  };
  const connection = new Connection(() => new FakeSocket(script), where);
  const nesting = <T extends Request<Toy>>(request: T): T => ({
    ...request,
    reply: (...args) => {
      connection.batch(Array.from({ length: 20 }, () => getToy("inner")));
      connection.dump(dumpToys());
      return request.reply!(...args);
    },
  });
  const results = connection.batch(["a", "b", "c"].map((name) => nesting(getToy(name))));
  assertEquals(results.map((result) => result.ok && (result.value as Toy).size), [12, 12, 12]);
  assertEquals(connection.dump(nesting(dumpToys())).length, 1);
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

Deno.test("Closing a connection closes its socket", () => {
  const { connection, socket } = connect(agree);
  {
    using _connection = connection;
    connection.request(newToy({}));
    assert(!socket.closed);
  }
  assert(socket.closed);
  assertThrows(() => connection.request(newToy({})), TypeError, "The connection is closed");
});

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
