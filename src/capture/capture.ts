/**
 * Captures: the frames of a link, or of all links of a namespace, from a ring that the kernel fills.
 *
 * @module
 */
import { homeNetNs, type NetNsRef, sameNetNs } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { boolean, checkOptions, integer, type OptionNames, show, wordValue } from "../options.ts";
import { LINKTYPE } from "../packet/address.ts";
import { PullIterator } from "../waiting.ts";
import { getLink } from "../rtnetlink/link.ts";
import { ARPHRD, type Filter, type Instruction } from "./filter.ts";
import { DIRECTIONS, programOf, SNAPLEN } from "./compile.ts";
import {
  blockSize,
  type CapturedFrame,
  type CaptureInterface,
  Ring,
  type RingOptions,
} from "./ring.ts";

/** Options of a capture: which frames it keeps, how many bytes of each, and until when. */
export interface CaptureOptions {
  /** Conditions, or a classic BPF program, which the kernel runs; default all frames. */
  readonly filter?: Filter | readonly Instruction[];
  /**
   * Bytes to keep of each frame, 1..524,032; default 524,032, which is all, also of BIG TCP: GSO packets of up
   * to 512 KiB.
   */
  readonly snaplen?: number;
  /**
   * Frames that come in, that go out, or both; default both. The loopback link has every frame twice: of both
   * it keeps those that come in.
   */
  readonly direction?: "in" | "out" | "both";
  /** Whether the link also receives frames for other hosts; default `false`. Needs a link. */
  readonly promiscuous?: boolean;
  /**
   * Bytes of frames that the kernel keeps until they are read, 131,072..1,073,741,824; default 8 MiB. It drops
   * and counts further frames. Rounded up to whole blocks, two at least. A block has 64 KiB, or the power of two
   * that holds a frame of `snaplen` bytes: 512 KiB by default.
   */
  readonly bufferSize?: number;
  /**
   * Milliseconds that a frame may wait in the kernel for others, 1..10,000; default 10. However few the frames
   * are, the buffer is full after this time for each of its blocks, 16 by default: a smaller `snaplen` makes
   * more of them.
   */
  readonly latency?: number;
  /** Ends the capture: a pending or the next `next()` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const OPTIONS: OptionNames<CaptureOptions> = {
  filter: true,
  snaplen: true,
  direction: true,
  promiscuous: true,
  bufferSize: true,
  latency: true,
  signal: true,
};

const BUFFER = 8 << 20;

/** Checks options and compiles the filter. */
function ringOptions(
  options: CaptureOptions,
  index: number,
): Omit<RingOptions, "interfaceOf"> {
  checkOptions(options, OPTIONS);
  const { filter, snaplen = SNAPLEN, direction = "both", promiscuous = false, signal } = options;
  const { bufferSize = BUFFER, latency = 10 } = options;
  integer(snaplen, "snaplen", 1, SNAPLEN, "bytes");
  integer(bufferSize, "bufferSize", 131_072, 2 ** 30, "bytes");
  integer(latency, "latency", 1, 10_000, "milliseconds");
  wordValue(direction, DIRECTIONS, "direction");
  if (boolean(promiscuous, "promiscuous") && index === 0) {
    throw new TypeError("promiscuous needs a link: this captures all links of a namespace");
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

/** The interfaces of a capture, each described at its first frame. */
class Interfaces {
  readonly #netns: NetNsRef;
  readonly #snaplen: number;
  readonly #known = new Map<number, CaptureInterface>();
  /** The last result, which is mostly also the next. */
  #index = -1;
  #type = -1;
  #last: CaptureInterface | undefined;

  constructor(netns: NetNsRef, snaplen: number) {
    this.#netns = netns;
    this.#snaplen = snaplen;
  }

  /** The interfaces of the frames so far. */
  list(): CaptureInterface[] {
    return [...this.#known.values()];
  }

  /** The interface of an index and a hardware type: `ARPHRD_*`. */
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

/** `netns/link`; for a namespace without a name its inode; only the link in the process's own. */
function interfaceName(netns: NetNsRef, link: string): string {
  const { netnsName } = netns;
  if (netnsName === undefined && sameNetNs(netns, homeNetNs())) return link;
  return `${netnsName ?? netns.inode}/${link}`;
}

function linkName(netns: NetNsRef, index: number): string {
  try {
    return connectionTo(netns).request(getLink(index, { stats: false })).name;
  } catch (error) {
    // The link was deleted after the frame came.
    if (error instanceof NetlinkError && error.code === "ENODEV") return `if${index}`;
    throw error;
  }
}

/** The counters of a capture. */
export interface CaptureStatistics {
  /** Frames that the filter kept, with those that were dropped. */
  readonly packets: number;
  /** Frames that the kernel dropped because its buffer was full. */
  readonly drops: number;
  /** How often the buffer became full. */
  readonly freezes: number;
}

/**
 * A running capture: the frames since it was opened. Leaving its loop, disposal and `close()` free its buffer
 * at once.
 */
export interface Capture
  extends AsyncIterableIterator<CapturedFrame, undefined, undefined>, Disposable, AsyncDisposable {
  /** The links of the frames so far. */
  readonly interfaces: readonly CaptureInterface[];
  /** Resolves with the next frame; with `done` when the capture has ended. */
  next(): Promise<IteratorResult<CapturedFrame, undefined>>;
  /** The next frame, if one is there: for loops without an `await` for each frame. */
  tryNext(): CapturedFrame | undefined;
  /** The counters since the capture was opened; after its end the last ones. */
  statistics(): CaptureStatistics;
  /** Stops capturing. The loop ends after the frames that were captured before. */
  stop(): void;
  /** Ends the capture at once. Pending calls of `next()` resolve with `done`. */
  close(): void;
  /** Same as {@link Capture.close}. */
  return(): Promise<IteratorResult<CapturedFrame, undefined>>;
  /** The capture itself. */
  [Symbol.asyncIterator](): Capture;
}

/**
 * Milliseconds between two looks at a block that the kernel is about to pass on. A poll of the socket would return
 * at once: the error of the deleted link stays on it.
 */
const LOOK = 2;

/**
 * Starts a capture: `link.capture()` and `netns.capture()` call this.
 *
 * @param netns The namespace. The capture ends when the reference is closed.
 * @param link Index and name of the link; without it, all links of the namespace.
 * @param options Which frames to keep, how many bytes of each, and until when.
 * @returns The running capture.
 * @throws {SyscallError} EPERM without CAP_NET_RAW, ENODEV without such a link, EINVAL for a program that the
 *   kernel refuses, ENOMEM for a buffer that is too large or a filter of more than `net.core.optmem_max` bytes:
 *   20 kB before Linux 6.7, 128 kB since.
 * @throws {TypeError} For an unknown option or a malformed value.
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

/** The parts of a capture beside its ring. */
interface RingCaptureOptions {
  readonly netns: NetNsRef;
  readonly interfaces: Interfaces;
  /** `capture link "v0" in netns "a"`, for errors. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
}

/** The implementation of {@link Capture}. */
class RingCapture extends PullIterator<CapturedFrame> implements Capture {
  readonly #ring: Ring;
  readonly #interfaces: Interfaces;
  readonly #what: string;
  readonly #forget: () => void;
  /** Whether no more frames come in: after `stop()`, or without the link. */
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

  tryNext(): CapturedFrame | undefined {
    return this.closed ? undefined : this.#ring.next();
  }

  protected override take(): CapturedFrame | undefined {
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
