// Options that no code reads are refused, with the nearest name.
import { assertRejects, assertThrows } from "@std/assert";
import { batch, DevicePoll, NetNs, PacketBatch, Tun, UdpSocket } from "../../mod.ts";
import { Subscription } from "../../src/netlink/socket.ts";
import { test } from "../leaks.ts";

/** Options as a program without types may give them. */
const wrong = (options: object) => options as Record<never, never>;

test("Devices refuse unknown options of every call that waits or blocks", async () => {
  using netns = NetNs.create();
  using tun = Tun.create({ name: "t0", netns, up: true });
  using udp = UdpSocket.open({ netns, local: "127.0.0.1" });
  const buffer = new Uint8Array(2000);
  const packets = new PacketBatch();
  const signl = wrong({ signl: AbortSignal.timeout(100) });
  const waits: (() => Promise<unknown>)[] = [
    () => tun.read(buffer, signl),
    () => tun.write(buffer, 20, signl),
    () => tun.readBatch(packets, signl),
    () => tun.writeBatch(packets, signl),
    () => tun.whenReadable(signl),
    () => tun.packets(signl).next(),
    () => udp.readFrom(buffer, signl),
    () => udp.writeTo(buffer, "127.0.0.1:9", signl),
    () => udp.writeSegments(buffer, 1000, signl),
  ];
  for (const wait of waits) {
    await assertRejects(wait, TypeError, 'Unknown option "signl": did you mean "signal"?');
  }
  const poll = new DevicePoll([tun]);
  for (
    const block of [
      (options: object) => tun.readSync(buffer, options),
      (options: object) => tun.readBatchSync(packets, options),
      (options: object) => poll.wait(options),
    ]
  ) {
    assertThrows(() => block({ timout: 1 }), TypeError, 'did you mean "timeout"?');
    for (const timeout of [-1, NaN, "1"]) {
      assertThrows(() => block({ timeout }), RangeError, "timeout must be in 0..Infinity");
    }
  }
});

test("batch() and Subscription refuse unknown options", () => {
  using netns = NetNs.create();
  assertThrows(() => batch(() => {}, wrong({ nets: netns })), TypeError, 'did you mean "netns"?');
  assertThrows(
    () => new Subscription(netns.ref, [], wrong({ receivBuffer: 1 })),
    TypeError,
    'did you mean "receiveBuffer"?',
  );
});
