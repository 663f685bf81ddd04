import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Connection } from "../../src/netlink/connection.ts";
import {
  NL_POLICY_TYPE_ATTR,
  NLMSG,
  NLMSGERR_ATTR,
  type Request,
} from "../../src/netlink/message.ts";
import { NetlinkError } from "../../src/netlink/error.ts";
import { newLink } from "../../src/rtnetlink/link.ts";
import { newRoute } from "../../src/rtnetlink/route.ts";
import {
  acknowledge,
  attribute,
  concat,
  cString,
  done,
  FakeSocket,
  long,
  message,
  type SentMessage,
  word,
} from "./fake_socket.ts";
import { dumpToys, getToy, newToy } from "./toy.ts";

const where = { description: 'netns "blue"', netnsName: "blue" };

/** The error of a request that the kernel refuses with attributes made from what it was sent. */
function refusal(
  request: Request,
  errno: number,
  attributes: (sent: SentMessage) => Uint8Array[],
): NetlinkError {
  using connection = new Connection(
    () =>
      new FakeSocket(([sent], socket) => {
        socket.queue(acknowledge(sent!, errno, ...attributes(sent!)));
      }),
    where,
  );
  return assertThrows(() => connection.request(request), NetlinkError);
}

/** Offset, from the start of the message, of the first attribute of this type and payload size. */
function offsetOf({ body }: SentMessage, type: number, size: number, from = 0): number {
  const view = new DataView(body.buffer, body.byteOffset);
  for (let at = from; at + 4 <= body.length; at += 4) {
    const here = view.getUint16(at + 2, true) & 0x3fff;
    if (view.getUint16(at, true) === size + 4 && here === type) return 16 + at;
  }
  throw new Error(`No attribute ${type} of ${size} bytes in the message`);
}

const note = (text: string) => attribute(NLMSGERR_ATTR.MSG, cString(text));
const offset = (value: number) => attribute(NLMSGERR_ATTR.OFFS, word(value));

Deno.test("An error has number, name, place and the kernel's own words", () => {
  const error = refusal(newToy({ name: "robot" }), 17, () => [note("There is one")]);
  assertEquals(
    error.message,
    'make toy robot in netns "blue": File exists (EEXIST): There is one',
  );
  const { operation, netns, errno, code, ack } = error;
  assertEquals(
    { operation, netns, errno, code, ack },
    {
      operation: "make toy robot",
      netns: 'netns "blue"',
      errno: 17,
      code: "EEXIST",
      ack: { message: "There is one" },
    },
  );
});

Deno.test("An error without extended acknowledgement has the number's text alone", () => {
  const error = refusal(newToy({ name: "robot" }), 22, () => []);
  assertEquals(error.message, 'make toy robot in netns "blue": Invalid argument (EINVAL)');
  assertEquals(error.ack, {});
});

Deno.test("A number that has no name here is shown as a number", () => {
  assertEquals(refusal(newToy({}), 523, () => []).code, "errno 523");
});

Deno.test("Missing privileges come with advice", () => {
  assertStringIncludes(refusal(newToy({}), 1, () => []).message, "unshare -Urmn");
});

Deno.test("The offset becomes the attribute's name", () => {
  const error = refusal(newToy({ size: 1, name: "robot" }), 34, (sent) => [
    note("Too long"),
    offset(offsetOf(sent, 2, 6)),
  ]);
  assertEquals(error.ack.attribute, ["TOY_NAME"]);
  assertStringIncludes(error.message, "Too long at TOY_NAME");
});

Deno.test("An offset in a nest becomes the path to it", () => {
  const toy = { name: "robot", parts: { width: 1, deep: { depth: 3 }, height: 2 } };
  const path = (type: number, size: number, from?: number) =>
    refusal(newToy(toy), 22, (sent) => [offset(offsetOf(sent, type, size, from))]).ack.attribute;
  assertEquals(path(3, 28), ["TOY_PARTS"]);
  assertEquals(path(1, 2), ["TOY_PARTS", "TOY_PART_WIDTH"]);
  assertEquals(path(1, 1), ["TOY_PARTS", "TOY_PART_DEEP", "TOY_DEEP_DEPTH"]);
  assertEquals(path(3, 2), ["TOY_PARTS", "TOY_PART_HEIGHT"]);
});

