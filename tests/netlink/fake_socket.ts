// A netlink socket without a kernel: a script answers what is sent, with bytes built by hand.
import { NLMSG, NLMSG_HDRLEN } from "../../src/netlink/message.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";

/** A message as it was sent. */
export interface SentMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The message without its netlink header. */
  readonly body: Uint8Array;
}

/** Queues answers to one send. */
export type Script = (sent: readonly SentMessage[], socket: FakeSocket) => void;

/** Answers sends by a script. What is received is overwritten afterwards, as a kernel's would be. */
export class FakeSocket implements NetlinkSocket {
  /** What was sent, by send. */
  readonly sends: SentMessage[][] = [];
  closed = false;
  readonly #queue: (Uint8Array<ArrayBuffer> | Error)[] = [];
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  /** Adds a datagram of messages, or an error that receiving throws. */
  queue(...messages: Uint8Array[] | [Error]): void {
    const [first] = messages;
    this.#queue.push(first instanceof Error ? first : concat(...messages as Uint8Array[]));
  }

  /** How many datagrams nobody has received. */
  get pending(): number {
    return this.#queue.length;
  }

  send(bytes: Uint8Array<ArrayBuffer>, length: number): void {
    const sent = parse(bytes.slice(0, length));
    this.sends.push(sent);
    this.#script(sent, this);
  }

  receive(buffer: Uint8Array<ArrayBuffer>): number {
    buffer.fill(0xee);
    const next = this.#queue.shift();
    if (next === undefined) return -1;
    if (next instanceof Error) throw next;
    buffer.set(next.subarray(0, buffer.length));
    return next.length;
  }

  prepareDump(): void {}

  close(): void {
    this.closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function parse(bytes: Uint8Array<ArrayBuffer>): SentMessage[] {
  const view = new DataView(bytes.buffer);
  const messages: SentMessage[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = view.getUint32(at, true);
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.slice(at + NLMSG_HDRLEN, at + size),
    });
    at += (size + 3) & ~3;
  }
  return messages;
}

/** Joins bytes. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A 32-bit number in host byte order. */
export function word(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

/** A signed 64-bit number in host byte order. */
export function long(value: bigint): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new BigInt64Array([value]).buffer);
}

/** Text with a closing NUL. */
export function cString(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${value}\0`);
}

/** An attribute with its padding. */
export function attribute(type: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array((payload.length + 7) & ~3);
  new Uint16Array(bytes.buffer, 0, 2).set([payload.length + 4, type]);
  bytes.set(payload, 4);
  return bytes;
}

/** A message with its padding. */
export function message(
  type: number,
  flags: number,
  sequence: number,
  body: Uint8Array = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array((NLMSG_HDRLEN + body.length + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, NLMSG_HDRLEN + body.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  bytes.set(body, NLMSG_HDRLEN);
  return bytes;
}

const CAPPED = 0x100;
const ACK_TLVS = 0x200;

/** NLMSG_ERROR as kernels answer sockets with NETLINK_CAP_ACK and NETLINK_EXT_ACK. */
export function acknowledge(
  to: SentMessage,
  errno = 0,
  ...attributes: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  const request = message(to.type, to.flags, to.sequence, to.body).subarray(0, NLMSG_HDRLEN);
  const flags = CAPPED | (attributes.length > 0 ? ACK_TLVS : 0);
  return message(NLMSG.ERROR, flags, to.sequence, concat(word(-errno), request, ...attributes));
}

/** NLMSG_DONE: the end of a dump, with an error and attributes when it failed. */
export function done(
  to: SentMessage,
  errno = 0,
  ...attributes: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  const flags = 0x02 | (attributes.length > 0 ? ACK_TLVS : 0);
  return message(NLMSG.DONE, flags, to.sequence, concat(word(-errno), ...attributes));
}
