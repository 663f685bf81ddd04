// Two namespaces and a veth pair between them, with only the frames of the test on the wire.
import { type Capture, type CapturedFrame, type Link, NetNs, Veth } from "../../mod.ts";

/** The two ends. */
export class Pair implements Disposable {
  readonly a: NetNs;
  readonly b: NetNs;
  readonly link: Veth;
  readonly peer: Link;

  /** Ready to send; with addresses 10.0.0.1/24 and 10.0.0.2/24 when `ip` is set, silent otherwise. */
  static async open(options: { ip?: boolean; name?: string } = {}): Promise<Pair> {
    const pair = new Pair(options);
    await pair.carries();
    return pair;
  }

  /** Waits until both ends send. Frames that are sent earlier are lost. */
  async carries(): Promise<void> {
    for (const link of [this.link, this.peer]) await link.waitFor((it) => it.operstate === "up");
  }

  private constructor({ ip = false, name }: { ip?: boolean; name?: string }) {
    [this.a, this.b] = [NetNs.create(), NetNs.create(name)];
    // Nothing is sent that the tests do not send.
    const silent = { arp: ip, addrGenMode: "none", up: true } as const;
    this.link = Veth.create({
      ...silent,
      name: "v0",
      netns: this.a,
      addresses: ip ? ["10.0.0.1/24"] : [],
      peer: { ...silent, name: "v1", netns: this.b, addresses: ip ? ["10.0.0.2/24"] : [] },
    });
    this.peer = this.link.peer;
  }

  [Symbol.dispose](): void {
    this.a[Symbol.dispose]();
    this.b[Symbol.dispose]();
  }
}

/** All frames captured so far; the capture ends. */
export function rest(capture: Capture): Promise<CapturedFrame[]> {
  capture.stop();
  return copies(capture);
}

/** All frames until the capture ends. */
export async function copies(capture: Capture): Promise<CapturedFrame[]> {
  const frames: CapturedFrame[] = [];
  for await (const frame of capture) frames.push(frame.copy());
  return frames;
}
