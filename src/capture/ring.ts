/**
 * A packet socket with a ring of blocks that the kernel fills and JavaScript reads in place (TPACKET_V3,
 * Documentation/networking/packet_mmap.rst), and the frames in it.
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { Mapping } from "../../ffi/file.ts";
import { readable } from "../../ffi/reactor.ts";
import { linkOfSocketAddress, linkSocketAddress, Socket } from "../../ffi/socket.ts";
import {
  ARPHRD,
  BPF,
  encodeProgram,
  ETH_P,
  type Instruction,
  PACKET_MR,
  PACKET_OPTION,
  PACKET_TYPE,
  TP_STATUS,
  TPACKET_V3,
} from "./filter.ts";
import { ETHERTYPE, type VlanTag } from "../packet/address.ts";

/** Options of a ring. */
export interface RingOptions {
  /** Index of the link; 0 for all links of the namespace. */
  readonly index: number;
  /** The filter. */
  readonly program: readonly Instruction[];
  /** Bytes to keep of a frame, with the VLAN tag that is put back. */
  readonly snaplen: number;
  /** Whether to skip outgoing frames before the filter runs. */
  readonly incoming: boolean;
  /** Whether the link also receives frames for other hosts. */
  readonly promiscuous: boolean;
  /** Bytes of all blocks. */
  readonly size: number;
  /** Milliseconds until a block that is not full is passed on. */
  readonly latency: number;
  /** The interface of a frame. */
  interfaceOf(index: number, hardwareType: number): CaptureInterface;
}

/** The counters of the kernel. */
export interface RingCounts {
  /** Frames that the filter kept, with those that were dropped. */
  packets: number;
  /** Frames dropped because the ring was full. */
  drops: number;
  /** How often the ring became full. */
  freezes: number;
}

/** The smallest block. */
const LEAST_BLOCK = 1 << 16;
/** Bytes of a block beside those of a frame: headers of block and frame, alignment. */
const BLOCK_OVERHEAD = 256;
/** Room for a VLAN tag in front of a frame. */
const VLAN_TAG = 4;
/** Nominal bytes of a frame in a block: the kernel packs frames as they come. */
const FRAME_SIZE = 2048;

/** `struct tpacket_block_desc`. */
const BLOCK = { STATUS: 8, PACKETS: 12, FIRST: 16 } as const;

/** Drops everything. */
const NOTHING: Instruction = { code: BPF.RET | BPF.K, jt: 0, jf: 0, k: 0 };

/** Bytes of a block that holds any frame whole. */
export function blockSize(snaplen: number): number {
  let size = LEAST_BLOCK;
  while (size < snaplen + BLOCK_OVERHEAD) size *= 2;
  return size;
}

/** Owns a socket and the ring mapped from it. */
export class Ring implements Disposable {
  readonly #socket: Socket;
  readonly #mapping: Mapping;
  readonly #options: RingOptions;
  readonly #blockSize: number;
  readonly #blocks: number;
  /** All of the ring, for reading headers; never given away. */
  readonly #words: Int32Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #counts: RingCounts = { packets: 0, drops: 0, freezes: 0 };
  /** The block that is being read, or comes next. */
  #block = 0;
  /** The memory of the block; `undefined` while the kernel has it. */
  #lent: ArrayBuffer | undefined;
  /** Where the next frame is, and how many there still are in the block. */
  #at = 0;
  #left = 0;

  /**
   * Opens and binds the socket: the kernel keeps frames from then on.
   *
   * @param netns The namespace.
   * @param options Which frames to keep, and the room for them.
   * @param what The operation, for errors.
   */
  constructor(netns: NetNsRef, options: RingOptions, what: string) {
    let mapping: Mapping | undefined;
    this.#options = options;
    this.#blockSize = blockSize(options.snaplen);
    this.#blocks = Math.max(2, Math.ceil(options.size / this.#blockSize));
    // Without a protocol the socket receives nothing until it is bound, after the filter is attached.
    const socket = this.#socket = new Socket(netns, C.AF_PACKET, C.SOCK_RAW, 0, what);
    try {
      this.#setUp(what);
      const length = this.#blocks * this.#blockSize;
      mapping = this.#mapping = new Mapping(socket.fd, { length, operation: what });
      const memory = mapping.lend(0, length);
      this.#words = new Int32Array(memory);
      this.#view = new DataView(memory);
      this.#bytes = new Uint8Array(memory);
      socket.bind(linkSocketAddress(options.index, ETH_P.ALL), what);
    } catch (error) {
      mapping?.close();
      socket.close();
      throw error;
    }
  }

