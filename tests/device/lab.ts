// A TAP in a namespace of its own in which nobody speaks unasked: the program has the device, and a
// packet socket is the network's side of it.
import { threadRing } from "../../ffi/packet_io.ts";
import { NetNs, type PacketDevice, Tap, type TapCreateOptions } from "../../mod.ts";
import { silent } from "../link/rig.ts";
import { frame, parseFrame, textOf, Wire } from "../link/wire.ts";

const [HERE, THERE] = ["02:00:00:00:00:01", "02:00:00:00:00:02"] as const;

/** Both sides of a TAP. */
export class Lab implements Disposable {
  readonly netns: NetNs = silent(NetNs.create());
  readonly tap: Tap;
  /** Sends over the TAP, and sees what the program has written to it. */
  readonly wire: Wire;

  constructor(options: TapCreateOptions = {}) {
    this.tap = Tap.create({ name: "t0", netns: this.netns, up: true, ...options });
    this.wire = new Wire(this.netns, this.tap, true);
  }

  /** The network sends a frame with each text: the program can read them at once. */
  send(...texts: string[]): void {
    for (const text of texts) this.wire.send(packetOf(text));
  }

  /** The texts of what the program has written so far. */
  written(): string[] {
    return this.wire.drain().map(textOf);
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
    this.tap.close();
    this.netns[Symbol.dispose]();
  }
}

/** A frame with a text. */
export function packetOf(text: string): Uint8Array<ArrayBuffer> {
  return frame(HERE, THERE, text);
}

/** The text in a frame. */
export function textIn(bytes: Uint8Array): string {
  return textOf(parseFrame(bytes));
}

/** Everything that is queued at a device. */
export function queued(device: PacketDevice): string[] {
  const texts: string[] = [];
  const buffer = new Uint8Array(2048);
  for (let n = device.tryRead(buffer); n >= 0; n = device.tryRead(buffer)) {
    texts.push(textIn(buffer.subarray(0, n)));
  }
  return texts;
}

/** `count` texts that no other call gives. */
export function texts(count: number, prefix = "n"): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

/** What a promise has come to by now, without waiting for it: its value, its error, or `undefined`. */
export async function soFar<T>(promise: Promise<T>): Promise<T | Error | undefined> {
  let result: T | Error | undefined;
  promise.then((value) => result = value, (error) => result = error);
  for (let i = 0; i < 20; i++) await undefined;
  return result;
}

/** Why there is no ring to test with. */
export function withoutRing(): string | undefined {
  return threadRing() ? undefined : "the kernel has no io_uring, or forbids it";
}
