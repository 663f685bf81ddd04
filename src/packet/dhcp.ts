/**
 * DHCP for IPv4 (RFC 2131, RFC 2132).
 *
 * @module
 */
import { formatIp, formatMac, parseIpv4, parseMac } from "./address.ts";
import type { Layer } from "./build.ts";
import { setU16, setU32, u16, u32 } from "./bytes.ts";
import { type Option, readOptions } from "./ip.ts";
import { holds, View } from "./bytes.ts";

/** What a message is for: its option 53. */
export const DHCP = {
  DISCOVER: 1,
  OFFER: 2,
  REQUEST: 3,
  DECLINE: 4,
  ACK: 5,
  NAK: 6,
  RELEASE: 7,
  INFORM: 8,
} as const;

/** Numbers of options that are used most (RFC 2132). */
export const DHCP_OPTION = {
  SUBNET_MASK: 1,
  ROUTER: 3,
  DNS: 6,
  HOSTNAME: 12,
  DOMAIN_NAME: 15,
  REQUESTED_ADDRESS: 50,
  LEASE_TIME: 51,
  MESSAGE_TYPE: 53,
  SERVER_ID: 54,
  PARAMETER_REQUEST_LIST: 55,
  CLIENT_ID: 61,
} as const;

/** Bytes up to the options, the magic number among them. */
const HEADER = 240;
const MAGIC = 0x63825363;

/**
 * A DHCP message.
 *
 * @example A discovery
 * ```ts
 * import { buildPacket, DHCP, Dhcp, dhcp, DHCP_OPTION } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const message = Dhcp.parse(buildPacket(dhcp({
 *   messageType: DHCP.DISCOVER,
 *   transaction: 7,
 *   clientMac: "02:00:00:00:00:01",
 *   options: [{ type: DHCP_OPTION.HOSTNAME, value: new TextEncoder().encode("box") }],
 * })))!;
 * assertEquals([message.messageType, message.clientMac], [DHCP.DISCOVER, "02:00:00:00:00:01"]);
 * assertEquals(new TextDecoder().decode(message.option(DHCP_OPTION.HOSTNAME)), "box");
 * ```
 */
export class Dhcp extends View {
  /** Makes a view of a message, or returns `undefined` when it or one of its options is malformed. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Dhcp | undefined {
    const view = new Dhcp();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, HEADER) || u32(bytes, start + 236) !== MAGIC) return false;
    if (!read(bytes, start, end)) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** 1 from a client, 2 from a server. */
  get op(): number {
    return this.bytes[this.start]!;
  }

  /** Number that a client's message and the answers to it share. */
  get transaction(): number {
    return u32(this.bytes, this.start + 4);
  }

  /** Seconds since the client began. */
  get seconds(): number {
    return u16(this.bytes, this.start + 8);
  }

  /** Whether answers are to go to everybody. */
  get broadcast(): boolean {
    return (this.bytes[this.start + 10]! & 0x80) !== 0;
  }

  /** The address the client has already (`ciaddr`). */
  get clientAddress(): string {
    return formatIp(this.bytes, this.start + 12, 4);
  }

  /** The address the client is given (`yiaddr`). */
  get yourAddress(): string {
    return formatIp(this.bytes, this.start + 16, 4);
  }

  /** The server to go on with (`siaddr`). */
  get nextServer(): string {
    return formatIp(this.bytes, this.start + 20, 4);
  }

  /** The relay it went through (`giaddr`). */
  get relayAddress(): string {
    return formatIp(this.bytes, this.start + 24, 4);
  }

  /** Ethernet address of the client (`chaddr`). */
  get clientMac(): string {
    return formatMac(this.bytes, this.start + 28, 6);
  }

  /** What the message is for: one of {@link DHCP}; `undefined` when it does not say so. */
  get messageType(): number | undefined {
    return this.option(DHCP_OPTION.MESSAGE_TYPE)?.[0];
  }

  /** The options, without padding and end. */
  get options(): Option[] {
    const options = read(this.bytes, this.start, this.end) ?? [];
    return options.filter(({ type }) => type !== 0 && type !== 255);
  }

  /** The value of an option, a view on the message's memory, or `undefined` when it is not there. */
  option(type: number): Uint8Array | undefined {
    return this.options.find((option) => option.type === type)?.value;
  }

  /** The value of an option that is a list of addresses; empty when it is not there. */
  addresses(type: number): string[] {
    const value = this.option(type) ?? new Uint8Array(0);
    return Array.from({ length: value.length >> 2 }, (_, i) => formatIp(value, i * 4, 4));
  }
}

/** Fields of a message to be built. */
export interface DhcpFields {
  /** What it is for: one of {@link DHCP}; says too whether a client or a server sends it. */
  readonly messageType: number;
  /** Number that a client's message and the answers to it share. */
  readonly transaction: number;
  /** Ethernet address of the client. */
  readonly clientMac: string;
  /** Seconds since the client began; default 0. */
  readonly seconds?: number;
  /** Whether answers are to go to everybody; default `false`. */
  readonly broadcast?: boolean;
  /** The address the client has already; default none. */
  readonly clientAddress?: string;
  /** The address the client is given; default none. */
  readonly yourAddress?: string;
  /** The server to go on with; default none. */
  readonly nextServer?: string;
  /** The relay it goes through; default none. */
  readonly relayAddress?: string;
  /** Further options; default none. */
  readonly options?: readonly Option[];
}

/**
 * A DHCP message for `buildPacket()`.
 *
 * @throws {TypeError} When an address is malformed.
 */
export function dhcp(fields: DhcpFields): Layer {
  const { messageType, transaction, clientMac, seconds = 0, broadcast = false } = fields;
  const none = "0.0.0.0";
  const { clientAddress = none, yourAddress = none, nextServer = none, relayAddress = none } =
    fields;
  const reply: boolean = [DHCP.OFFER, DHCP.ACK, DHCP.NAK].some((type) => type === messageType);
  const type = { type: DHCP_OPTION.MESSAGE_TYPE, value: Uint8Array.of(messageType) };
  const options = [type, ...fields.options ?? []]
    .flatMap(({ type, value }) => [type, value.length, ...value]);
  const message = new Uint8Array(HEADER + options.length + 1);
  message.set([reply ? 2 : 1, 1, 6]);
  setU32(message, 4, transaction);
  setU16(message, 8, seconds);
  setU16(message, 10, broadcast ? 0x8000 : 0);
  const addresses = [clientAddress, yourAddress, nextServer, relayAddress];
  addresses.forEach((address, i) => message.set(parseIpv4(address), 12 + 4 * i));
  message.set(parseMac(clientMac), 28);
  setU32(message, HEADER - 4, MAGIC);
  message.set([...options, 255], HEADER);
  return { size: message.length, write: (bytes, { start }) => bytes.set(message, start) };
}

function read(bytes: Uint8Array, start: number, end: number): Option[] | undefined {
  return readOptions(bytes, start + HEADER, end, { single: 0, last: 255, uncounted: 2 });
}
