// A link made by netloom, by iproute2, and by the command line in netloom's trace: all the same link.
import { assert, assertEquals, assertObjectMatch, assertStringIncludes } from "@std/assert";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { NetNs, supports, trace, UnsupportedError } from "../../mod.ts";
import { dumpLinks } from "../../src/rtnetlink/link.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { Testbed, V0 } from "../rtnetlink/testbed.ts";

/** A class of links that sit on a parent. */
export interface Kind {
  /** The kernel's name. */
  readonly kind: string;
  /** Whether its links have no parent. */
  readonly single?: true;
  create(options: never): object;
  get(name: string, options: never): object;
}

interface Handle {
  options(): object;
  set(settings: object): object;
  delete(): void;
}

/** Options, and how iproute2 sets and shows them. */
export interface Case {
  readonly name: string;
  /** The kind's own options. */
  readonly options: object;
  /** iproute2's words after `type KIND`; absent where it has none. */
  readonly words?: string;
  /** What `ip -d -j link` has in `info_data` then, at least. */
  readonly shown: Json;
  /** What `options()` has then, at least. Default: `options`. */
  readonly read?: object;
  /** The options before, where they are a change of a living link. */
  readonly before?: object;
}

/** A test that needs the kernel to have a link kind. */
export function kernelTest(
  kind: string,
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  test(name, { lacks: withoutKind(kind) }, fn);
}

/** What a kernel without a link kind lacks. */
export function withoutKind(kind: string): string | undefined {
  return supports(kind) ? undefined : `this kernel has no ${kind}`;
}

/** A class, with options as data. */
function untyped(kind: Kind) {
  return {
    create: (netns: NetNsRef, options: object) =>
      kind.create(
        {
          name: "t0",
          netns: { ref: netns },
          ...(!kind.single && { parent: V0 }),
          ...options,
        } as never,
      ) as Handle,
    get: (netns: NetNsRef) => kind.get("t0", { netns: { ref: netns } } as never) as Handle,
  };
}

/** What `ip` shows of the link. */
export function shown(netns: NetNsRef): Json {
  const [link] = ip(netns, "-d -j link show dev t0") as [Json];
  const { info_kind, info_data = {} } = link.linkinfo as Json;
  return { kind: info_kind, mtu: link.mtu, link: link.link, data: info_data };
}

/** The last `ip` line that `fn` is equivalent to. */
export function commandOf(fn: () => unknown): string {
  const lines: string[] = [];
  using _trace = trace(({ command }) => lines.push(command));
  fn();
  return lines.findLast((line) => /^ip link (add|set)/.test(line))!;
}

/** A step for each case, both ways: in one namespace, since each takes many programs already. */
export function testCases(kind: Kind, what: "made" | "changed", cases: readonly Case[]): void {
  const { create, get } = untyped(kind);
  kernelTest(kind.kind, `A ${kind.kind} is the same when ${what} here and by ip`, async (t) => {
    using bed = new Testbed();
    const { netns } = bed;
    for (const { name, options, words, shown: expected, read = options, before } of cases) {
      await t.step(name, () => {
        const results: object[] = [];
        const look = () => {
          results.push(get(netns).options());
          get(netns).delete();
        };
        const command = commandOf(() => {
          create(netns, before ?? options);
          if (before) get(netns).set(options);
        });
        assertObjectMatch(shown(netns).data as Json, expected);
        look();
        if (words !== undefined) {
          const line = before ? "set dev t0" : kind.single ? "add name t0" : "add link v0 name t0";
          for (const it of [`ip link ${line} type ${kind.kind} ${words}`, command]) {
            if (before) create(netns, before);
            // The link has another index each time.
            run(netns, it.replace(/^ip link set dev if\d+/, "ip link set dev t0"));
            look();
          }
        }
        const [ours, ...others] = results;
        assertObjectMatch(ours as Json, read as Json);
        for (const other of others) assertEquals(other, ours);
      });
    }
  });
}

/** Options that must be refused: what they are, the error's class, and what it says. */
export type Refusal = readonly [
  options: object,
  error: "RangeError" | "TypeError" | "NetlinkError",
  message: string,
];

/** Each is refused by name, when a link is made and, with `before`, when one is changed; nothing stays. */
export function testRefusals(kind: Kind, refusals: readonly Refusal[], before?: object): void {
  const { create, get } = untyped(kind);
  const what = before
    ? "set() names the options it refuses, and changes nothing"
    : "create() names the options it refuses, and creates nothing";
  kernelTest(kind.kind, `${kind.kind}: ${what}`, () => {
    using bed = new Testbed();
    const { netns } = bed;
    if (before) create(netns, before);
    // The library's own reading takes no program; what it may not see, `ip` does in the end.
    const all = () =>
      (bed.connection.dump(dumpLinks({ stats: false })) as unknown as Json[])
        .map(({ name, mac, mtu, master, parent, group, alias, options, kind, port, up }: Json) => ({
          name,
          mac,
          mtu,
          master,
          parent,
          group,
          alias,
          options,
          kind,
          port,
          up,
        }));
    const other = () =>
      ip(netns, "-d -j link")
        .map(({ ifname, address, mtu, linkinfo }) => ({ ifname, address, mtu, linkinfo }));
    const [state, seen] = [all(), other()];
    for (const [options, error, message] of refusals) {
      const thrown = caught(() => before ? get(netns).set(options) : create(netns, options));
      assertEquals(thrown.name, error, `${Deno.inspect(options)}: ${thrown}`);
      assertStringIncludes(thrown.message, message);
      assertEquals(all(), state, `${Deno.inspect(options)} left something`);
    }
    assertEquals(other(), seen);
  });
}

/** Runs what must throw. */
export function caught(fn: () => unknown): Error {
  try {
    fn();
  } catch (error) {
    assert(error instanceof Error);
    return error;
  }
  throw new Error("Nothing was thrown");
}

/** Where the kernel lacks the kind, an error says what brings it. */
export function testLacking(
  kind: Kind,
  config: string,
  module: string,
  options: object = {},
): void {
  const lacks = supports(kind.kind) ? "for kernels without it" : undefined;
  const name = `Without ${kind.kind} in the kernel, an UnsupportedError names ${config}`;
  test(name, { lacks }, () => {
    using netns = NetNs.create();
    using bed = new Testbed();
    const error = caught(() => untyped(kind).create(bed.netns, options));
    assert(error instanceof UnsupportedError);
    assertEquals([error.kind, error.config, error.module], [kind.kind, config, module]);
    assertEquals(error.code, "EOPNOTSUPP");
    assertEquals(
      error.message,
      `create ${kind.kind} "t0" in test netns: Operation not supported (EOPNOTSUPP): ` +
        `Unknown device type; the running kernel lacks this kind of link: ${config}, ` +
        `module ${module}, brings it`,
    );
    assertEquals(netns.links.list().map((link) => link.name), ["lo"]);
    assertEquals(ip(bed.netns, "-j link").length, 3);
  });
}
