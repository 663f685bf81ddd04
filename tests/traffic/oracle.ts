// The same object set by netloom and by `tc`: by bytes on any kernel, and as `tc` shows it where the kernel
// has the kind.
import type { NetNsRef } from "../../ffi/namespace.ts";
import { Link, NetNs, supports } from "../../mod.ts";
import type { FilterOptions, TrafficKind } from "../../src/traffic/mod.ts";
import { type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** A namespace with a veth `v0`, index 10, whose other end is `v1`, index 11. */
export class Pair implements Disposable {
  readonly netns: NetNs = NetNs.create();
  readonly link: Link;

  constructor() {
    run(this.netns.ref, "ip link add v0 index 10 type veth peer name v1 index 11");
    this.link = Link.get("v0", { netns: this.netns });
  }

  [Symbol.dispose](): void {
    this.netns[Symbol.dispose]();
  }
}

/** The output of `tc`: `qdisc show dev v0`. */
export function tc(netns: NetNsRef, words: string): Json[] {
  return JSON.parse(run(netns, `tc -s -d -j ${words}`) || "[]");
}

/** The output of `tc`, as text where its JSON is malformed: that of fw in iproute2 6.1. */
export function tcOrText(netns: NetNsRef, words: string): Json[] | string {
  try {
    return tc(netns, words);
  } catch (error) {
    if (error instanceof SyntaxError) return run(netns, `tc -d ${words}`);
    throw error;
  }
}

/** The first of the kinds that the kernel lacks, as a reason to skip. */
export function lacksOf(...kinds: TrafficKind[]): string | undefined {
  const missing = kinds.find((kind) => !supports(kind));
  return missing && `this kernel has no ${Object.values(missing)[0]}`;
}

/** The kinds that a filter is made of. */
export function kindsOf({ kind, options }: FilterOptions): TrafficKind[] {
  const { actions = [] } = options ?? {};
  return [{ filter: kind }, ...actions.map(({ kind }) => ({ action: kind }))];
}

/** A test that needs the kernel to have a queueing discipline. */
export function kernelTest(
  kind: string,
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  test(name, { lacks: lacksOf({ qdisc: kind }) }, fn);
}
