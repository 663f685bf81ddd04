/**
 * What goes wrong with ownership.
 *
 * @module
 */

/** A scope cannot be opened, does not get ready, or cannot remove what it owns. */
export class ScopeError extends Error {
  /** The class: `ScopeError`. */
  override readonly name = "ScopeError";
}
