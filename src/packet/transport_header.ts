/**
 * What the headers of TCP and UDP have in common.
 *
 * @module
 */
import { setU16, u16 } from "./bytes.ts";
import { View } from "./view.ts";

/** A header that begins with ports. */
export abstract class TransportHeader extends View {
  /** Sender. */
  get sourcePort(): number {
    return u16(this.bytes, this.start);
  }
  set sourcePort(port: number) {
    setU16(this.bytes, this.start, port);
  }

  /** Receiver. */
  get destinationPort(): number {
    return u16(this.bytes, this.start + 2);
  }
  set destinationPort(port: number) {
    setU16(this.bytes, this.start + 2, port);
  }
}
