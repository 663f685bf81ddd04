// Frames on a link: a packet socket that sees and sends them.
import { C } from "../../ffi/libc.ts";
import type { Fd } from "../../ffi/file.ts";
import { readable } from "../../ffi/reactor.ts";
import { Socket } from "../../ffi/socket.ts";
import type { NetNs } from "../../mod.ts";
import { formatIp, formatMac, parseIp, parseMac } from "../../src/packet/address.ts";

const AF_PACKET = 17;
const ETH_P_ALL = 3;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_QDISC_BYPASS = 20;

/** The broadcast address. */
export const BROADCAST = "ff:ff:ff:ff:ff:ff";
/** EtherTypes. */
export const ETH_P = { IP: 0x0800, ARP: 0x0806, TEST: 0x88b5 } as const;

/** An IP protocol number for experiments (RFC 3692). */
const EXPERIMENT = 253;

/** A frame in parts. */
export interface Frame {
  readonly to: string;
  readonly from: string;
  readonly type: number;
  readonly payload: Uint8Array;
  /** For IPv4: its addresses. */
  readonly ip?: { readonly from: string; readonly to: string };
}

/** How long something that must come may take. */
const PATIENCE = 20_000;

/** Takes a frame apart. */
export function parseFrame(bytes: Uint8Array): Frame {
  const type = bytes[12]! << 8 | bytes[13]!;
  const frame = {
    to: formatMac(bytes, 0, 6),
    from: formatMac(bytes, 6, 6),
    type,
    payload: bytes.slice(14),
  };
  if (type !== ETH_P.IP) return frame;
  return { ...frame, ip: { from: formatIp(bytes, 26, 4), to: formatIp(bytes, 30, 4) } };
}

/** Puts a frame together; of a type for experiments, unless said otherwise. */
export function frame(
  to: string,
  from: string,
  payload: string | Uint8Array = "",
  type: number = ETH_P.TEST,
): Uint8Array<ArrayBuffer> {
  const content = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const bytes = new Uint8Array(Math.max(60, 14 + content.length));
  bytes.set(parseMac(to), 0);
  bytes.set(parseMac(from), 6);
  bytes.set([type >> 8, type & 0xff], 12);
  bytes.set(content, 14);
  return bytes;
}

/** An IPv4 packet of a protocol for experiments. */
export function packet(from: string, to: string): Uint8Array {
  const bytes = new Uint8Array(24);
  bytes.set([0x45, 0, 0, 24, 0, 0, 0, 0, 64, EXPERIMENT]);
  bytes.set(parseIp(from), 12);
  bytes.set(parseIp(to), 16);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += bytes[i]! << 8 | bytes[i + 1]!;
  sum = (sum & 0xffff) + (sum >> 16);
  bytes.set([~sum >> 8 & 0xff, ~sum & 0xff], 10);
  return bytes;
}

/** The text in a frame made by {@link frame}. */
export function textOf({ payload }: Frame): string {
  return new TextDecoder().decode(payload).replace(/\0+$/, "");
}

/** Sees frames. */
export abstract class Watcher implements Disposable {
  /** What has come so far. */
  readonly frames: Frame[] = [];

  protected abstract get fd(): Fd;
  /** The next frame, if there is one. */
  protected abstract next(): Uint8Array | undefined;
  abstract [Symbol.dispose](): void;

  /** Waits for a frame; looks at what is there first. */
  async until(condition: (frame: Frame) => boolean): Promise<Frame> {
    const late = AbortSignal.timeout(PATIENCE);
    for (let seen = 0;;) {
      this.drain();
      for (; seen < this.frames.length; seen++) {
        if (condition(this.frames[seen]!)) return this.frames[seen]!;
      }
      await readable(this.fd, late);
    }
  }

  /** Reads what is there, and returns all frames that have come. */
  drain(): Frame[] {
    for (let bytes = this.next(); bytes; bytes = this.next()) this.frames.push(parseFrame(bytes));
    return this.frames;
  }
}

/** Frames that pass a link, in both directions, or only those that come in. */
export class Wire extends Watcher {
  readonly #socket: Socket;
  readonly #buffer = new Uint8Array(4096);

  /** `direct`: past the link's queue, which passes nothing until it has heard of the carrier. */
  constructor(
    netns: NetNs,
    link: { readonly index: number },
    incoming = false,
    direct = false,
  ) {
    super();
    this.#socket = new Socket(netns.ref, AF_PACKET, C.SOCK_RAW, 0, "watch a link");
    if (incoming) this.#socket.setOption(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
    if (direct) this.#socket.setOption(SOL_PACKET, PACKET_QDISC_BYPASS, 1);
    const address = new Uint8Array(20);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(2, ETH_P_ALL, false);
    view.setInt32(4, link.index, true);
    this.#socket.bind(address, "watch a link");
  }

  protected get fd(): Fd {
    return this.#socket.fd;
  }

  protected next(): Uint8Array | undefined {
    const length = this.#socket.receive(this.#buffer, 0, "watch a link");
    return length < 0 ? undefined : this.#buffer.subarray(0, length);
  }

  /** Sends a frame out of the link. */
  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(bytes, bytes.length, "send a frame");
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** IPv4 packets of a protocol for experiments that arrive in a namespace, as frames without addresses. */
export class Arrivals extends Watcher {
  readonly #socket: Socket;
  readonly #buffer = new Uint8Array(4096);

  constructor(netns: NetNs) {
    super();
    this.#socket = new Socket(netns.ref, C.AF_INET, C.SOCK_RAW, EXPERIMENT, "receive packets");
    this.#buffer.set([ETH_P.IP >> 8, ETH_P.IP & 0xff], 12);
  }

  protected get fd(): Fd {
    return this.#socket.fd;
  }

  protected next(): Uint8Array | undefined {
    const length = this.#socket.receive(this.#buffer.subarray(14), 0, "receive packets");
    return length < 0 ? undefined : this.#buffer.subarray(0, 14 + length);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
