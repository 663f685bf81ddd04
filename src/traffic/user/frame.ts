/**
 * A frame that was taken out, as a handler sees it.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../../ffi/errno.ts";
import { DeviceClosedError } from "../../device/packet_device.ts";
import { show } from "../../options.ts";
import { FrameHeaders } from "../../packet/frame_headers.ts";
import { VIRTIO_NET_HEADER } from "../../packet/segment.ts";
import type { DirectionName } from "../impairment_values.ts";

/** The state of a frame, which the interception shares with the frame's handle. */
export interface FrameState {
  /** Its number, for lists. */
  readonly number: number;
  /** Where it goes. */
  readonly direction: DirectionName;
  /** A virtio-net header, and the frame. */
  wire: Uint8Array<ArrayBuffer>;
  /** What is to become of it. */
  fate: "pass" | "drop" | "hold" | "delay";
  /** How many of it go on. */
  copies: number;
  /** Milliseconds, where its fate is a delay. */
  delay: number;
  /** The handler decides; nobody has decided yet; it is on its way. */
  phase: "handled" | "held" | "gone";
}

/** What a frame's handle asks of the interception. */
export interface FrameOwner {
  /** The fate of a frame that was held is decided. */
  settle(state: FrameState): void;
  /** Sends a frame where this one came from. */
  answer(state: FrameState, bytes: Uint8Array): void;
}

/** The most bytes of a frame with the header in front: an MTU of 65,535 bytes, an Ethernet header with two tags. */
export const MOST_BYTES = 65_600;

/** Whether an error of a TAP says that its link is gone. */
export function isGone(error: unknown): boolean {
  return error instanceof SyscallError && error.errno === ERRNO.EBADFD;
}

/** Reads the frames that a TAP still has. One that is closed, or whose link is gone, has none. */
export function drain(
  tap: { tryRead(buffer: Uint8Array<ArrayBuffer>): number },
  take: (bytes: Uint8Array<ArrayBuffer>, length: number) => void,
): void {
  const buffer = new Uint8Array(MOST_BYTES);
  try {
    for (let length = 0; (length = tap.tryRead(buffer)) >= 0;) take(buffer, length);
  } catch (error) {
    if (!isGone(error) && !(error instanceof DeviceClosedError)) throw error;
  }
}

/** The least bytes of a frame: its Ethernet header. */
const LEAST = 14;

const MOST = MOST_BYTES - VIRTIO_NET_HEADER;
/** A day, in milliseconds. */
const LONGEST = 86_400_000;

/**
 * The bytes of a frame to send, with their checksums mended, behind a virtio-net header that says nothing.
 *
 * @throws {TypeError} For something else than bytes.
 * @throws {RangeError} For bytes that are no frame.
 */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(`A frame must be a Uint8Array: got ${show(bytes)}`);
  }
  if (bytes.length < LEAST || bytes.length > MOST) {
    throw new RangeError(`A frame must have ${LEAST}..${MOST} bytes: got ${bytes.length}`);
  }
  const wire = new Uint8Array(VIRTIO_NET_HEADER + bytes.length);
  wire.set(bytes, VIRTIO_NET_HEADER);
  new FrameHeaders(wire.subarray(VIRTIO_NET_HEADER)).updateChecksums();
  return wire;
}

/**
 * A frame on its way over a link, stopped until a handler has decided. It is as on a wire: of a GSO packet each
 * segment is a frame, with complete checksums.
 *
 * The calls say what happens when the handler returns, or its promise is settled; of {@link InterceptedFrame.pass},
 * `drop`, `delay` and `hold` the last one counts. A frame that is held waits for one more of these calls, or for
 * {@link Intercept.release}. When a frame is on its way, every call throws a `TypeError`.
 */
export class InterceptedFrame {
  readonly #state: FrameState;
  readonly #owner: FrameOwner;
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #packet: FrameHeaders | undefined;

  /** For interceptions. */
  constructor(state: FrameState, owner: FrameOwner) {
    this.#state = state;
    this.#owner = owner;
  }

  /** Whether the link sends the frame or receives it. */
  get direction(): DirectionName {
    return this.#state.direction;
  }

  /**
   * The frame from its Ethernet header on: a copy that is the handler's own, for good. Changes of it go on with the
   * frame, without new checksums: the receiver drops what does not fit. `replace(bytes)` mends them.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes ??= this.#state.wire.subarray(VIRTIO_NET_HEADER);
  }

  /** The headers in {@link InterceptedFrame.bytes}, as views. */
  get packet(): FrameHeaders {
    return this.#packet ??= new FrameHeaders(this.bytes);
  }

  /** Lets the frame go on. */
  pass(): void {
    this.#decide("pass");
  }

  /** Ends the frame. */
  drop(): void {
    this.#decide("drop");
  }

  /**
   * Lets the frame go on later. Frames behind it do not wait.
   *
   * @param ms Milliseconds from the end of the handler on, 0..86,400,000; fractions count.
   * @throws {RangeError} For another number.
   */
  delay(ms: number): void {
    if (typeof ms !== "number" || !(ms >= 0 && ms <= LONGEST)) {
      throw new RangeError(`ms must be in 0..${LONGEST} milliseconds: got ${show(ms)}`);
    }
    this.#check();
    this.#state.delay = ms;
    this.#decide("delay");
  }

  /** Keeps the frame until {@link Intercept.release}, or until another call decides. */
  hold(): void {
    this.#decide("hold");
  }

  /** Lets one more copy of the frame go on, if it does; each call one. */
  duplicate(): void {
    this.#check().copies++;
  }

  /**
   * Puts other bytes in place of the frame, and computes their checksums anew. Lengths in headers are the caller's.
   *
   * @param bytes The whole frame, which is copied; also {@link InterceptedFrame.bytes}.
   * @throws {TypeError} For something else than bytes.
   * @throws {RangeError} For less than 14 bytes, or more than 65,590.
   */
  replace(bytes: Uint8Array): void {
    this.#check().wire = copyOf(bytes);
    this.#bytes = this.#packet = undefined;
  }

  /**
   * Sends a frame back to where this one comes from, and drops this one; `pass()` behind it lets both go.
   *
   * @param bytes The whole frame, which is copied; its checksums are computed anew.
   * @throws {TypeError} For something else than bytes.
   * @throws {RangeError} For less than 14 bytes, or more than 65,590.
   */
  answer(bytes: Uint8Array): void {
    this.#check();
    this.#owner.answer(this.#state, bytes);
    this.#decide("drop");
  }

  #check(): FrameState {
    if (this.#state.phase !== "gone") return this.#state;
    throw new TypeError("The frame is on its way: decide in the handler, or hold() it there");
  }

  #decide(fate: FrameState["fate"]): void {
    const state = this.#check();
    state.fate = fate;
    if (state.phase === "held" && fate !== "hold") this.#owner.settle(state);
  }
}
