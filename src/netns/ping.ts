/**
 * ICMP echo from a namespace, without the `ping` program: RFC 792 and RFC 4443 over raw sockets.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { RawSocket } from "../device/raw_socket.ts";
import { buildPacket } from "../packet/build.ts";
import { ECHO_HEADER, ICMP, Icmp, icmp, ICMPV6, icmpv6 } from "../packet/icmp.ts";
import { checkOptions, show } from "../options.ts";
import { Turn } from "../turn.ts";

/** Options of a ping. */
export interface PingOptions {
  /** Number of requests; default 1. */
  readonly count?: number;
  /** Milliseconds between two requests; default 1000. */
  readonly interval?: number;
  /** Milliseconds to wait for the reply to a request; default 1000. */
  readonly timeout?: number;
  /** Bytes of payload, 0..65,507; default 56. */
  readonly size?: number;
  /** Ends the ping early: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** One reply. */
export interface PingReply {
  /** Number of the request, from 1. */
  readonly sequence: number;
  /** Round trip in milliseconds. */
  readonly time: number;
  /** Time to live the reply arrived with; IPv4 only. */
  readonly ttl?: number;
}

/** What came of a ping. Times in milliseconds; absent when no reply came. */
export interface PingResult {
  /** The address. */
  readonly address: string;
  /** Requests sent. */
  readonly sent: number;
  /** Replies received. */
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
  /** Each reply. */
  readonly replies: readonly PingReply[];
  /** What the network answered instead: `EHOSTUNREACH`, ..., by request number. */
  readonly errors: readonly { readonly sequence: number; readonly code: string }[];
}

const OPTIONS = { count: true, interval: true, timeout: true, size: true, signal: true };

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

/** From one ping to the next; others on the machine, and other threads, start elsewhere. */
let identifiers = crypto.getRandomValues(new Uint16Array(1))[0]!;

/** Pings an address from a namespace. */
export async function ping(
  netns: NetNsRef,
  address: string,
  options: PingOptions = {},
): Promise<PingResult> {
  checkOptions(options, OPTIONS);
  const { count = 1, interval = 1000, timeout = 1000, size = 56, signal } = options;
  checkNumber("count", count, 1, 1_000_000_000, true);
  checkNumber("interval", interval, 0, 86_400_000);
  checkNumber("timeout", timeout, 0, 86_400_000);
  checkNumber("size", size, 0, 65_507, true);
  signal?.throwIfAborted();
  using session = new Session(netns, address, size);
  const turn = new Turn(1);
  for (let sequence = 1; sequence <= count; sequence++) {
    const started = performance.now();
    await session.request(sequence, timeout, signal);
    if (sequence === count) break;
    const rest = interval - (performance.now() - started);
    if (rest > 0) {
      await sleep(rest, signal);
      turn.taken();
    } else {
      await turn.due(); // replies that are there at once must not keep everybody else waiting
      signal?.throwIfAborted();
    }
  }
  return session.result();
}

/** One socket and its requests. */
class Session implements Disposable {
  readonly #socket: RawSocket;
  readonly #address: string;
  readonly #v6: boolean;
  readonly #identifier = identifiers = (identifiers + 1) & 0xffff;
  readonly #packet: Uint8Array<ArrayBuffer>;
  /** The request. ICMPv6's has the same form. */
  readonly #request: Icmp;
  readonly #reply = new Icmp();
  readonly #buffer = new Uint8Array(65_600);
  readonly #replies: PingReply[] = [];
  readonly #errors: { sequence: number; code: string }[] = [];
  #sent = 0;

