/**
 * A captured frame.
 *
 * @module
 */
import type { VlanTag } from "../packet/ethernet.ts";

/** The link a frame was captured on: in a file, an interface description. */
export interface CaptureInterface {
  /** `netns/link`: `ns1/eth0`; only `eth0` in the process's own namespace. */
  readonly name: string;
  /** What its frames begin with: a `LINKTYPE_*` of tcpdump.org, 1 for Ethernet, 101 for IP packets. */
  readonly linkType: number;
  /** At most so many bytes of a frame were kept; 0 for all. */
  readonly snaplen: number;
}

/** A frame: what was captured of it, and when. */
export interface Frame {
  /** Where it was captured. */
  readonly interface: CaptureInterface;
  /** Seconds since 1970. */
  readonly seconds: number;
  /** Nanoseconds of the second. */
  readonly nanoseconds: number;
  /** Nanoseconds since 1970. */
  readonly timestamp: bigint;
  /** Bytes it had on the link. */
  readonly length: number;
  /** Bytes of it that were captured: `length`, or the snap length. */
  readonly capturedLength: number;
  /**
   * The bytes, a VLAN tag included.
   *
   * From a running capture this is a view of the kernel's ring, valid until the next frame is asked for.
   * Later the view is empty, and asking for it throws a `TypeError`: it never shows another frame's
   * bytes. Use {@link Frame.copy} for what is to be kept, or sent to a worker.
   */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Whether it came in or went out; `undefined` when that is not known. */
  readonly direction: "in" | "out" | undefined;
  /** The VLAN tag that the kernel had taken out, which is back in `data`. */
  readonly vlan: VlanTag | undefined;
  /** The frame in memory of its own, for as long as you like. */
  copy(): Frame;
}

/** What a {@link OwnFrame} is made of. */
export interface FrameInit {
  /** Where it was captured. */
  readonly interface: CaptureInterface;
  /** Seconds since 1970. */
  readonly seconds: number;
  /** Nanoseconds of the second. */
  readonly nanoseconds: number;
  /** Bytes it had on the link. */
  readonly length: number;
  /** What was captured of it. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Whether it came in or went out. */
  readonly direction?: "in" | "out" | undefined;
  /** The VLAN tag that was taken out and put back. */
  readonly vlan?: VlanTag | undefined;
}

/** A frame in memory of its own: copied, read from a file, or made. */
export class OwnFrame implements Frame {
  /** Where it was captured. */
  readonly interface: CaptureInterface;
  /** Seconds since 1970. */
  readonly seconds: number;
  /** Nanoseconds of the second. */
  readonly nanoseconds: number;
  /** Bytes it had on the link. */
  readonly length: number;
  /** What was captured of it. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Whether it came in or went out. */
  readonly direction: "in" | "out" | undefined;
  /** The VLAN tag that was taken out and put back. */
  readonly vlan: VlanTag | undefined;

  /** Keeps `init.data` as it is. */
  constructor(init: FrameInit) {
    this.interface = init.interface;
    this.seconds = init.seconds;
    this.nanoseconds = init.nanoseconds;
    this.length = init.length;
    this.data = init.data;
    this.direction = init.direction;
    this.vlan = init.vlan;
  }

  /** Bytes of it that were captured. */
  get capturedLength(): number {
    return this.data.length;
  }

  /** Nanoseconds since 1970. */
  get timestamp(): bigint {
    return nanosecondsOf(this);
  }

  /** Another one with a copy of the bytes. */
  copy(): OwnFrame {
    return new OwnFrame({ ...this, data: this.data.slice() });
  }
}

/** Nanoseconds since 1970. */
export function nanosecondsOf(frame: { seconds: number; nanoseconds: number }): bigint {
  return BigInt(frame.seconds) * 1_000_000_000n + BigInt(frame.nanoseconds);
}
