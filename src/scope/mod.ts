/**
 * Ownership of links and namespaces: removal in bulk, signals, readiness.
 *
 * @module
 */
export type { ScopeInfo } from "./leftovers.ts";
export type { ReadyOptions, ScopedLink } from "./ready.ts";
export { ScopeError } from "./record.ts";
export { Scope, type ScopeCleanOptions, type ScopeOptions } from "./scope.ts";
