/**
 * VXLAN (RFC 7348).
 *
 * @module
 */
import type { Layer } from "./build.ts";
import { setU32, u32 } from "./bytes.ts";
import { holds, View } from "./view.ts";

/** The UDP port of VXLAN. */
export const VXLAN_PORT = 4789;

const HEADER = 8;
const VNI_PRESENT = 0x08;

/** A VXLAN header. An Ethernet frame follows it. */
export class Vxlan extends View {
  /** Makes a view of a header, or returns `undefined` when there are fewer than 8 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Vxlan | undefined {
    const view = new Vxlan();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, HEADER)) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** The flags: `0x08` when there is a network identifier. */
  get flags(): number {
    return this.bytes[this.start]!;
  }

  /** The network identifier, 24 bits. */
  get vni(): number {
    return u32(this.bytes, this.start + 4) >>> 8;
  }
  set vni(vni: number) {
    const reserved = this.bytes[this.start + 7]!;
    setU32(this.bytes, this.start + 4, vni << 8 | reserved);
  }

  /** Where the frame starts. */
  get payloadStart(): number {
    return this.start + HEADER;
  }
}

/** A VXLAN header for `buildPacket()`; `ethernet()` follows it. */
export function vxlan({ vni }: { readonly vni: number }): Layer {
  return {
    size: HEADER,
    write(bytes, { start }) {
      bytes[start] = VNI_PRESENT;
      setU32(bytes, start + 4, vni << 8);
    },
  };
}