  constructor(netns: NetNsRef, address: string, size: number) {
    this.#v6 = typeof address === "string" && address.includes(":");
    const payload = Uint8Array.from({ length: size }, (_, i) => i + ECHO_HEADER);
    const identifier = this.#identifier;
    this.#packet = buildPacket(
      this.#v6 ? icmpv6({ type: ICMPV6.ECHO, identifier }) : icmp({ type: ICMP.ECHO, identifier }),
      payload,
    );
    this.#request = Icmp.parse(this.#packet)!;
    this.#socket = RawSocket.open({
      protocol: this.#v6 ? "icmpv6" : "icmp",
      netns: { ref: netns },
      remote: address,
      // With it the kernel passes on what routers answer, and what a neighbor does not.
      receiveErrors: true,
    });
    this.#address = address;
  }

  /** Sends a request and waits for its reply; none in time is a loss, not an error. */
  async request(sequence: number, timeout: number, signal?: AbortSignal): Promise<void> {
    // What has come late belongs to earlier requests; an error would keep this one from being sent.
    this.#receive(sequence, 0);
    this.#request.sequence = sequence;
    // ICMPv6's covers addresses that only the kernel knows: it is the one to fill it in.
    if (!this.#v6) this.#request.updateChecksum();
    const started = performance.now();
    this.#sent++;
    try {
      this.#socket.writeSync(this.#packet);
    } catch (error) {
      this.#errors.push({ sequence, code: unreachable(error).code });
      // There may be word of it beside the error.
      this.#socket.tryReadError(this.#buffer);
      return;
    }
    // Made only when the reply is not there at once.
    let until: AbortSignal | undefined;
    try {
      while (!this.#receive(sequence, started)) {
        if (!until) {
          const late = AbortSignal.timeout(timeout);
          until = signal ? AbortSignal.any([late, signal]) : late;
        }
        await this.#socket.whenReadable({ signal: until });
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (!until?.aborted) throw error;
    }
  }

  /** Reads what has come; `true` when it settles the request. */
  #receive(sequence: number, started: number): boolean {
    for (;;) {
      let length: number;
      try {
        length = this.#socket.tryRead(this.#buffer);
      } catch (error) {
        if (this.#refused(unreachable(error).code) === sequence) return true;
        continue;
      }
      if (length < 0) return false;
      const time = performance.now() - started;
      // A raw IPv4 socket delivers the IP header too.
      const start = this.#v6 ? 0 : (this.#buffer[0]! & 15) * 4;
      const type = this.#v6 ? ICMPV6.ECHO_REPLY : ICMP.ECHO_REPLY;
      if (this.#ours(type, start, length) === (sequence & 0xffff)) {
        this.#replies.push({ sequence, time, ...(this.#v6 ? {} : { ttl: this.#buffer[8]! }) });
        return true;
      }
    }
  }

  /** Notes what the network answered, and returns the number of the request it answered. */
  #refused(code: string): number | undefined {
    // The request comes back with the error, which may be a late one, or another's.
    const length = this.#socket.tryReadError(this.#buffer);
    const low = this.#ours(this.#v6 ? ICMPV6.ECHO : ICMP.ECHO, 0, length);
    if (low === undefined) return undefined;
    const sequence = this.#sent - ((this.#sent - low) & 0xffff);
    this.#errors.push({ sequence, code });
    return sequence;
  }

  /** The low 16 bits of the sequence number of an echo message, when it is one of this session. */
  #ours(type: number, start: number, length: number): number | undefined {
    const echo = this.#reply;
    if (!echo.point(this.#buffer, start, Math.min(length, this.#buffer.length))) return undefined;
    const ours = echo.type === type && echo.code === 0 && echo.identifier === this.#identifier;
    return ours ? echo.sequence : undefined;
  }

  result(): PingResult {
    const times = this.#replies.map(({ time }) => time);
    const received = times.length;
    const avg = times.reduce((sum, time) => sum + time, 0) / received;
    const square = times.reduce((sum, time) => sum + time * time, 0) / received;
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

/** An error that is the network's answer; any other one is thrown. */
function unreachable(error: unknown): SyscallError {
  if (error instanceof SyscallError && UNREACHABLE.has(error.errno)) return error;
  throw error;
}

function checkNumber(name: string, value: number, min: number, max: number, whole = false): void {
  if (typeof value !== "number" || Number.isNaN(value) || whole && !Number.isInteger(value)) {
    throw new TypeError(`${name} must be a number: got ${show(value)}`);
  }
  if (value < min || value > max) {
    throw new RangeError(`${name} must be in ${min}..${max}: got ${value}`);
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
