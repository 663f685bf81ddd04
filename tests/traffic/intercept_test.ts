// link.intercept() on a veth between two namespaces: what a handler decides is what arrives.
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import {
  type Intercept,
  type InterceptedFrame,
  type InterceptOptions,
  NetlinkError,
  NetNs,
  Scope,
  Tap,
  Tun,
  UdpSocket,
  Veth,
} from "../../mod.ts";
import "../../src/traffic/mod.ts";
import { buildPacket, ethernet, ipv4, udp } from "../../src/packet/mod.ts";
import { Pair } from "../capture/pair.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";

const TEXT = new TextDecoder();
const [HERE, THERE] = ["10.0.0.1", "10.0.0.2"] as const;

/** A pair with datagrams from `a` to `b` and back. */
class Datagrams implements AsyncDisposable {
  readonly pair: Pair;
  readonly near: UdpSocket;
  readonly far: UdpSocket;
  readonly #buffer = new Uint8Array(2048);

  private constructor(pair: Pair) {
    this.pair = pair;
    const [here, there] = [{ address: HERE, port: 5000 }, { address: THERE, port: 6000 }];
    this.near = UdpSocket.open({ netns: pair.a, local: here, remote: there });
    this.far = UdpSocket.open({ netns: pair.b, local: there, remote: here });
  }

  static async open(): Promise<Datagrams> {
    const pair = await Pair.open({ ip: true });
    // The neighbors are known from here on: no ARP in the way.
    await pair.a.ping(THERE);
    return new Datagrams(pair);
  }

  /** Intercepts the datagrams at the end in `a`. */
  intercept(
    handler: (frame: InterceptedFrame, text: string) => unknown,
    options: InterceptOptions = {},
  ): Intercept {
    const filter = { protocol: "udp" } as const;
    return this.pair.link.intercept(
      (frame) => handler(frame, TEXT.decode(frame.packet.payload)),
      { filter, ...options },
    );
  }

  async send(...texts: string[]): Promise<void> {
    for (const text of texts) await this.near.write(new TextEncoder().encode(text));
  }

  async sendBack(...texts: string[]): Promise<void> {
    for (const text of texts) await this.far.write(new TextEncoder().encode(text));
  }

