/**
 * Telling a change from the passing of time: what two readings of one thing differ in.
 *
 * @module
 */

/** Properties that move by themselves, at whatever depth, or are about the message. */
const IGNORED: ReadonlySet<string> = new Set([
  // Of a message.
  "change",
  "event",
  "extMask",
  // Counters.
  "stats",
  "carrierChanges",
  "carrierUpCount",
  "carrierDownCount",
  "fdbNLearned",
  "probes",
  // Times since and until.
  "cacheInfo",
  "helloTimer",
  "tcnTimer",
  "topologyChangeTimer",
  "gcTimer",
  "ipOtherTimer",
  "ipv6OtherTimer",
  "messageAgeTimer",
  "forwardDelayTimer",
  "holdTimer",
]);

/** The properties of two readings that differ, leaving out counters and times. */
export function changedKeys<T extends object>(before: T, after: T): (keyof T)[] {
  const changed: (keyof T)[] = [];
  for (const key in after) {
    if (!same(key, before[key], after[key])) changed.push(key);
  }
  for (const key in before) {
    if (!(key in after) && !same(key, before[key], undefined)) changed.push(key);
  }
  return changed;
}

function same(key: string, a: unknown, b: unknown): boolean {
  if (a === b || IGNORED.has(key)) return true;
  if (a === undefined || b === undefined) return false;
  // A route's time is running down; that it has one matters.
  if (key === "expires") return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (key === "lifetime") return sameLifetime(a, b);
  if (isList(a) || isList(b)) {
    return isList(a) && isList(b) && a.length === b.length &&
      (key === "nexthops" ? sameList(inOrder(a), inOrder(b)) : sameList(a, b));
  }
  return changedKeys(a, b).length === 0;
}

function sameList(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  for (let i = 0; i < a.length; i++) if (!same("", a[i], b[i])) return false;
  return true;
}

/** Nexthops: in events the newest is the first, which means nothing. */
function inOrder(nexthops: ArrayLike<unknown>): unknown[] {
  const text = (it: { gateway?: string; oif?: number }) => `${it.gateway} ${it.oif}`;
  const list = Array.from(nexthops as ArrayLike<{ gateway?: string; oif?: number }>);
  return list.sort((a, b) => text(a) < text(b) ? -1 : 1);
}

function isList(value: object): value is ArrayLike<unknown> {
  return Array.isArray(value) || value instanceof Uint8Array;
}

interface Lifetime {
  readonly valid?: number;
  readonly preferred?: number;
  readonly updated?: number;
}

/** What is left is running down: a lifetime is another one when it was set anew, or has no end. */
function sameLifetime(a: Lifetime, b: Lifetime): boolean {
  const [endless, too] = [a, b].map((it) => [it.valid === Infinity, it.preferred === Infinity]);
  if (endless![0] !== too![0] || endless![1] !== too![1]) return false;
  return endless![0]! && endless![1]! || a.updated === b.updated;
}
