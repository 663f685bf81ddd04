/**
 * Whole packets out of layers: lengths, protocol numbers and checksums are filled in.
 *
 * @module
 */

/** Where a layer is in a packet. */
export interface Place {
  /** First byte of the layer's header. */
  readonly start: number;
  /** After the last byte of what it carries. */
  readonly end: number;
  /** The layer it carries; none when bytes or nothing follow. */
  readonly inner?: Layer;
}

/** A header to be written by {@link buildPacket}. */
export interface Layer {
  /** Bytes of the header. */
  readonly size: number;
  /** How Ethernet names it. */
  readonly etherType?: number;
  /** How IP names it. */
  readonly protocol?: number;
  /** Writes the header over zeros. */
  write(bytes: Uint8Array, place: Place): void;
  /** The sum of the pseudo header for what this layer carries. */
  pseudoHeader?(bytes: Uint8Array, place: Place, protocol: number, length: number): number;
  /** Writes the checksum; all that is inside is complete by then. */
  complete?(bytes: Uint8Array, place: Place, pseudoHeader?: number): void;
}

/**
 * Builds a packet.
 *
 * @param parts Layers from the outer one to the inner one, and bytes: what the innermost carries.
 * @returns The packet.
 *
 * @example A TCP packet
 * ```ts
 * import { buildPacket, format, ipv4, tcp } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const packet = buildPacket(
 *   ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *   tcp({ sourcePort: 40000, destinationPort: 80, sequence: 1, syn: true, options: [{ mss: 1460 }] }),
 * );
 * assertEquals(
 *   format(packet, { layer: "ip" }),
 *   "IP 10.0.0.1.40000 > 10.0.0.2.80: Flags [S], seq 1, win 65535, options [mss 1460], length 0",
 * );
 * ```
 */
export function buildPacket(...parts: (Layer | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const sizes = parts.map((part) => part instanceof Uint8Array ? part.length : part.size);
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const layers: [layer: Layer, place: Place][] = [];
  let start = 0;
  for (const [i, part] of parts.entries()) {
    if (part instanceof Uint8Array) bytes.set(part, start);
    else {
      const next = parts[i + 1];
      const inner = next === undefined || next instanceof Uint8Array ? undefined : next;
      layers.push([part, { start, end: bytes.length, ...(inner ? { inner } : {}) }]);
    }
    start += sizes[i]!;
  }
  for (const [layer, place] of layers) layer.write(bytes, place);
  for (let i = layers.length - 1; i >= 0; i--) {
    const [layer, place] = layers[i]!;
    const carriers = layers.slice(0, i).filter(([outer]) => outer.pseudoHeader);
    const [outer, around] = carriers.at(-1) ?? [];
    const length = place.end - place.start;
    const sum = outer?.pseudoHeader?.(bytes, around!, layer.protocol ?? 0, length);
    layer.complete?.(bytes, place, sum);
  }
  return bytes;
}
