/**
 * Ownership of links and namespaces.
 *
 * @module
 */
export * from "./error.ts";
export type { ReadyOptions } from "./ready.ts";
export { Scope, type ScopedLink, type ScopeOptions } from "./scope.ts";