  #setUp(what: string): void {
    const { program, incoming, promiscuous, latency, index } = this.#options;
    this.#socket.attachFilter(encodeProgram(program), `${what}: attach the filter`);
    const set = (option: number, ...values: number[]) => {
      const bytes = new Uint8Array(new Uint32Array(values).buffer);
      this.#socket.setOptionBytes(C.SOL_PACKET, option, bytes, what);
    };
    set(PACKET_OPTION.VERSION, TPACKET_V3);
    set(PACKET_OPTION.RESERVE, VLAN_TAG);
    // Before Linux 4.20 there is no such option, and the filter does it alone.
    if (incoming) this.#socket.setOption(C.SOL_PACKET, PACKET_OPTION.IGNORE_OUTGOING, 1);
    // struct tpacket_req3: blocks and nominal frames, the timeout, private bytes and features.
    const frames = this.#blocks * (this.#blockSize / FRAME_SIZE);
    set(PACKET_OPTION.RX_RING, this.#blockSize, this.#blocks, FRAME_SIZE, frames, latency, 0, 0);
    // struct packet_mreq: index, u16 type, u16 length and 8 bytes of an address.
    if (promiscuous) set(PACKET_OPTION.ADD_MEMBERSHIP, index, PACKET_MR.PROMISC, 0, 0);
  }

