/**
 * Stand-in for `@std/cli` where JSR is not reachable.
 *
 * @module
 */
export * from "./parse_args.ts";
