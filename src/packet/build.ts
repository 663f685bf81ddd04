/**
 * Whole packets out of layers: lengths, protocol numbers and checksums are filled in.
 *
 * @module
 */
import { boolean, checkOptions, integer, show } from "../options.ts";

/** The place of a layer in a packet. */
export interface Place {
  /** Offset of the layer's header. */
  readonly start: number;
  /** End of the layer's payload, exclusive. */
  readonly end: number;
  /** The next layer; none when bytes or nothing follow. */
  readonly inner?: Layer;
}

/** A header that {@link buildPacket} writes. */
export interface Layer {
  /** Bytes of the header. */
  readonly size: number;
  /** The EtherType of this layer. */
  readonly etherType?: number;
  /** The IP protocol number of this layer. */
  readonly protocol?: number;
  /**
   * Writes the header over zeros.
   *
   * @throws {RangeError} When a field cannot hold the length of the packet.
   */
  write(bytes: Uint8Array, place: Place): void;
  /** Sums the pseudo header of the last `length` bytes of this layer. */
  pseudoHeader?(bytes: Uint8Array, place: Place, protocol: number, length: number): number;
  /** Writes the checksum. All inner layers are complete by then. */
  complete?(bytes: Uint8Array, place: Place, pseudoHeader?: number): void;
}

/**
 * Builds a packet.
 *
 * @param parts Layers from the outermost to the innermost, and bytes: the payload.
 * @returns The packet.
 * @throws {TypeError} For a part that is neither a layer nor bytes.
 * @throws {RangeError} When the packet is longer than a length field can tell.
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
  const sizes = parts.map((part, i) => {
    if (part instanceof Uint8Array) return part.length;
    if (typeof part?.write === "function") return part.size;
    throw new TypeError(`parts[${i}] must be a layer or a Uint8Array: got ${show(part)}`);
  });
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

/** `u16`: an unsigned number of 16 bits; `true`: something that its builder checks. */
type Kind<V> = [V] extends [number] ? `u${number}` : [V] extends [boolean] ? "boolean" : true;

/** The kind of each field of `T`, with `?` behind it when the field may be left out. */
export type FieldKinds<T extends object> = {
  readonly [K in keyof T]-?: Kind<NonNullable<T[K]>> extends infer V extends string
    ? Record<never, never> extends Pick<T, K> ? `${V}?` : V
    : true;
};

/**
 * Checks the fields of a header: their names, and that each number fits its field. Nothing is cut off.
 *
 * @param fields The fields.
 * @param kinds The kind of each allowed field.
 * @param path The place of the fields in the argument, for errors.
 * @throws {TypeError} For an unknown field, or a value of another type.
 * @throws {RangeError} For a number that the field cannot hold.
 */
export function checkFields<T extends object>(
  fields: T,
  kinds: FieldKinds<T>,
  path = "",
): void {
  checkOptions(fields, kinds, path);
  for (const name in kinds) {
    const kind: string | true = kinds[name];
    if (kind === true) continue;
    const value = fields[name];
    if (value === undefined && kind.endsWith("?")) continue;
    const at = path ? `${path}.${name}` : name;
    const most = largest(kind);
    if (most === undefined) boolean(value, at);
    else integer(value, at, 0, most);
  }
}

const LARGEST = new Map<string, number | undefined>([
  ["boolean", undefined],
  ["boolean?", undefined],
]);

/** The largest number of a kind; `undefined` for a boolean. */
function largest(kind: string): number | undefined {
  if (!LARGEST.has(kind)) LARGEST.set(kind, 2 ** parseInt(kind.slice(1)) - 1);
  return LARGEST.get(kind);
}
