/**
 * Frames of a link, or of all links of a namespace, as the kernel hands them over.
 *
 * @module
 */
import { homeNetNs, type NetNsRef, sameNetNs } from "../../ffi/namespace.ts";
import { LINKTYPE } from "../packet/ethernet.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { checkOptions, show } from "../options.ts";
import { PullIterator } from "../pull_iterator.ts";
import { getLink } from "../rtnetlink/link.ts";
import type { Instruction } from "./bpf.ts";
import { programOf, SNAPLEN } from "./compile.ts";
import { ARPHRD } from "./constants.ts";
import type { Filter } from "./filter.ts";
import type { CaptureInterface, Frame } from "./frame.ts";
import { blockSize, Ring, type RingOptions } from "./ring.ts";

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

const LINK_TYPES: ReadonlyMap<number, number> = new Map([
  [ARPHRD.ETHER, LINKTYPE.ETHERNET],
  [ARPHRD.LOOPBACK, LINKTYPE.ETHERNET],
  [ARPHRD.RAWIP, LINKTYPE.RAW],
  [ARPHRD.TUNNEL, LINKTYPE.RAW],
  [ARPHRD.TUNNEL6, LINKTYPE.RAW],
  [ARPHRD.SIT, LINKTYPE.RAW],
  [ARPHRD.IPGRE, LINKTYPE.RAW],
  [ARPHRD.IP6GRE, LINKTYPE.RAW],
  [ARPHRD.NONE, LINKTYPE.RAW],
  [ARPHRD.IEEE80211, LINKTYPE.IEEE802_11],
  [ARPHRD.IEEE80211_RADIOTAP, LINKTYPE.IEEE802_11_RADIOTAP],
]);

/** The interfaces of a capture, each described when its first frame comes. */
export class Interfaces {
  readonly #netns: NetNsRef;
  readonly #snaplen: number;
  readonly #known = new Map<number, CaptureInterface>();
  /** The last one asked for: mostly also the next. */
  #index = -1;
  #type = -1;
  #last: CaptureInterface | undefined;

  constructor(netns: NetNsRef, snaplen: number) {
    this.#netns = netns;
    this.#snaplen = snaplen;
  }

