// The same object set by netloom and by `tc`: by bytes on any kernel, and as `tc` shows it where the kernel
// has the kind.
import { assert, assertEquals } from "@std/assert";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { Link, NetNs, Veth } from "../../mod.ts";
import { type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import type { QdiscOptions } from "../../src/rtnetlink/qdisc.ts";

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

/** What `tc` shows: `qdisc show dev v0`. */
export function tc(netns: NetNsRef, words: string): Json[] {
  return JSON.parse(run(netns, `tc -s -d -j ${words}`) || "[]");
}

const lacking = new Map<string, string | undefined>();

/** What a kernel without a queueing discipline lacks. */
export function withoutQdisc(kind: string): string | undefined {
  if (!lacking.has(kind)) {
    using netns = NetNs.create();
    using link = Veth.create({ name: "p0", netns, peer: { name: "p1", netns } });
    lacking.set(kind, probe(link, kind));
  }
  return lacking.get(kind);
}

function probe(link: Link, kind: string): string | undefined {
  const options = kind === "tbf" ? { rate: 8000, burst: 2000, limit: 2000 } : {};
  try {
    link.qdiscs.add({ kind, options } as QdiscOptions);
    return undefined;
  } catch (error) {
    assert(error instanceof Error && "code" in error, String(error));
    assertEquals(error.code, "ENOENT");
    return `this kernel has no ${kind}`;
  }
}

/** A test that needs the kernel to have a queueing discipline. */
export function kernelTest(
  kind: string,
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  test(name, { lacks: withoutQdisc(kind) }, fn);
}
