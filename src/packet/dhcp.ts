/**
 * DHCP for IPv4 (RFC 2131, RFC 2132, RFC 3396) and its predecessor BOOTP (RFC 951).
 *
 * @module
 */
import { integer } from "../options.ts";
import { formatIp, formatMac, parseIpv4, parseMac } from "./address.ts";
import { checkFields, type FieldKinds, type Layer } from "./build.ts";
import { concat, holds, setU16, setU32, u16, u32, View } from "./bytes.ts";
import type { Option } from "./ip.ts";

/** Message types: the value of option 53. */
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

/** Numbers of common options (RFC 2132). */
export const DHCP_OPTION = {
  SUBNET_MASK: 1,
  ROUTER: 3,
  DNS: 6,
  HOSTNAME: 12,
  DOMAIN_NAME: 15,
  REQUESTED_ADDRESS: 50,
  LEASE_TIME: 51,
  OVERLOAD: 52,
  MESSAGE_TYPE: 53,
  SERVER_ID: 54,
  PARAMETER_REQUEST_LIST: 55,
  CLIENT_ID: 61,
} as const;

/** Options of a single byte. */
const PAD = 0;
const END = 255;

/** Bytes of a BOOTP message without its vendor field, and with the magic number of DHCP in it. */
const BOOTP = 236;
const HEADER = 240;
const MAGIC = 0x63825363;

/** Places of `sname` and `file`, which may hold options (option 52), and the bits that say so. */
const SNAME = { start: 44, end: 108, overload: 2 };
const FILE = { start: 108, end: 236, overload: 1 };

/** Bytes of the longest option; a longer value is split (RFC 3396). */
const LONGEST = 255;

/**
 * A DHCP or BOOTP message. A BOOTP message has no options.
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
  /** Creates a view of a message, or returns `undefined` when there are fewer than 236 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Dhcp | undefined {
    const view = new Dhcp();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, BOOTP)) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** Operation: 1 is a request of a client, 2 the reply of a server. */
  get op(): number {
    return this.bytes[this.start]!;
  }

  /** Transaction number: equal in a request and its replies. */
  get transaction(): number {
    return u32(this.bytes, this.start + 4);
  }

  /** Seconds since the client began. */
  get seconds(): number {
    return u16(this.bytes, this.start + 8);
  }

  /** Whether the server should broadcast its replies. */
  get broadcast(): boolean {
    return (this.bytes[this.start + 10]! & 0x80) !== 0;
  }

  /** The address that the client already has (`ciaddr`). */
  get clientAddress(): string {
    return formatIp(this.bytes, this.start + 12, 4);
  }

  /** The address that the server assigns to the client (`yiaddr`). */
  get yourAddress(): string {
    return formatIp(this.bytes, this.start + 16, 4);
  }

  /** The server of the next step (`siaddr`). */
  get nextServer(): string {
    return formatIp(this.bytes, this.start + 20, 4);
  }

  /** The relay agent (`giaddr`). */
  get relayAddress(): string {
    return formatIp(this.bytes, this.start + 24, 4);
  }

  /** Ethernet address of the client (`chaddr`). */
  get clientMac(): string {
    return formatMac(this.bytes, this.start + 28, 6);
  }

  /** Message type: one of {@link DHCP}; `undefined` in a BOOTP message. */
  get messageType(): number | undefined {
    return this.option(DHCP_OPTION.MESSAGE_TYPE)?.[0];
  }

  /**
   * The options without padding and end, also those in the fields `file` and `sname` (option 52). The parts
   * of a split option are joined (RFC 3396). Behind a malformed option the rest of its field is left out.
   */
  get options(): Option[] {
    const parts = new Map<number, Uint8Array[]>();
    this.#walk((type, value) => {
      const found = parts.get(type);
      if (found) found.push(value);
      else parts.set(type, [value]);
    });
    return Array.from(parts, ([type, values]) => ({
      type,
      value: values.length === 1 ? values[0]! : concat(values),
    }));
  }

  /** Whether no option is longer than its field. */
  get optionsValid(): boolean {
    return this.#walk(() => {});
  }

  /** The value of an option, or `undefined` when the message does not have it. */
  option(type: number): Uint8Array | undefined {
    return this.options.find((option) => option.type === type)?.value;
  }

  /** The value of an option that is a list of addresses; empty when the message does not have it. */
  addresses(type: number): string[] {
    const value = this.option(type) ?? new Uint8Array(0);
    return Array.from({ length: value.length >> 2 }, (_, i) => formatIp(value, i * 4, 4));
  }

  /** Calls `found` for each option or part of one; returns whether none is malformed. */
  #walk(found: (type: number, value: Uint8Array) => void): boolean {
    const { bytes, start, end } = this;
    if (end - start < HEADER || u32(bytes, start + BOOTP) !== MAGIC) return true;
    let overload = 0;
    let valid = walkOptions(bytes, start + HEADER, end, (type, value) => {
      if (type === DHCP_OPTION.OVERLOAD && value.length === 1) overload = value[0]!;
      found(type, value);
    });
    // In this order split options are joined (RFC 3396 section 5).
    for (const field of [FILE, SNAME]) {
      if ((overload & field.overload) === 0) continue;
      valid = walkOptions(bytes, start + field.start, start + field.end, found) && valid;
    }
    return valid;
  }
}

