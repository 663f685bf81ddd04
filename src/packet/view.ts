/**
 * What all views of packets have in common.
 *
 * @module
 */

const NOWHERE = new Uint8Array(0);

/**
 * A header, or a message, where it is in the caller's memory: nothing is copied. What getters return is
 * read at that moment, and setters write there.
 *
 * Of each class `parse()` makes a view, or returns `undefined` when the bytes are malformed; `point()`
 * moves a view to other bytes without allocating, for hot loops, or leaves it where it is and returns
 * `false`. Neither throws, whatever the bytes. All lengths that lead from one part to the next have been
 * checked by then: getters read nothing outside of the view.
 */
export abstract class View {
  /** The memory. */
  bytes: Uint8Array = NOWHERE;
  /** Where the header starts in it. */
  start = 0;
  /** After the last byte that may belong to it and to what it carries. */
  end = 0;
}

/** Whether there are at least so many bytes between two offsets. */
export function holds(bytes: Uint8Array, start: number, end: number, least: number): boolean {
  return start >= 0 && end <= bytes.length && end - start >= least;
}
