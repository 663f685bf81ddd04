/**
 * ICMP echo from a namespace, without the `ping` program: RFC 792 and RFC 4443 over raw sockets.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { type NetNsRef, PRIVILEGE_HINT } from "../../ffi/namespace.ts";
import { RawSocket, type RawSocketOptions } from "../device/ip_socket.ts";
import { buildPacket } from "../packet/build.ts";
import { ECHO_HEADER, ICMP, Icmp, icmp, ICMPV6, icmpv6 } from "../packet/icmp.ts";
import { checkOptions, integer, type OptionNames, show } from "../options.ts";
import { tryParseIp } from "../packet/address.ts";
import { Turn } from "../waiting.ts";

/** Options of a ping. */
export interface PingOptions {
  /** Number of requests; default 1. */
  readonly count?: number;
  /** Milliseconds between two requests; default 1000. */
  readonly interval?: number;
  /**
   * Milliseconds to wait for the reply to a request; default 1000. At a multicast or broadcast address
   * each request waits as long, since every host may reply.
   */
  readonly timeout?: number;
  /** Number of requests that may wait for their replies at once; default 1: each after the other. */
  readonly concurrency?: number;
  /** Bytes of payload, 0..65,507; default 56. */
  readonly size?: number;
  /** Ends the ping early: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** One reply. */
export interface PingReply {
  /** Number of the request, from 1. */
  readonly sequence: number;
  /** Address of the host that replied. */
  readonly from: string;
  /** Round trip in milliseconds. */
  readonly time: number;
  /** Time to live of the reply; IPv4 only. */
  readonly ttl?: number;
}

/** The result of a ping. Times in milliseconds; absent when no reply came. */
export interface PingResult {
  /** The address. */
  readonly address: string;
  /** Requests sent. */
  readonly sent: number;
  /** Requests that got a reply. */
  readonly received: number;
  /** Share of requests without a reply: 0 to 1. */
  readonly loss: number;
  /** Shortest round trip. */
  readonly min?: number;
  /** Mean round trip. */
  readonly avg?: number;
  /** Longest round trip. */
  readonly max?: number;
  /** Standard deviation of the round trips. */
  readonly mdev?: number;
  /** Each reply, as they came. At a multicast or broadcast address a request may get many. */
  readonly replies: readonly PingReply[];
  /** Errors that the network answered instead, such as `EHOSTUNREACH`, with the number of the request. */
  readonly errors: readonly { readonly sequence: number; readonly code: string }[];
}

const OPTIONS: OptionNames<PingOptions> = {
  count: true,
  interval: true,
  timeout: true,
  concurrency: true,
  size: true,
  signal: true,
};

/** Answers of the network to a request, rather than failures of the program. */
const UNREACHABLE: ReadonlySet<number> = new Set([
  ERRNO.EHOSTUNREACH,
  ERRNO.ENETUNREACH,
  ERRNO.EHOSTDOWN,
  ERRNO.ECONNREFUSED,
  ERRNO.EACCES,
  ERRNO.EMSGSIZE,
  ERRNO.EPROTO,
  // The link has lost its carrier: it takes nothing.
  ERRNO.ENOBUFS,
]);

/** Milliseconds: the longest interval and timeout. */
const A_DAY = 86_400_000;

/** Addresses of many hosts: 224.0.0.0/4 and ff00::/8. */
const MULTICAST = /^(22[4-9]|23\d)\.|^ff[0-9a-f]{2}:/i;

/** Reasons of errors that no router reports. */
const HINTS: Readonly<Record<number, string>> = {
  [ERRNO.ENETUNREACH]: "no route leads to it",
  [ERRNO.EHOSTUNREACH]: "a route refuses it",
  [ERRNO.EACCES]: "a route prohibits it",
  [ERRNO.EPERM]: PRIVILEGE_HINT,
  [ERRNO.EADDRNOTAVAIL]:
    "no address of its own is in use yet: duplicate address detection takes a second, which Scope.ready() waits for",
};

/** `fe80::/10` and `ff02::/16` without the link they are on. */
const WITHOUT_ZONE = /^(fe[89ab][0-9a-f]|ff02):[^%]*$/i;

/** From one ping to the next; others on the machine, and other threads, start elsewhere. */
let identifiers = crypto.getRandomValues(new Uint16Array(1))[0]!;

/** The turns of all pings: a program may send one after the other. */
const turn = new Turn(1);

/** Pings an address from a namespace. */
export async function ping(
  netns: NetNsRef,
  address: string,
  options: PingOptions = {},
): Promise<PingResult> {
  checkOptions(options, OPTIONS);
  const { count = 1, interval = 1000, timeout = 1000, concurrency = 1, size = 56, signal } =
    options;
  integer(count, "count", 1, 1_000_000_000);
  checkTime(interval, "interval");
  checkTime(timeout, "timeout");
  integer(concurrency, "concurrency", 1, 65_536);
  integer(size, "size", 0, 65_507, "bytes");
  signal?.throwIfAborted();
  using session = new Session(netns, address, size, timeout);
  for (let sequence = 1; sequence <= count; sequence++) {
    const started = performance.now();
    await session.request(sequence);
    await session.fewer(sequence === count ? 1 : concurrency, signal);
    // Replies that are there at once must not keep everybody else waiting, also not in a loop of pings.
    if (sequence === count) {
      await turn.due();
      break;
    }
    const rest = interval - (performance.now() - started);
    if (rest > 0) {
      await session.pause(rest, signal);
      turn.taken();
    } else {
      await turn.due();
      signal?.throwIfAborted();
    }
  }
  return session.result();
}

/** A request that waits for its reply. */
interface Waiting {
  readonly sequence: number;
  /** When it was sent. */
  readonly started: number;
}

/** One socket and its requests. */
class Session implements Disposable {
  readonly #socket: RawSocket;
  readonly #address: string;
  readonly #timeout: number;
  readonly #v6: boolean;
  /** Whether many hosts may reply: then the socket has no remote address, which would filter them. */
  readonly #group: boolean;
  readonly #identifier = identifiers = (identifiers + 1) & 0xffff;
  readonly #packet: Uint8Array<ArrayBuffer>;
  /** The request. ICMPv6's has the same form. */
  readonly #request: Icmp;
  readonly #reply = new Icmp();
  readonly #buffer = new Uint8Array(65_600);
  /** By the low 16 bits of their numbers, the oldest first. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #replies: PingReply[] = [];
  readonly #answered = new Set<number>();
  readonly #errors: { sequence: number; code: string }[] = [];
  /** Bytes of the message in the buffer. */
  #length = 0;
  #sent = 0;