Deno.test("The path goes on into the options of a link kind", () => {
  const request = newLink({
    name: "t0",
    linkInfo: { kind: "bridge", data: { priority: 1, ageingTime: 7 } },
  });
  const error = refusal(request, 34, (sent) => [
    note("out of range"),
    offset(offsetOf(sent, 4, 4)),
  ]);
  assertEquals(error.ack.attribute, ["IFLA_LINKINFO", "IFLA_INFO_DATA", "IFLA_BR_AGEING_TIME"]);
  assertEquals(
    error.message,
    'create bridge "t0" in netns "blue": Numerical result out of range (ERANGE): out of range ' +
      "at IFLA_LINKINFO.IFLA_INFO_DATA.IFLA_BR_AGEING_TIME",
  );
});

Deno.test("The path goes on into a route's nexthops, whose headers are longer", () => {
  const request = newRoute({
    destination: "10.0.0.0/8",
    nexthops: [{ gateway: "192.0.2.1", oif: 1 }, { oif: 2 }, { gateway: "192.0.2.3", oif: 3 }],
  });
  const error = refusal(request, 22, (sent) => [
    // The last gateway: the attribute that ends the message.
    offset(16 + sent.body.length - 8),
  ]);
  assertEquals(error.ack.attribute, ["RTA_MULTIPATH", "nexthop", "RTA_GATEWAY"]);
});

Deno.test("An attribute whose name is not known is named by its set and number", () => {
  const raw = newLink({ name: "t0", linkInfo: { kind: "no such", data: new Uint8Array(8) } });
  const error = refusal(raw, 22, (sent) => [offset(offsetOf(sent, 2, 8))]);
  assertEquals(error.ack.attribute, ["IFLA_LINKINFO", "IFLA_INFO_DATA"]);
});

Deno.test("Offsets count from each message of a batch", () => {
  using connection = new Connection(
    () =>
      new FakeSocket((sent, socket) => {
        for (const it of sent) socket.queue(acknowledge(it, 22, offset(offsetOf(it, 2, 3))));
      }),
    where,
  );
  const toys = [newToy({ name: "ab" }), newToy({ size: 1, name: "cd" }), newToy({ name: "ef" })];
  for (const result of connection.batch(toys)) {
    assert(!result.ok && result.error instanceof NetlinkError);
    assertEquals(result.error.ack.attribute, ["TOY_NAME"]);
  }
});

Deno.test("Offsets that lead nowhere do no harm", () => {
  for (const value of [0, 4, 16, 1 << 20, 0xffffffff]) {
    const { ack } = refusal(newToy({ name: "robot" }), 22, () => [note("hm"), offset(value)]);
    assertEquals([ack.message, ack.attribute], ["hm", []]);
  }
});

Deno.test("A missing attribute is named, at the top and in its nest", () => {
  const type = (value: number) => attribute(NLMSGERR_ATTR.MISS_TYPE, word(value));
  const nest = (value: number) => attribute(NLMSGERR_ATTR.MISS_NEST, word(value));
  const top = refusal(newToy({ name: "robot" }), 22, () => [type(1)]);
  assertEquals(top.ack.missing, ["TOY_SIZE"]);
  assertStringIncludes(top.message, "(EINVAL), TOY_SIZE is missing");
  const inside = refusal(newToy({ parts: { deep: {} } }), 22, (sent) => [
    type(1),
    nest(offsetOf(sent, 2, 0)),
  ]);
  assertEquals(inside.ack.missing, ["TOY_PARTS", "TOY_PART_DEEP", "TOY_DEEP_DEPTH"]);
  assertEquals(refusal(newToy({}), 22, () => [type(77)]).ack.missing, ["TOY_77"]);
});

