/**
 * The Internet checksum (RFC 1071).
 *
 * @module
 */

/**
 * Sums bytes as 16-bit big-endian words, the odd last byte padded with zero.
 *
 * @param bytes The data.
 * @param start First byte.
 * @param end After the last byte.
 * @param sum A sum to go on from, such as a pseudo header's.
 * @returns The folded one's complement sum, not inverted.
 */
export function checksumAdd(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
  sum = 0,
): number {
  let i = start;
  for (; i + 1 < end; i += 2) sum += bytes[i]! << 8 | bytes[i + 1]!;
  if (i < end) sum += bytes[i]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** The checksum to put into a header: the inverted sum of {@link checksumAdd}. */
export function checksum(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  return ~checksumAdd(bytes, start, end) & 0xffff;
}