  /**
   * The next frame, if there is one. A block that has been read goes back to the kernel, and views of it become
   * empty.
   */
  next(): CapturedFrame | undefined {
    while (this.#left === 0) {
      if (this.#lent) this.#giveBack();
      const start = this.#block * this.#blockSize;
      if ((Atomics.load(this.#words, start + BLOCK.STATUS >> 2) & TP_STATUS.USER) === 0) {
        return undefined;
      }
      this.#lent = this.#mapping.lend(start, this.#blockSize);
      this.#left = this.#view.getUint32(start + BLOCK.PACKETS, true);
      this.#at = start + this.#view.getUint32(start + BLOCK.FIRST, true);
    }
    const at = this.#at;
    this.#at += this.#view.getUint32(at, true);
    this.#left--;
    return new RingFrame(
      this.#view,
      this.#bytes,
      at,
      this.#lent!,
      this.#block * this.#blockSize,
      this.#options,
    );
  }

  #giveBack(): void {
    this.#mapping.takeBack(this.#lent!);
    this.#lent = undefined;
    const start = this.#block * this.#blockSize;
    // For `filling`: the frames of the block are read.
    this.#words[start + BLOCK.PACKETS >> 2] = 0;
    Atomics.store(this.#words, start + BLOCK.STATUS >> 2, TP_STATUS.KERNEL);
    this.#block = (this.#block + 1) % this.#blocks;
  }

  /** Whether the kernel has frames in a block that it has not yet passed on. */
  get filling(): boolean {
    const start = this.#block * this.#blockSize;
    return this.#left === 0 && Atomics.load(this.#words, start + BLOCK.PACKETS >> 2) !== 0;
  }

  /** Resolves when there may be a frame, or when the state of the link has changed. */
  ready(signal: AbortSignal): Promise<void> {
    return readable(this.#socket.fd, signal);
  }

  /** Whether the link is gone. Throws {@link SyscallError} for any other error of the socket. */
  lost(what: string): boolean {
    const error = this.#socket.takeError();
    if (error === 0) return false;
    if (error !== ERRNO.ENETDOWN) throw new SyscallError(what, { syscall: "recv", errno: error });
    // A link that is down may come back; from a link that goes the kernel unbinds the socket.
    return linkOfSocketAddress(this.#socket.name(what)) === -1;
  }

  /** Drops all further frames. */
  stop(what: string): void {
    this.#socket.attachFilter(encodeProgram([NOTHING]), what);
  }

  /** The counters since the ring was opened. */
  counts(): Readonly<RingCounts> {
    if (!this.#socket.fd.closed) {
      const bytes = new Uint8Array(12); // struct tpacket_stats_v3; reading it clears it
      this.#socket.getOptionBytes(C.SOL_PACKET, PACKET_OPTION.STATISTICS, bytes, "count frames");
      const [packets, drops, freezes] = new Uint32Array(bytes.buffer);
      this.#counts.packets += packets!;
      this.#counts.drops += drops!;
      this.#counts.freezes += freezes!;
    }
    return { ...this.#counts };
  }

  /** Frees the ring and closes the socket. No wait may be pending. A second call does nothing. */
  close(): void {
    if (this.#socket.fd.closed) return;
    this.#mapping.close();
    try {
      this.counts();
    } finally {
      this.#socket.close();
    }
  }

  /** Same as {@link Ring.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** `struct tpacket3_hdr`, and the `struct sockaddr_ll` behind it. */
const PACKET = {
  SECONDS: 4,
  NANOSECONDS: 8,
  CAPTURED: 12,
  LENGTH: 16,
  STATUS: 20,
  MAC: 24,
  VLAN_TCI: 32,
  VLAN_TPID: 36,
  IFINDEX: 48 + 4,
  HATYPE: 48 + 8,
  PKTTYPE: 48 + 10,
} as const;

/** Offset of a VLAN tag: behind the two Ethernet addresses. */
const ADDRESSES = 12;
const TAG = 4;

/** The frame with the header at `at`. Reads the header at once, and the bytes when they are asked for. */
class RingFrame implements CapturedFrame {
  readonly interface: CaptureInterface;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly length: number;
  readonly capturedLength: number;
  readonly #type: number;
  /** Tag control information and protocol of the tag that was put back; -1 without one. */
  readonly #tci: number;
  readonly #tpid: number;
  readonly #block: ArrayBuffer;
  readonly #offset: number;

  constructor(
    view: DataView<ArrayBuffer>,
    bytes: Uint8Array<ArrayBuffer>,
    at: number,
    block: ArrayBuffer,
    start: number,
    options: Pick<RingOptions, "snaplen" | "interfaceOf">,
  ) {
    const hardwareType = view.getUint16(at + PACKET.HATYPE, true);
    this.interface = options.interfaceOf(view.getInt32(at + PACKET.IFINDEX, true), hardwareType);
    this.seconds = view.getUint32(at + PACKET.SECONDS, true);
    this.nanoseconds = view.getUint32(at + PACKET.NANOSECONDS, true);
    this.#type = view.getUint8(at + PACKET.PKTTYPE);
    this.#block = block;
    let length = view.getUint32(at + PACKET.LENGTH, true);
    let captured = view.getUint32(at + PACKET.CAPTURED, true);
    let data = at + view.getUint16(at + PACKET.MAC, true);
    const status = view.getUint32(at + PACKET.STATUS, true);
    const tagged = (status & TP_STATUS.VLAN_VALID) !== 0 && hardwareType === ARPHRD.ETHER &&
      captured >= ADDRESSES;
    if (tagged) {
      this.#tci = view.getUint16(at + PACKET.VLAN_TCI, true);
      const tpid = view.getUint16(at + PACKET.VLAN_TPID, true);
      this.#tpid = (status & TP_STATUS.VLAN_TPID_VALID) !== 0 ? tpid : ETHERTYPE["8021Q"];
      bytes.copyWithin(data - TAG, data, data + ADDRESSES);
      data -= TAG;
      view.setUint16(data + ADDRESSES, this.#tpid, false);
      view.setUint16(data + ADDRESSES + 2, this.#tci, false);
      captured = Math.min(captured + TAG, options.snaplen);
      length += TAG;
    } else {
      this.#tci = this.#tpid = -1;
    }
    this.length = length;
    this.capturedLength = captured;
    this.#offset = data - start;
  }

  get timestamp(): bigint {
    return nanosecondsOf(this.seconds, this.nanoseconds);
  }

  /** The kernel's records are good. */
  get flaw(): undefined {
    return undefined;
  }

  get direction(): "in" | "out" {
    return this.#type === PACKET_TYPE.OUTGOING ? "out" : "in";
  }

  get vlan(): VlanTag | undefined {
    const tci = this.#tci;
    if (tci < 0) return undefined;
    return {
      protocol: this.#tpid,
      vid: tci & 0xfff,
      pcp: tci >> 13,
      dei: (tci >> 12 & 1) === 1,
    };
  }

  get data(): Uint8Array<ArrayBuffer> {
    if (this.#block.detached) {
      throw new TypeError(
        "The frame has left the ring: read data before asking for the next frame, or keep a copy()",
      );
    }
    return new Uint8Array(this.#block, this.#offset, this.capturedLength);
  }

  copy(): CapturedFrame {
    const frame: OwnFrame = new OwnFrame({
      interface: this.interface,
      seconds: this.seconds,
      nanoseconds: this.nanoseconds,
      length: this.length,
      data: this.data.slice(),
      direction: this.direction,
      vlan: this.vlan,
    });
    return frame as OwnFrame & CapturedFrame; // it has a time
  }
}

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