  constructor(netns: NetNsRef, address: string, size: number, timeout: number) {
    const [ip] = typeof address === "string" ? address.split("%") : [];
    if (ip === undefined || !tryParseIp(ip)) {
      throw new TypeError(`address must be an IP address: got ${show(address)}`);
    }
    this.#v6 = ip.includes(":");
    const payload = Uint8Array.from({ length: size }, (_, i) => i + ECHO_HEADER);
    const identifier = this.#identifier;
    this.#packet = buildPacket(
      this.#v6 ? icmpv6({ type: ICMPV6.ECHO, identifier }) : icmp({ type: ICMP.ECHO, identifier }),
      payload,
    );
    this.#request = Icmp.parse(this.#packet)!;
    [this.#socket, this.#group] = openSocket(netns, address, this.#v6);
    this.#address = address;
    this.#timeout = timeout;
  }

  /** Sends a request; a reply that is there at once is read at once. */
  async request(sequence: number): Promise<void> {
    // A queued error would keep this request from being sent.
    this.#receive();
    this.#request.sequence = sequence;
    // ICMPv6's covers addresses that only the kernel knows: it is the one to fill it in.
    if (!this.#v6) this.#request.updateChecksum();
    this.#sent++;
    this.#waiting.set(sequence & 0xffff, { sequence, started: performance.now() });
    try {
      if (this.#group) await this.#socket.writeTo(this.#packet, this.#address);
      else this.#socket.writeSync(this.#packet);
    } catch (error) {
      this.#waiting.delete(sequence & 0xffff);
      this.#errors.push({ sequence, code: unreachable(error).code });
      // There may be word of it beside the error.
      this.#socket.tryReadError(this.#buffer);
      return;
    }
    this.#receive();
  }

  /** Waits until fewer than `most` requests wait; a request without a reply in time is a loss. */
  async fewer(most: number, signal?: AbortSignal): Promise<void> {
    while (this.#waiting.size >= most) {
      const [oldest] = this.#waiting.values();
      const rest = oldest!.started + this.#timeout - performance.now();
      if (rest > 0) await this.#wait(rest, signal);
      else this.#waiting.delete(oldest!.sequence & 0xffff);
    }
  }

  /** Waits for some milliseconds, and meanwhile takes replies. */
  async pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
    const until = performance.now() + milliseconds;
    for (let rest = milliseconds; rest > 0; rest = until - performance.now()) {
      if (this.#waiting.size === 0) return await sleep(rest, signal);
      await this.#wait(rest, signal);
    }
  }

  /** Waits for a message, at most so long, and takes all that have come. */
  async #wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    const late = AbortSignal.timeout(Math.ceil(milliseconds));
    try {
      const either = signal ? AbortSignal.any([late, signal]) : late;
      await this.#socket.whenReadable({ signal: either });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (!late.aborted) throw error;
    }
    this.#receive();
  }

  /** Reads what has come: replies and errors of the requests that wait. */
  #receive(): void {
    for (;;) {
      let reply: Omit<PingReply, "sequence" | "time"> | undefined;
      try {
        reply = this.#read();
      } catch (error) {
        this.#refused(unreachable(error).code);
        continue;
      }
      if (reply === undefined) return;
      const now = performance.now();
      const start = this.#v6 ? 0 : (this.#buffer[0]! & 15) * 4;
      const low = this.#ours(this.#v6 ? ICMPV6.ECHO_REPLY : ICMP.ECHO_REPLY, start);
      const waiting = low === undefined ? undefined : this.#waiting.get(low);
      // Another program's, or too late.
      if (!waiting || now - waiting.started > this.#timeout) continue;
      const { sequence, started } = waiting;
      this.#replies.push({ sequence, time: now - started, ...reply });
      this.#answered.add(sequence);
      if (!this.#group) this.#waiting.delete(low!);
    }
  }

  /** Reads one message into the buffer; its source and TTL, or `undefined` when none is there. */
  #read(): Omit<PingReply, "sequence" | "time"> | undefined {
    if (!this.#group) {
      this.#length = this.#socket.tryRead(this.#buffer);
      if (this.#length < 0) return undefined;
      return { from: this.#address, ...(this.#v6 ? {} : { ttl: this.#buffer[8]! }) };
    }
    const received = this.#socket.tryReadFrom(this.#buffer);
    if (!received) return undefined;
    this.#length = received.length;
    return { from: received.from.address, ...(this.#v6 ? {} : { ttl: this.#buffer[8]! }) };
  }

  /** Notes an error that the network answered to a request. */
  #refused(code: string): void {
    // The request comes back with the error, which may be a late one, or another's.
    this.#length = this.#socket.tryReadError(this.#buffer);
    const low = this.#ours(this.#v6 ? ICMPV6.ECHO : ICMP.ECHO, 0);
    if (low === undefined) return;
    this.#errors.push({ sequence: this.#sent - ((this.#sent - low) & 0xffff), code });
    this.#waiting.delete(low);
  }

  /** The low 16 bits of the sequence number of the echo message in the buffer, if it is one of ours. */
  #ours(type: number, start: number): number | undefined {
    const echo = this.#reply;
    const end = Math.min(this.#length, this.#buffer.length);
    if (!echo.point(this.#buffer, start, end)) return undefined;
    const ours = echo.type === type && echo.code === 0 && echo.identifier === this.#identifier;
    return ours ? echo.sequence : undefined;
  }

  result(): PingResult {
    const times = this.#replies.map(({ time }) => time);
    const received = this.#answered.size;
    const avg = times.reduce((sum, time) => sum + time, 0) / times.length;
    const square = times.reduce((sum, time) => sum + time * time, 0) / times.length;
    const statistics = received === 0 ? {} : {
      min: Math.min(...times),
      avg,
      max: Math.max(...times),
      mdev: Math.sqrt(Math.max(0, square - avg * avg)),
    };
    return {
      address: this.#address,
      sent: this.#sent,
      received,
      loss: (this.#sent - received) / this.#sent,
      ...statistics,
      replies: this.#replies,
      errors: this.#errors,
    };
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Opens the socket of a session; `true` if many hosts may reply. */
function openSocket(netns: NetNsRef, address: string, v6: boolean): [RawSocket, boolean] {
  const options: RawSocketOptions = {
    protocol: v6 ? "icmpv6" : "icmp",
    family: v6 ? "inet6" : "inet",
    netns: { ref: netns },
    // With it the kernel passes on the errors of routers, and of neighbors that do not answer.
    receiveErrors: true,
  };
  try {
    const connected = connect(options, address);
    if (connected && !MULTICAST.test(address)) return [connected, false];
    connected?.close();
    return [RawSocket.open({ ...options, broadcast: !v6 }), true];
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const { syscall, errno } = error;
    const hint = errno === ERRNO.EINVAL && WITHOUT_ZONE.test(address)
      ? `such an address is of one link: "${address}%eth0"`
      : HINTS[errno];
    throw new SyscallError(`ping ${address}${netns.place}`, { syscall, errno, hint });
  }
}

/** A socket with a remote address; `undefined` when that is a broadcast address. */
function connect(options: RawSocketOptions, remote: string): RawSocket | undefined {
  try {
    return RawSocket.open({ ...options, remote });
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== ERRNO.EACCES) throw error;
    // A route that prohibits the address refuses it so as well, and still does.
    RawSocket.open({ ...options, remote, broadcast: true }).close();
    return undefined;
  }
}

/** An error that is the network's answer; any other one is thrown. */
function unreachable(error: unknown): SyscallError {
  if (error instanceof SyscallError && UNREACHABLE.has(error.errno)) return error;
  throw error;
}

function checkTime(value: number, name: string): void {
  if (typeof value !== "number" || Number.isNaN(value)) {
    throw new TypeError(`${name} must be a number of milliseconds: got ${show(value)}`);
  }
  if (value < 0 || value > A_DAY) {
    throw new RangeError(`${name} must be in 0..${A_DAY} milliseconds: got ${value}`);
  }
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
