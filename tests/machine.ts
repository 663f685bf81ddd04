// The state of the machine's network as iproute2 tells it, for comparing before and after.
import { homeNetNs, type NetNsRef } from "../ffi/namespace.ts";
import { ip, type Json } from "./helpers.ts";

/** What changes by itself: counters, timers, remaining lifetimes, progress of address detection. */
const VOLATILE = /_timer$|^stats|_life_time$|^tentative$|^operstate$/;

/**
 * All links with their options and addresses, in the process's own namespace, those below /run/netns,
 * and `others`; as text, one line a link.
 */
export function machine(...others: NetNsRef[]): string {
  const names = ip(homeNetNs(), "-j netns").map(({ name }) => String(name)).sort();
  return [
    "own:",
    ...ip(homeNetNs(), "-d -j address").map(line),
    ...names.flatMap((name) => [
      `netns ${name}:`,
      ...ip(homeNetNs(), `-d -j -n ${name} address`).map(line),
    ]),
    ...others.flatMap((ref) => ["handle:", ...ip(ref, "-d -j address").map(line)]),
  ].join("\n");
}

function line(link: Json): string {
  return JSON.stringify(link, (key, value) => VOLATILE.test(key) ? undefined : value);
}

function names(directory: string): string[] {
  try {
    return Array.from(Deno.readDirSync(directory), ({ name }) => name);
  } catch {
    return []; // Nobody has made it yet.
  }
}

const others = new Set(["/run/netns", "/run/netloom"].flatMap(names));

/** Of the names of namespaces, those that were not there before the tests. */
export function fresh(all: Iterable<string>): string[] {
  return [...all].filter((name) => !others.has(name));
}

/** The records of scopes in /run/netloom that were not there before the tests. */
export function records(): string[] {
  return fresh(names("/run/netloom"));
}
