/**
 * Captured frames.
 *
 * @module
 */
import type { VlanTag } from "../packet/address.ts";

/** The link of a frame: in a file, an interface description. */
export interface CaptureInterface {
  /** `netns/link`: `ns1/eth0`; only `eth0` in the process's own namespace. */
  readonly name: string;
  /** The first header of its frames: a `LINKTYPE`, 1 for Ethernet, 101 for IP; -1 when a file lacks it. */
  readonly linkType: number;
  /** The most bytes captured of a frame; 0 for all. */
  readonly snaplen: number;
}

/** A frame: its captured bytes, and when and where they were captured. */
export interface Frame {
  /** The link. */
  readonly interface: CaptureInterface;
  /** Seconds since 1970; `undefined` when a file has no time. */
  readonly seconds: number | undefined;
  /** Nanoseconds of the second; `undefined` when a file has no time. */
  readonly nanoseconds: number | undefined;
  /** Nanoseconds since 1970; `undefined` when a file has no time. */
  readonly timestamp: bigint | undefined;
  /** Bytes on the link. */
  readonly length: number;
  /** Captured bytes: `length`, or the snap length. */
  readonly capturedLength: number;
  /**
   * The bytes, with the VLAN tag.
   *
   * From a running capture this is a view of the kernel's ring, valid until the next frame is asked for. Later
   * the view is empty, and the property throws a `TypeError`: it never shows the bytes of another frame. Use
   * {@link Frame.copy} to keep a frame, or to send it to a worker.
   */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Whether the frame came in or went out; `undefined` when that is unknown. */
  readonly direction: "in" | "out" | undefined;
  /** The VLAN tag that the kernel had removed and that `data` has again. */
  readonly vlan: VlanTag | undefined;
  /** The impossible part of the frame's record in a file, in words; `undefined` for a good record. */
  readonly flaw: string | undefined;
  /** Copies the frame into memory of its own. */
  copy(): Frame;
}

/** A frame of a running capture, which has a time. */
export interface CapturedFrame extends Frame {
  /** Seconds since 1970. */
  readonly seconds: number;
  /** Nanoseconds of the second. */
  readonly nanoseconds: number;
  /** Nanoseconds since 1970. */
  readonly timestamp: bigint;
  /** Copies the frame into memory of its own. */
  copy(): CapturedFrame;
}

/** The parts of an {@link OwnFrame}. */
export interface FrameInit {
  /** The link. */
  readonly interface: CaptureInterface;
  /** Seconds since 1970; default no time. */
  readonly seconds?: number | undefined;
  /** Nanoseconds of the second; default no time. */
  readonly nanoseconds?: number | undefined;
  /** Bytes on the link. */
  readonly length: number;
  /** The captured bytes. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Whether the frame came in or went out; default unknown. */
  readonly direction?: "in" | "out" | undefined;
  /** The VLAN tag that was removed and put back; default none. */
  readonly vlan?: VlanTag | undefined;
  /** The impossible part of the frame's record; default none. */
  readonly flaw?: string | undefined;
}

/** A frame in memory of its own: copied, read from a file, or created by a program. */
export class OwnFrame implements Frame {
  /** The link. */
  readonly interface: CaptureInterface;
  /** Seconds since 1970; `undefined` without a time. */
  readonly seconds: number | undefined;
  /** Nanoseconds of the second; `undefined` without a time. */
  readonly nanoseconds: number | undefined;
  /** Bytes on the link. */
  readonly length: number;
  /** The captured bytes. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Whether the frame came in or went out. */
  readonly direction: "in" | "out" | undefined;
  /** The VLAN tag that was removed and put back. */
  readonly vlan: VlanTag | undefined;
  /** The impossible part of the frame's record in a file. */
  readonly flaw: string | undefined;

  /** Keeps `init.data` without a copy. */
  constructor(init: FrameInit) {
    this.interface = init.interface;
    this.seconds = init.seconds;
    this.nanoseconds = init.nanoseconds;
    this.length = init.length;
    this.data = init.data;
    this.direction = init.direction;
    this.vlan = init.vlan;
    this.flaw = init.flaw;
  }

  /** Captured bytes. */
  get capturedLength(): number {
    return this.data.length;
  }

  /** Nanoseconds since 1970; `undefined` without a time. */
  get timestamp(): bigint | undefined {
    const { seconds, nanoseconds } = this;
    if (seconds === undefined || nanoseconds === undefined) return undefined;
    return nanosecondsOf(seconds, nanoseconds);
  }

  /** Copies the frame and its bytes. */
  copy(): OwnFrame {
    return new OwnFrame({ ...this, data: this.data.slice() });
  }
}

/** Nanoseconds since 1970. */
export function nanosecondsOf(seconds: number, nanoseconds: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}