Deno.test("A policy note says what is accepted", () => {
  const A = NL_POLICY_TYPE_ATTR;
  const accepted = (...attributes: Uint8Array[]) =>
    refusal(newToy({}), 34, () => [attribute(NLMSGERR_ATTR.POLICY, concat(...attributes))]).ack
      .policy;
  const type = (value: number) => attribute(A.TYPE, word(value));
  assertEquals(accepted(type(4)), "u32");
  assertEquals(
    accepted(type(4), attribute(A.MIN_VALUE_U, long(1n)), attribute(A.MAX_VALUE_U, long(10n))),
    "u32 in 1..10",
  );
  assertEquals(
    accepted(type(8), attribute(A.MIN_VALUE_S, long(-5n)), attribute(A.MAX_VALUE_S, long(5n))),
    "s32 in -5..5",
  );
  assertEquals(
    accepted(type(5), attribute(A.MIN_VALUE_U, long(0n)), attribute(A.MAX_VALUE_U, long(-1n))),
    "u64 in 0..18446744073709551615",
  );
  assertEquals(accepted(type(4), attribute(A.MAX_VALUE_U, long(10n))), "u32 in ..10");
  assertEquals(
    accepted(type(12), attribute(A.MAX_LENGTH, word(15))),
    "NUL-terminated text of 0..15 bytes",
  );
  assertEquals(
    accepted(type(10), attribute(A.MIN_LENGTH, word(6)), attribute(A.MAX_LENGTH, word(6))),
    "binary of 6..6 bytes",
  );
  assertEquals(accepted(type(4), attribute(A.MASK, long(0xffn))), "u32 within mask 0xff");
  assertEquals(
    accepted(type(15), attribute(A.BITFIELD32_MASK, word(3))),
    "bitfield32 within mask 0x3",
  );
  assertEquals(accepted(type(99)), "type 99");
});

Deno.test("Attributes of an acknowledgement that are not known are passed over", () => {
  const error = refusal(newToy({}), 22, () => [
    attribute(NLMSGERR_ATTR.COOKIE, new Uint8Array(20)),
    attribute(77, new Uint8Array(3)),
    note("after them"),
  ]);
  assertEquals(error.ack, { message: "after them" });
});

Deno.test("An error that brings the whole request back is understood too", () => {
  const script =
    (flags: number, ...attributes: Uint8Array[]) =>
    ([sent]: readonly SentMessage[], socket: FakeSocket) => {
      const echo = message(sent!.type, sent!.flags, sent!.sequence, sent!.body);
      const body = concat(word(-17), echo, ...attributes);
      socket.queue(message(NLMSG.ERROR, flags, sent!.sequence, body));
    };
  for (
    const [flags, attributes, ack] of [
      [0x200, [note("told")], { message: "told" }],
      [0, [], {}],
    ] as const
  ) {
    using connection = new Connection(() => new FakeSocket(script(flags, ...attributes)), where);
    const request = newToy({ name: "abcde" });
    const error = assertThrows(() => connection.request(request), NetlinkError);
    assertEquals([error.code, error.ack], ["EEXIST", ack]);
  }
});

Deno.test("An acknowledgement of success may carry a remark", () => {
  using connection = new Connection(
    () =>
      new FakeSocket(([sent], socket) => {
        socket.queue(acknowledge(sent!, 0, note("deprecated")));
      }),
    where,
  );
  assertEquals(connection.request(newToy({})), undefined);
});

Deno.test("The end of a dump explains an error as an acknowledgement does", () => {
  using connection = new Connection(
    () =>
      new FakeSocket(([sent], socket) => {
        socket.queue(done(sent!, 22, note("Not like this"), offset(20)));
      }),
    where,
  );
  const request = { ...dumpToys(), message: { size: 5 } };
  const error = assertThrows(() => connection.dump(request), NetlinkError);
  assertEquals(
    error.message,
    'list toys in netns "blue": Invalid argument (EINVAL): Not like this at TOY_SIZE',
  );
});

Deno.test("A request for data that is refused explains itself too", () => {
  const error = refusal(getToy("x"), 2, (sent) => [note("No toy"), offset(offsetOf(sent, 2, 2))]);
  assertEquals([error.code, error.ack], ["ENOENT", { message: "No toy", attribute: ["TOY_NAME"] }]);
});