  /** The next datagram that arrives. */
  async next(socket: UdpSocket = this.far): Promise<string> {
    const length = await socket.read(this.#buffer, { signal: AbortSignal.timeout(5000) });
    return TEXT.decode(this.#buffer.subarray(0, length));
  }

  /** The texts that arrive until a last one does, which passes every interception here. */
  async until(last: string, socket: UdpSocket = this.far): Promise<string[]> {
    const texts: string[] = [];
    for (let text = ""; (text = await this.next(socket)) !== last;) texts.push(text);
    return texts;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.near.close();
    this.far.close();
    this.pair[Symbol.dispose]();
    return Promise.resolve();
  }
}

/** Everything that `tc` and `ip` show of a link. */
function shown({ a }: Pair): string {
  return ["tc -d qdisc show dev v0", "tc -d filter show dev v0 ingress"]
    .concat(["tc -d filter show dev v0 egress", "ip -d link"])
    .map((line) => {
      try {
        return run(a.ref, line);
      } catch (error) {
        return String(error);
      }
    }).join("\n");
}

test("A frame passes, also as copies, when its handler decides so or nothing", async () => {
  await using net = await Datagrams.open();
  using interception = net.intercept((frame, text) => {
    if (text === "pass") frame.pass();
    if (text === "twice") frame.duplicate();
  });
  await net.send("nothing", "pass", "twice", "end");
  assertEquals(await net.until("end"), ["nothing", "pass", "twice", "twice"]);
  const { frames, passed, dropped, waiting, overflows, refused, errors } = interception.stats;
  assertEquals([frames, passed, dropped, waiting, overflows, refused, errors], [
    4,
    5,
    0,
    0,
    0,
    0,
    0,
  ]);
});

test("drop() ends a frame, and both directions are told apart", async () => {
  await using net = await Datagrams.open();
  const seen: string[] = [];
  using interception = net.intercept((frame, text) => {
    seen.push(`${frame.direction} ${text}`);
    if (text === "lost") frame.drop();
  });
  await net.send("lost", "end");
  assertEquals(await net.until("end"), []);
  await net.sendBack("lost", "back");
  assertEquals(await net.until("back", net.near), []);
  assertEquals(seen, ["out lost", "out end", "in lost", "in back"]);
  assertEquals(interception.stats.dropped, 2);
});

test("delay() lets other frames overtake, and keeps the frame at least as long", async () => {
  await using net = await Datagrams.open();
  using _interception = net.intercept((frame, text) => {
    if (text === "late") frame.delay(50);
    if (text === "later") frame.delay(1000.5);
  });
  const start = performance.now();
  await net.send("later", "late", "soon");
  assertEquals([await net.next(), await net.next()], ["soon", "late"]);
  assert(performance.now() - start >= 50);
  assertEquals(await net.next(), "later");
  assert(performance.now() - start >= 1000.5);
});

test("hold() keeps frames until release(), or until another call decides", async () => {
  await using net = await Datagrams.open();
  const held = new Map<string, InterceptedFrame>();
  using interception = net.intercept((frame, text) => {
    if (text === "end") return;
    held.set(text, frame);
    frame.hold();
  });
  await net.send("a", "b", "c", "d", "end");
  assertEquals(await net.until("end"), []);
  assertEquals(interception.stats.waiting, 4);
  held.get("b")!.pass();
  assertEquals(await net.next(), "b");
  held.get("a")!.drop();
  assertEquals(interception.release(), 2);
  assertEquals([await net.next(), await net.next()], ["c", "d"]);
  assertEquals(interception.stats.waiting, 0);
  assertThrows(() => held.get("b")!.drop(), TypeError, "The frame is on its way");
});

test("replace() mends the checksums, and changes in place do not", async () => {
  await using net = await Datagrams.open();
  using _interception = net.intercept((frame, text) => {
    if (text === "end") return;
    frame.packet.payload[0] = "J".charCodeAt(0);
    if (text === "Mended") frame.replace(frame.bytes);
  });
  await net.send("Broken", "Mended", "end");
  assertEquals(await net.until("end"), ["Jended"]);
});

test("replace() takes frames of another length", async () => {
  await using net = await Datagrams.open();
  using _interception = net.intercept((frame, text) => {
    const { ethernet: link, ipv4: ip, udp: ports } = frame.packet;
    frame.replace(buildPacket(
      ethernet({ source: link!.source, destination: link!.destination }),
      ipv4({ source: ip!.source, destination: ip!.destination }),
      udp({ sourcePort: ports!.sourcePort, destinationPort: ports!.destinationPort }),
      new TextEncoder().encode(text.repeat(100)),
    ));
  });
  await net.send("ab");
  assertEquals(await net.next(), "ab".repeat(100));
  await net.sendBack("c");
  assertEquals(await net.next(net.near), "c".repeat(100));
});

test("answer() sends a frame back in both directions, and drops the other one", async () => {
  await using net = await Datagrams.open();
  using interception = net.intercept((frame, text) => {
    if (!text.startsWith("ask")) return;
    const { ethernet: link, ipv4: ip, udp: ports } = frame.packet;
    frame.answer(buildPacket(
      ethernet({ source: link!.destination, destination: link!.source }),
      ipv4({ source: ip!.destination, destination: ip!.source }),
      udp({ sourcePort: ports!.destinationPort, destinationPort: ports!.sourcePort }),
      new TextEncoder().encode(`answer to ${text}`),
    ));
    if (text === "ask both") frame.pass();
  });
  await net.send("ask");
  assertEquals(await net.next(net.near), "answer to ask");
  await net.sendBack("ask back");
  assertEquals(await net.next(net.far), "answer to ask back");
  await net.send("ask both");
  assertEquals(await net.next(net.near), "answer to ask both");
  assertEquals(await net.next(net.far), "ask both");
  const { answered, dropped } = interception.stats;
  assertEquals([answered, dropped], [3, 2]);
});

test("A handler may be async: its frame waits, and others do not", async () => {
  await using net = await Datagrams.open();
  const gate = Promise.withResolvers<void>();
  using interception = net.intercept(async (frame, text) => {
    if (text === "slow") await gate.promise;
    if (text === "dropped") frame.drop();
  });
  await net.send("slow", "dropped", "fast");
  assertEquals(await net.next(), "fast");
  assertEquals(interception.stats.waiting, 1);
  gate.resolve();
  assertEquals(await net.next(), "slow");
  assertEquals(interception.stats.waiting, 0);
});

test("A slow handler loses frames beyond the limit, counted, and the link recovers", async () => {
  await using net = await Datagrams.open();
  const gate = Promise.withResolvers<void>();
  using interception = net.intercept(() => gate.promise, { limit: 2 });
  await net.send("1", "2", "3", "4");
  while (interception.stats.overflows < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  gate.resolve();
  assertEquals([await net.next(), await net.next()], ["1", "2"]);
  await net.send("5");
  assertEquals(await net.next(), "5");
});

test("A handler that throws or rejects is reported, and its frame passes", async () => {
  await using net = await Datagrams.open();
  const reported: string[] = [];
  using interception = net.intercept((_frame, text) => {
    if (text === "throws") throw new Error("thrown");
    return text === "rejects" ? Promise.reject(new Error("rejected")) : undefined;
  }, { onError: (error) => reported.push((error as Error).message) });
  await net.send("throws", "rejects", "end");
  const texts = [await net.next(), await net.next(), await net.next()];
  assertEquals(texts.sort(), ["end", "rejects", "throws"]);
  assertEquals(reported, ["thrown", "rejected"]);
  assertEquals(interception.stats.errors, 2);
});

test("The interception goes on when onError throws or rejects", async () => {
  await using net = await Datagrams.open();
  const printed: string[] = [];
  const { error: print } = console;
  console.error = (error: Error) => void printed.push(error.message);
  try {
    using interception = net.intercept((_frame, text) => {
      if (text !== "end") throw new Error(text);
    }, {
      onError: (error) => {
        const { message } = error as Error;
        if (message === "rejects") return Promise.reject(new Error("onError rejects"));
        throw new Error(`onError ${message}`);
      },
    });
    await net.send("throws", "rejects", "end");
    assertEquals([await net.next(), await net.next(), await net.next()], [
      "throws",
      "rejects",
      "end",
    ]);
    assertEquals(printed, ["onError throws", "onError rejects"]);
    assertEquals([interception.stats.errors, interception.closed], [4, false]);
  } finally {
    console.error = print;
  }
});

test("Frames that the filter does not match stay in the kernel", async () => {
  await using net = await Datagrams.open();
  let frames = 0;
  using interception = net.intercept(() => void frames++, { filter: { protocol: "tcp" } });
  await net.send("passes by");
  assertEquals(await net.next(), "passes by");
  assertEquals((await net.pair.a.ping(THERE)).received, 1);
  assertEquals([frames, interception.stats.frames], [0, 0]);
});

test("close() restores the link byte for byte, and lets the frames pass that wait", async () => {
  await using net = await Datagrams.open();
  const before = shown(net.pair);
  const interception = net.intercept((frame, text) =>
    text === "held" ? frame.hold() : frame.delay(60_000)
  );
  await net.send("held", "delayed");
  while (interception.stats.waiting < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  assert(shown(net.pair) !== before);
  interception.close();
  interception.close();
  assertEquals(shown(net.pair), before);
  assertEquals([await net.next(), await net.next()].sort(), ["delayed", "held"]);
  await net.send("direct");
  assertEquals(await net.next(), "direct");
});

test("close() leaves a clsact and filters of others as they are", async () => {
  await using net = await Datagrams.open();
  const { a } = net.pair;
  run(a.ref, "tc qdisc add dev v0 clsact");
  run(
    a.ref,
    "tc filter add dev v0 egress prio 1 protocol ip u32 match ip dport 9 0xffff classid 1:1",
  );
  run(
    a.ref,
    "tc filter add dev v0 ingress prio 7 protocol ip u32 match ip dport 9 0xffff classid 1:2",
  );
  const before = shown(net.pair);
  const interception = net.intercept(() => {});
  await net.send("through");
  assertEquals(await net.next(), "through");
  await net.sendBack("back");
  assertEquals(await net.next(net.near), "back");
  assertEquals(interception.stats.passed, 2);
  interception.close();
  assertEquals(shown(net.pair), before);
});

test("Several interceptions of a link follow each other, in the order of their start", async () => {
  await using net = await Datagrams.open();
  const before = shown(net.pair);
  const order: string[] = [];
  const first = net.intercept((frame, text) => void order.push(`1 ${frame.direction} ${text}`));
  const second = net.intercept((frame, text) => void order.push(`2 ${frame.direction} ${text}`));
  const third = net.intercept((frame, text) => void order.push(`3 ${frame.direction} ${text}`));
  await net.send("there");
  assertEquals(await net.next(), "there");
  await net.sendBack("back");
  assertEquals(await net.next(net.near), "back");
  const all = ["out there", "in back"].flatMap((it) => ["1", "2", "3"].map((n) => `${n} ${it}`));
  assertEquals(order, all);
  first.close();
  await net.send("again");
  assertEquals(await net.next(), "again");
  assertEquals(order.slice(6), ["2 out again", "3 out again"]);
  third.close();
  second.close();
  assertEquals(shown(net.pair), before);
});

test("Interceptions at both ends of a pair in one namespace are told apart", async () => {
  using netns = NetNs.create();
  run(netns.ref, "ip link add v0 type veth peer name v1");
  run(netns.ref, "ip link set v0 up addrgenmode none");
  run(netns.ref, "ip link set v1 up addrgenmode none");
  const [one, other] = ["v0", "v1"].map((name) => netns.links.get(name));
  await one!.waitFor((link) => link.operstate === "up");
  const seen: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const filter = { protocol: "udp" } as const;
  using _a = one!.intercept((frame) => void seen.push(`v0 ${frame.direction}`), { filter });
  using _b = other!.intercept((frame) => {
    seen.push(`v1 ${frame.direction}`);
    resolve();
  }, { filter });
  run(netns.ref, "ip addr add 10.0.0.1/24 dev v0");
  run(netns.ref, "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:01 dev v0");
  using socket = UdpSocket.open({ netns, remote: { address: THERE, port: 9 } });
  await socket.write(new Uint8Array(10));
  await promise;
  assertEquals(seen, ["v0 out", "v1 in"]);
});

test("intercept() refuses links without Ethernet headers, and the discipline ingress for outgoing frames", async () => {
  using pair = await Pair.open();
  using tun = Tun.create({ netns: pair.a });
  const error = assertThrows(() => tun.link.intercept(() => {}), NetlinkError);
  assertMatch(error.message, /its frames have no Ethernet header/);
  run(pair.a.ref, "tc qdisc add dev v0 ingress");
  const before = shown(pair);
  const lo = pair.a.links.get("lo");
  assertThrows(() => lo.intercept(() => {}), NetlinkError, "back only untouched");
  assertThrows(() => pair.link.intercept(() => {}), NetlinkError, "clsact has one");
  assertEquals(shown(pair), before);
  pair.link.intercept(() => {}, { direction: "in" }).close();
  assertEquals(shown(pair), before);
});

test("intercept() refuses bad arguments before anything is created", async () => {
  using pair = await Pair.open();
  const before = shown(pair);
  const bad: [unknown, unknown, string][] = [
    [undefined, {}, "handler must be a function: got undefined"],
    [() => {}, { filtre: {} }, 'did you mean "filter"'],
    [() => {}, { direction: "up" }, "direction must be"],
    [() => {}, { limit: 0 }, "limit must be in 1..100000 frames: got 0"],
    [() => {}, { signal: 1 }, "signal must be an AbortSignal: got 1"],
    [() => {}, { onError: 1 }, "onError must be a function: got 1"],
    [() => {}, { filter: { protocol: "tpc" } }, "protocol must be"],
  ];
  for (const [handler, options, message] of bad) {
    const error = assertThrows(() => pair.link.intercept(handler as never, options as never));
    assert((error as Error).message.includes(message), (error as Error).message);
  }
  assertEquals(shown(pair), before);
});

test("A frame refuses bytes that are no frame, and delays that are none", async () => {
  await using net = await Datagrams.open();
  const messages: string[] = [];
  using _interception = net.intercept((frame) => {
    for (
      const call of [
        () => frame.delay(-1),
        () => frame.replace("x" as never),
        () => frame.replace(new Uint8Array(13)),
        () => frame.answer(new Uint8Array(70_000)),
      ]
    ) messages.push((assertThrows(call) as Error).message);
  });
  await net.send("end");
  assertEquals(await net.until("end"), []);
  assertEquals(messages, [
    "ms must be in 0..86400000 milliseconds: got -1",
    'A frame must be a Uint8Array: got "x"',
    "A frame must have 14..65590 bytes: got 13",
    "A frame must have 14..65590 bytes: got 70000",
  ]);
});

test("close() in the handler lets the frames pass that came with this one", async () => {
  await using net = await Datagrams.open();
  const before = shown(net.pair);
  const interception = net.intercept((frame, text) => {
    if (text === "b") interception.close();
    frame.drop();
  });
  // All three are there before the program looks.
  for (const text of ["a", "b", "c"]) net.near.writeSync(new TextEncoder().encode(text));
  assertEquals([await net.next(), await net.next()], ["b", "c"]);
  assertEquals(shown(net.pair), before);
});

test("A signal closes an interception, also one that was aborted before", async () => {
  await using net = await Datagrams.open();
  const before = shown(net.pair);
  const controller = new AbortController();
  const interception = net.intercept((frame) => frame.drop(), { signal: controller.signal });
  controller.abort();
  assert(interception.closed);
  assertEquals(shown(net.pair), before);
  await net.send("passes");
  assertEquals(await net.next(), "passes");
  assertThrows(() => net.intercept(() => {}, { signal: controller.signal }), DOMException);
  assertEquals(shown(net.pair), before);
});

test("A link that goes down and comes up again carries on, and one that is deleted ends quietly", async () => {
  await using net = await Datagrams.open();
  const { pair } = net;
  const interception = net.intercept(() => {});
  pair.link.down();
  await assertRejects(() => net.send("nowhere"));
  pair.link.up();
  await pair.carries();
  assertEquals((await pair.a.ping(THERE)).received, 1);
  await net.send("again");
  assertEquals(await net.next(), "again");
  pair.link.delete();
  interception.close();
});

test("A scope closes the interceptions of its links, and so does the end of a namespace", async () => {
  await using scope = Scope.open();
  using netns = NetNs.create();
  const other = NetNs.create(undefined, { scope });
  using tap = Tap.create({ netns });
  const own = Veth.create({ name: "v0", netns: other, scope, peer: { name: "v1", netns: other } });
  const interceptions = [tap.link.intercept(() => {}), own.intercept(() => {})];
  netns[Symbol.dispose]();
  assert(interceptions[0]!.closed);
  scope.close();
  assert(interceptions[1]!.closed);
});