  /** Those that frames have come from. */
  list(): CaptureInterface[] {
    return [...this.#known.values()];
  }

  /** The one of an index, and of a hardware type: `ARPHRD_*`. */
  of(index: number, hardwareType: number): CaptureInterface {
    if (this.#last && index === this.#index && hardwareType === this.#type) return this.#last;
    const key = index * 65_536 + hardwareType;
    let found = this.#known.get(key);
    if (!found) this.#known.set(key, found = this.#describe(index, hardwareType));
    [this.#index, this.#type, this.#last] = [index, hardwareType, found];
    return found;
  }

  #describe(index: number, hardwareType: number): CaptureInterface {
    return {
      name: interfaceName(this.#netns, linkName(this.#netns, index)),
      linkType: LINK_TYPES.get(hardwareType) ?? LINKTYPE.USER0,
      snaplen: this.#snaplen,
    };
  }
}

/** `netns/link`; a namespace without a name by its inode; only the link in the process's own. */
export function interfaceName(netns: NetNsRef, link: string): string {
  const { netnsName } = netns;
  if (netnsName === undefined && sameNetNs(netns, homeNetNs())) return link;
  return `${netnsName ?? netns.inode}/${link}`;
}

function linkName(netns: NetNsRef, index: number): string {
  try {
    return connectionTo(netns).request(getLink(index, { stats: false })).name;
  } catch (error) {
    // The frame has outlived its link.
    if (error instanceof NetlinkError && error.code === "ENODEV") return `if${index}`;
    throw error;
  }
}

/** What a capture has counted. */
export interface CaptureStatistics {
  /** Frames that the filter let pass, those that were dropped included. */
  readonly packets: number;
  /** Frames that the kernel dropped since its buffer was full. */
  readonly drops: number;
  /** How often the buffer became full. */
  readonly freezes: number;
}

/**
 * A running capture: frames from the moment it was opened. Leaving its loop, disposal and `close()` free its
 * buffer at once.
 */
export interface Capture
  extends AsyncIterableIterator<Frame, undefined, undefined>, Disposable, AsyncDisposable {
  /** The links that frames have come from so far. */
  readonly interfaces: readonly CaptureInterface[];
  /** Resolves with the next frame; with `done` when the capture has ended. */
  next(): Promise<IteratorResult<Frame, undefined>>;
  /** The next frame if it is there already. For loops without an `await` for each frame. */
  tryNext(): Frame | undefined;
  /** What was counted since the capture was opened; after its end the last word. */
  statistics(): CaptureStatistics;
  /** Captures no more; frames captured before still come, and then the loop ends. */
  stop(): void;
  /** Ends the capture at once. Pending calls of `next()` resolve with `done`. */
  close(): void;
  /** Same as {@link Capture.close}. */
  return(): Promise<IteratorResult<Frame, undefined>>;
  /** The capture itself. */
  [Symbol.asyncIterator](): Capture;
}

/**
 * Between two looks at a block that the kernel is about to pass on, in milliseconds: the error of a link that is
 * gone would keep a wait from waiting.
 */
const LOOK = 2;

/**
 * Starts a capture: what `link.capture()` and `netns.capture()` call.
 *
 * @param netns The namespace. The capture ends when the reference is closed.
 * @param link Index and name of the link; without it, all links of the namespace.
 * @param options Which frames, how much of each, until when.
 * @throws {SyscallError} EPERM without CAP_NET_RAW, ENODEV when there is no such link, EINVAL for a
 * program that the kernel refuses, ENOMEM for a buffer that is too large, or a filter that takes more
 * than `net.core.optmem_max` bytes: 20 kB before Linux 6.7, 128 kB since.
 * @throws {TypeError} For malformed options.
 * @throws {RangeError} For numbers out of range.
 */
export function openCapture(
  netns: NetNsRef,
  link: { readonly index: number; readonly name: string } | undefined,
  options: CaptureOptions = {},
): Capture {
  const given = ringOptions(options, link?.index ?? 0);
  options.signal?.throwIfAborted();
  const where = netns.description && ` in ${netns.description}`;
  const what = `capture ${link ? `link ${show(link.name)}` : "all links"}${where}`;
  const interfaces = new Interfaces(netns, given.snaplen);
  const interfaceOf = (index: number, type: number) => interfaces.of(index, type);
  const ring = new Ring(netns, { ...given, interfaceOf }, what);
  return new RingCapture(ring, { netns, interfaces, what, signal: options.signal });
}

/** What a capture needs beside its ring. */
interface RingCaptureOptions {
  readonly netns: NetNsRef;
  readonly interfaces: Interfaces;
  /** `capture link "v0" in netns "a"`, for errors. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
}

/** The implementation of {@link Capture}. */
class RingCapture extends PullIterator<Frame> implements Capture {
  readonly #ring: Ring;
  readonly #interfaces: Interfaces;
  readonly #what: string;
  readonly #forget: () => void;
  /** No more frames come in: stopped, or the link is gone. */
  #last = false;

  constructor(ring: Ring, { netns, interfaces, what, signal }: RingCaptureOptions) {
    super(signal);
    this.#ring = ring;
    this.#interfaces = interfaces;
    this.#what = what;
    this.#forget = netns.onClose(() => this.close());
  }

  get interfaces(): readonly CaptureInterface[] {
    return this.#interfaces.list();
  }

  tryNext(): Frame | undefined {
    return this.closed ? undefined : this.#ring.next();
  }

  protected override take(): Frame | undefined {
    return this.#ring.next();
  }

  protected override async wait(signal: AbortSignal): Promise<void> {
    this.#last ||= this.#ring.lost(this.#what);
    if (!this.#last) await this.#ring.ready(signal);
    else if (this.#ring.filling) await new Promise((resolve) => setTimeout(resolve, LOOK));
    else this.close();
  }

  protected override release(): void {
    this.#forget();
    this.#ring.close();
  }

  statistics(): CaptureStatistics {
    return this.#ring.counts();
  }

  stop(): void {
    if (this.closed || this.#last) return;
    this.#ring.stop(this.#what);
    this.#last = true;
    this.wake();
  }
}
