/**
 * The header before each packet of a device with `IFF_VNET_HDR`: `struct virtio_net_hdr` of
 * `linux/virtio_net.h`.
 *
 * @module
 */
import { holds, View } from "./view.ts";

/** Flags: `VIRTIO_NET_HDR_F_*`. */
export const VIRTIO_NET_HDR_F = { NEEDS_CSUM: 1, DATA_VALID: 2 } as const;

/** What a packet is to be split into: `VIRTIO_NET_HDR_GSO_*`. ECN is a flag beside the others. */
export const VIRTIO_NET_HDR_GSO = {
  NONE: 0,
  TCPV4: 1,
  UDP: 3,
  TCPV6: 4,
  UDP_L4: 5,
  ECN: 0x80,
} as const;

/** Bytes of the header, when the device is not told another size (`TUNSETVNETHDRSZ`). */
export const VIRTIO_NET_HEADER = 10;

/**
 * The header and the packet after it. Its numbers are in the machine's byte order: little-endian.
 *
 * @example
 * ```ts
 * import { VIRTIO_NET_HDR_GSO, VirtioNetHeader } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = new Uint8Array([1, 1, 66, 0, 0xa8, 5, 20, 0, 16, 0]);
 * const header = VirtioNetHeader.parse(bytes)!;
 * assertEquals(header.gsoType, VIRTIO_NET_HDR_GSO.TCPV4);
 * assertEquals([header.headerLength, header.gsoSize], [66, 1448]);
 * assertEquals([header.checksumStart, header.checksumOffset], [20, 16]);
 * ```
 */
export class VirtioNetHeader extends View {
  /** Makes a view, or returns `undefined` when there are fewer than 10 bytes. */
  static parse(
    bytes: Uint8Array,
    start = 0,
    end: number = bytes.length,
  ): VirtioNetHeader | undefined {
    const view = new VirtioNetHeader();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, VIRTIO_NET_HEADER)) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** Bits of {@link VIRTIO_NET_HDR_F}. */
  get flags(): number {
    return this.bytes[this.start]!;
  }
  set flags(flags: number) {
    this.bytes[this.start] = flags;
  }

  /** One of {@link VIRTIO_NET_HDR_GSO}, and its flag for ECN. */
  get gsoType(): number {
    return this.bytes[this.start + 1]!;
  }
  set gsoType(type: number) {
    this.bytes[this.start + 1] = type;
  }

  /** Bytes of all headers of the packet: what each segment begins with. A hint. */
  get headerLength(): number {
    return this.#u16(2);
  }
  set headerLength(length: number) {
    this.#setU16(2, length);
  }

  /** Bytes of payload of each segment but the last, which may be shorter. */
  get gsoSize(): number {
    return this.#u16(4);
  }
  set gsoSize(size: number) {
    this.#setU16(4, size);
  }

  /** Where in the packet the sum for the checksum starts. */
  get checksumStart(): number {
    return this.#u16(6);
  }
  set checksumStart(start: number) {
    this.#setU16(6, start);
  }

  /** Where the checksum goes, from there. */
  get checksumOffset(): number {
    return this.#u16(8);
  }
  set checksumOffset(offset: number) {
    this.#setU16(8, offset);
  }

  /** Where the packet starts. */
  get packetStart(): number {
    return this.start + VIRTIO_NET_HEADER;
  }

  #u16(at: number): number {
    return this.bytes[this.start + at]! | this.bytes[this.start + at + 1]! << 8;
  }

  #setU16(at: number, value: number): void {
    this.bytes[this.start + at] = value;
    this.bytes[this.start + at + 1] = value >>> 8;
  }
}
