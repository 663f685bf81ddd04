/**
 * Options of a capture.
 *
 * @module
 */
import type { Instruction } from "./bpf.ts";
import { programOf, SNAPLEN } from "./compile.ts";
import type { Filter } from "./filter.ts";
import { blockSize, type RingOptions } from "./ring.ts";
import { checkOptions, show } from "../options.ts";

/** Which frames a capture keeps, how much of each, and until when. */
export interface CaptureOptions {
  /** Conditions, or a classic BPF program of one's own; default: all frames. Runs in the kernel. */
  readonly filter?: Filter | readonly Instruction[];
  /** Bytes to keep of each frame, 1..262,144; default 65,600, which is all of it. */
  readonly snaplen?: number;
  /**
   * Frames that come in, that go out, or both; default both. The loopback link, which has every frame
   * twice, then has those that come in.
   */
  readonly direction?: "in" | "out" | "both";
  /** Asks the link for frames to others, too; default false. Needs a link. */
  readonly promiscuous?: boolean;
  /**
   * Bytes of frames the kernel keeps until they are read, 131,072..1,073,741,824; default 8 MiB. More are
   * dropped, and counted. Rounded up to whole blocks of 64 KiB or more.
   */
  readonly bufferSize?: number;
  /**
   * Milliseconds a frame may wait in the kernel for others to come along, 1..10,000; default 10. With few
   * frames the buffer fills up after this times the number of its blocks, which are 64 by default.
   */
  readonly latency?: number;
  /** Ends the capture: a pending or the next `next()` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const OPTIONS = {
  filter: true,
  snaplen: true,
  direction: true,
  promiscuous: true,
  bufferSize: true,
  latency: true,
  signal: true,
};

const DIRECTIONS: ReadonlySet<unknown> = new Set(["in", "out", "both"]);

const BUFFER = 8 << 20;

/** Checks options, and compiles the filter. */
export function ringOptions(
  options: CaptureOptions,
  index: number,
): Omit<RingOptions, "interfaceOf"> {
  checkOptions(options, OPTIONS);
  const { filter, snaplen = SNAPLEN, direction = "both", promiscuous = false, signal } = options;
  const { bufferSize = BUFFER, latency = 10 } = options;
  checkNumber("snaplen", snaplen, 1, 262_144);
  checkNumber("bufferSize", bufferSize, 131_072, 2 ** 30);
  checkNumber("latency", latency, 1, 10_000);
  if (!DIRECTIONS.has(direction)) {
    throw new TypeError(
      `direction must be "in", "out" or "both": got ${show(direction)}`,
    );
  }
  if (typeof promiscuous !== "boolean") {
    throw new TypeError(
      `promiscuous must be true or false: got ${show(promiscuous)}`,
    );
  }
  if (promiscuous && index === 0) {
    throw new TypeError("promiscuous needs a link: this captures all of a netns");
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`signal must be an AbortSignal: got ${show(signal)}`);
  }
  return {
    index,
    program: programOf(filter, { snaplen, direction }),
    snaplen,
    incoming: direction === "in",
    promiscuous,
    // The kernel counts the bytes of a ring in 32 bits, and needs two blocks.
    size: Math.max(bufferSize, 2 * blockSize(snaplen)),
    latency,
  };
}

function checkNumber(name: string, value: unknown, min: number, max: number): void {
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new TypeError(`${name} must be a whole number: got ${show(value)}`);
  }
  if (value < min || value > max) {
    throw new RangeError(`${name} must be in ${min}..${max}: got ${value}`);
  }
}