/** Calls `found` for each option of a field; returns whether none is malformed. */
function walkOptions(
  bytes: Uint8Array,
  start: number,
  end: number,
  found: (type: number, value: Uint8Array) => void,
): boolean {
  for (let at = start; at < end && bytes[at] !== END;) {
    if (bytes[at] === PAD) {
      at++;
      continue;
    }
    const next = at + 1 < end ? at + 2 + bytes[at + 1]! : Infinity;
    if (next > end) return false;
    found(bytes[at]!, bytes.subarray(at + 2, next));
    at = next;
  }
  return true;
}

/** Fields of a DHCP message. */
export interface DhcpFields {
  /** One of {@link DHCP}. The operation, request or reply, follows from it. */
  readonly messageType: number;
  /** Transaction number, 0..4,294,967,295: equal in a request and its replies. */
  readonly transaction: number;
  /** Ethernet address of the client. */
  readonly clientMac: string;
  /** Seconds since the client began, 0..65,535; default 0. */
  readonly seconds?: number;
  /** Whether the server should broadcast its replies; default `false`. */
  readonly broadcast?: boolean;
  /** The address that the client already has; default none. */
  readonly clientAddress?: string;
  /** The address that the server assigns to the client; default none. */
  readonly yourAddress?: string;
  /** The server of the next step; default none. */
  readonly nextServer?: string;
  /** The relay agent; default none. */
  readonly relayAddress?: string;
  /**
   * Further options with types 1..254; default none. A value of more than 255 bytes becomes several options
   * of the same type (RFC 3396).
   */
  readonly options?: readonly Option[];
}

const FIELDS: FieldKinds<DhcpFields> = {
  messageType: "u8",
  transaction: "u32",
  clientMac: true,
  seconds: "u16?",
  broadcast: "boolean?",
  clientAddress: true,
  yourAddress: true,
  nextServer: true,
  relayAddress: true,
  options: true,
};
const OPTION_FIELDS: FieldKinds<Option> = { type: "u8", value: true };

/**
 * Creates a DHCP message for `buildPacket()`.
 *
 * @param fields The fields of the message.
 * @throws {TypeError} For an unknown field or a malformed address.
 * @throws {RangeError} For a number that its field cannot hold. `buildPacket()` throws it for options that no
 *   UDP datagram holds.
 */
export function dhcp(fields: DhcpFields): Layer {
  checkFields(fields, FIELDS);
  const { messageType, transaction, clientMac, seconds = 0, broadcast = false } = fields;
  const none = "0.0.0.0";
  const { clientAddress = none, yourAddress = none, nextServer = none, relayAddress = none } =
    fields;
  const reply: boolean = [DHCP.OFFER, DHCP.ACK, DHCP.NAK].some((type) => type === messageType);
  const type = { type: DHCP_OPTION.MESSAGE_TYPE, value: Uint8Array.of(messageType) };
  const parts = [type, ...fields.options ?? []].flatMap((option, i) => {
    // The first one is not the caller's.
    checkFields(option, OPTION_FIELDS, `options[${i - 1}]`);
    integer(option.type, `options[${i - 1}].type`, PAD + 1, END - 1);
    return split(option);
  });
  const message = concat([new Uint8Array(HEADER), ...parts, Uint8Array.of(END)]);
  message.set([reply ? 2 : 1, 1, 6]);
  setU32(message, 4, transaction);
  setU16(message, 8, seconds);
  setU16(message, 10, broadcast ? 0x8000 : 0);
  const addresses = [clientAddress, yourAddress, nextServer, relayAddress];
  addresses.forEach((address, i) => message.set(parseIpv4(address), 12 + 4 * i));
  message.set(parseMac(clientMac), 28);
  setU32(message, BOOTP, MAGIC);
  return { size: message.length, write: (bytes, { start }) => bytes.set(message, start) };
}

/** An option as bytes, in parts of at most 255 bytes each. */
function split({ type, value }: Option): Uint8Array[] {
  return Array.from({ length: Math.ceil(value.length / LONGEST) || 1 }, (_, i) => {
    const part = value.subarray(i * LONGEST, (i + 1) * LONGEST);
    return Uint8Array.of(type, part.length, ...part);
  });
}
