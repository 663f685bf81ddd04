/**
 * Options objects.
 *
 * @module
 */
import { show } from "./attribute.ts";

/** Refuses options nobody reads: a misspelled one that is accepted would do nothing, in silence. */
export function checkOptions(options: object, known: ReadonlySet<string>): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`The options must be an object: the current value is ${show(options)}`);
  }
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || known.has(key)) continue;
    throw new TypeError(`Unknown option ${show(key)}: there are ${[...known].sort().join(", ")}`);
  }
}
