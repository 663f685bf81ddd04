/**
 * Extension headers of IPv6 (RFC 8200 section 4): hop-by-hop and destination options, routing, fragment,
 * and authentication (RFC 4302).
 *
 * @module
 */
import type { Layer } from "./build.ts";
import { u16, u32 } from "./bytes.ts";
import { IPPROTO, type Option, readOptions } from "./ip.ts";
import { holds, View } from "./view.ts";

/** Whether a header of this type leads to another one. */
export function isExtension(type: number): boolean {
  return type === IPPROTO.HOPOPTS || type === IPPROTO.ROUTING || type === IPPROTO.FRAGMENT ||
    type === IPPROTO.AH || type === IPPROTO.DSTOPTS;
}

/** Bytes of an extension header, or 0 when it does not end before `end`. */
export function extensionSize(bytes: Uint8Array, type: number, at: number, end: number): number {
  if (at + 8 > end) return 0;
  const length = bytes[at + 1]!;
  const size = type === IPPROTO.FRAGMENT
    ? 8
    : type === IPPROTO.AH
    ? length * 4 + 8
    : length * 8 + 8;
  return at + size > end ? 0 : size;
}

/** An extension header. What does not apply to its {@link Ipv6Extension.type} is `undefined`. */
export class Ipv6Extension extends View {
  /** What it is: one of `IPPROTO`. */
  type = 0;

  /** Makes a view of the header of this type, or returns `undefined` when it is malformed. */
  static parse(
    bytes: Uint8Array,
    start: number,
    end: number,
    type: number,
  ): Ipv6Extension | undefined {
    if (!isExtension(type) || !holds(bytes, start, end, 8)) return undefined;
    const size = extensionSize(bytes, type, start, end);
    if (size === 0) return undefined;
    const view = new Ipv6Extension();
    view.bytes = bytes;
    view.start = start;
    view.end = start + size;
    view.type = type;
    return view;
  }

  /** The type of the header after this one. */
  get nextHeader(): number {
    return this.bytes[this.start]!;
  }

  /** Options of a hop-by-hop or destination options header; also `undefined` when malformed. */
  get options(): Option[] | undefined {
    if (this.type !== IPPROTO.HOPOPTS && this.type !== IPPROTO.DSTOPTS) return undefined;
    return readOptions(this.bytes, this.start + 2, this.end, { single: 0, uncounted: 2 });
  }

  /** Kind of a routing header. */
  get routingType(): number | undefined {
    return this.type === IPPROTO.ROUTING ? this.bytes[this.start + 2] : undefined;
  }

  /** Nodes of a routing header that are still to be visited. */
  get segmentsLeft(): number | undefined {
    return this.type === IPPROTO.ROUTING ? this.bytes[this.start + 3] : undefined;
  }

  /** Where a fragment belongs, in bytes. */
  get fragmentOffset(): number | undefined {
    return this.type === IPPROTO.FRAGMENT ? u16(this.bytes, this.start + 2) & 0xfff8 : undefined;
  }

  /** Whether more fragments follow. */
  get moreFragments(): boolean | undefined {
    return this.type === IPPROTO.FRAGMENT ? (this.bytes[this.start + 3]! & 1) === 1 : undefined;
  }

  /** What fragments of one packet have in common. */
  get identification(): number | undefined {
    return this.type === IPPROTO.FRAGMENT ? u32(this.bytes, this.start + 4) : undefined;
  }

  /** Security parameters index of an authentication header. */
  get spi(): number | undefined {
    return this.type === IPPROTO.AH ? u32(this.bytes, this.start + 4) : undefined;
  }
}

/** Fields of an extension header to be built. */
export interface Ipv6ExtensionFields {
  /** What it is: one of `IPPROTO`. */
  readonly type: number;
  /** What follows the two bytes of next header and length; padded to a multiple of 8 bytes. */
  readonly body: Uint8Array;
  /** The type of the header after this one; default what the next layer is. */
  readonly nextHeader?: number;
}

/**
 * An IPv6 extension header for `buildPacket()`. Hop-by-hop and destination options are padded with PadN
 * (RFC 8200 section 4.2), others with zeros.
 */
export function ipv6Extension(fields: Ipv6ExtensionFields): Layer {
  const { type, body, nextHeader } = fields;
  const size = Math.ceil((body.length + 2) / 8) * 8;
  const padding = size - body.length - 2;
  return {
    size,
    protocol: type,
    write(bytes, { start, inner }) {
      bytes[start] = nextHeader ?? inner?.protocol ?? IPPROTO.NONE;
      const length = type === IPPROTO.AH ? size / 4 - 2 : size / 8 - 1;
      if (type !== IPPROTO.FRAGMENT) bytes[start + 1] = length;
      bytes.set(body, start + 2);
      const options = type === IPPROTO.HOPOPTS || type === IPPROTO.DSTOPTS;
      if (options && padding > 1) bytes.set([1, padding - 2], start + size - padding);
    },
  };
}
