/**
 * Ownership of links and namespaces: removal in bulk, signals, readiness.
 *
 * @example Two namespaces that are gone at the end
 * ```ts
 * import { NetNs } from "@netloom/netloom/netns";
 * import { Scope } from "@netloom/netloom/scope";
 * import { assertEquals } from "@std/assert";
 *
 * {
 *   await using lab = Scope.open();
 *   NetNs.create("a", { scope: lab });
 *   NetNs.create("b", { scope: lab });
 *   assertEquals(NetNs.list(), ["a", "b"]);
 * }
 * assertEquals(NetNs.list(), []);
 * ```
 *
 * @module
 */
export type { ScopeInfo } from "./leftovers.ts";
export type { ReadyOptions, ScopedLink } from "./ready.ts";
export { ScopeError } from "./record.ts";
export { Scope, type ScopeCleanOptions, type ScopeOptions } from "./scope.ts";
