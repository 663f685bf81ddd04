// Kinds of links without options of their own.
import { assertEquals, assertThrows } from "@std/assert";
import { type Link, type LinkGetOptions, type LinkOptions, NetNs, supports } from "../../mod.ts";
import { ip, type Json, run } from "../helpers.ts";
import { caught, commandOf, kernelTest, testLacking } from "./oracle.ts";

/** The class of such a kind. */
export interface Bare {
  readonly kind: string;
  /** The kernel's build option. */
  readonly config: string;
  create(options: LinkOptions): Link;
  get(selector: string, options?: LinkGetOptions): Link;
}

/** What `ip` shows, but for the index. */
function shown(netns: NetNs): Json {
  const [link] = ip(netns.ref, "-d -j link show dev t0") as [Json];
  return { ...link, ifindex: 0 };
}

/** The tests that every one has. */
export function testBare(bare: Bare): void {
  const { kind, create, get } = bare;
  const lacking = (options: { parent?: unknown }) => {
    const { parent: _, ...rest } = options;
    return create(rest as LinkOptions);
  };
  testLacking({ kind, create: lacking, get: (name) => get(name) }, bare.config, kind);

  kernelTest(kind, `A ${kind} made and changed here or by ip is the same`, () => {
    using netns = NetNs.create();
    const mac = "02:00:00:00:00:0a";
    const options = { name: "t0", netns, mac, mtu: 1400, txqlen: 7 } as const;
    const changes = { mtu: 1300, alias: "queue", up: true };
    const made = commandOf(() => create(options));
    const changed = commandOf(() => get("t0", { netns }).set(changes));
    const ours = shown(netns);
    const words = `ip link add name t0 mtu 1400 address ${mac} txqueuelen 7 type ${kind}`;
    for (
      const [add, set] of [
        [words, "ip link set dev t0 mtu 1300 alias queue up"],
        [made, changed],
      ] as const
    ) {
      get("t0", { netns }).delete();
      run(netns.ref, add);
      run(netns.ref, set.replace(/\bif\d+/, "t0"));
      assertEquals(shown(netns), ours);
    }
    assertEquals((ours.linkinfo as Json).info_kind, kind);
  });

  kernelTest(kind, `${kind}: create() names the options it refuses, and creates nothing`, () => {
    using netns = NetNs.create();
    for (
      const [options, name, message] of [
        [{ colour: "red" }, "TypeError", 'Unknown option "colour"'],
        [{ parent: 1 }, "TypeError", 'Unknown option "parent"'],
        [{ mtu: -1 }, "RangeError", "mtu must be in 0..2147483647 bytes"],
        [{ numTxQueues: 0 }, "RangeError", "numTxQueues must be in 1..4096"],
        [{ mac: "01:00:00:00:00:00" }, "NetlinkError", "(EADDRNOTAVAIL)"],
        [{ addresses: ["192.0.2.300"] }, "TypeError", "192.0.2.300"],
      ] as const
    ) {
      const error = caught(() => create({ name: "t0", netns, ...options } as LinkOptions));
      assertEquals([error.name, error.message.includes(message)], [name, true], `${error}`);
      assertEquals(netns.links.list().length, 1);
    }
  });

  kernelTest(kind, `${kind}: get() finds its own kind, and nothing else`, () => {
    using netns = NetNs.create();
    run(netns.ref, `ip link add t0 type ${kind}`);
    const link = get("t0", { netns });
    assertEquals([link.kind, link.owned, link.name], [kind, false, "t0"]);
    assertThrows(
      () => get("lo", { netns }),
      TypeError,
      `Link "lo" is not a ${kind}: its kind is undefined`,
    );
  });

  kernelTest(kind, `Disposing a ${kind} removes it, unless it persists`, () => {
    using netns = NetNs.create();
    {
      using _gone = create({ name: "t0", netns });
      using _stays = create({ name: "t1", netns }).persist();
    }
    assertEquals(netns.links.list().map((link) => link.name), ["lo", "t1"]);
    assertEquals(supports(kind), true);
  });
}
