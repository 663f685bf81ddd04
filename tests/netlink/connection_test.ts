import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ERRNO, KernelError, SyscallError } from "../../ffi/errno.ts";
import { Connection } from "../../src/netlink/connection.ts";
import type { Result } from "../../src/netlink/outbox.ts";
import { NLM_F, type Request } from "../../src/netlink/message.ts";
import { NetlinkDecodeError, NetlinkError } from "../../src/netlink/error.ts";
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
import { agree, connect, requests, sizeOf, toyMessage, where } from "./toy_connection.ts";

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
