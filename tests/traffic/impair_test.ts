// Impairments by the kernel: where their disciplines are, and that nothing else changes. A rate needs tbf alone,
// so all this runs on a kernel without netem, too.
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  Bridge,
  Link,
  NetlinkError,
  NetNs,
  Scope,
  supports,
  UnsupportedError,
  Veth,
} from "../../mod.ts";
import "../../src/traffic/mod.ts";
import { interceptSends } from "../../src/netlink/socket.ts";
import { disciplineKind } from "../../src/traffic/impair_discipline.ts";
import type { ImpairOptions } from "../../src/traffic/mod.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** Two namespaces, a veth pair, and a bridge in the first. */
class Wire implements Disposable {
  readonly near: NetNs = NetNs.create();
  readonly far: NetNs = NetNs.create();
  readonly link: Veth = Veth.create({
    name: "v0",
    netns: this.near,
    up: true,
    addresses: ["10.0.0.1/24"],
    peer: { name: "v1", netns: this.far, up: true, addresses: ["10.0.0.2/24"] },
  });

  /** All that `tc` and `ip` tell, without counters. */
  state(): string {
    return [this.near, this.far].map(({ ref }) => {
      const links = ip(ref, "-d -j link").map(line);
      const devices = ip(ref, "-j link").map(({ ifname }) => ifname);
      return [
        ...links,
        run(ref, "tc -d qdisc show"),
        ...devices.flatMap((dev) =>
          ["egress", "ingress"].map((side) =>
            run(ref, `tc filter show dev ${dev} ${side}`).replace(/\tindex \d+/g, "")
          )
        ),
      ].join("\n");
    }).join("\n---\n");
  }

  /** The same by netlink alone, for many comparisons. */
  fingerprint(): string {
    return JSON.stringify(
      [this.near, this.far].map((netns) =>
        netns.links.list().map(({ index, name, kind, mtu, group, txqlen }) => {
          const link = Link.get(index, { netns });
          const qdiscs = link.qdiscs.list().map(({ stats: _, refcnt: _1, index: _2, ...it }) => it);
          const filters = link.filters.list().map(({ index: _, options, ...it }) => ({
            ...it,
            options: JSON.stringify(options, (key, it) => VOLATILE.has(key) ? undefined : it),
          }));
          return [name, kind, mtu, group, txqlen, qdiscs, filters];
        })
      ),
    );
  }

  disciplines({ ref }: NetNs, dev: string): string[] {
    const shown = JSON.parse(run(ref, `tc -j qdisc show dev ${dev}`)) as { kind: string }[];
    return shown.map(({ kind }) => kind);
  }

  [Symbol.dispose](): void {
    this.near[Symbol.dispose]();
    this.far[Symbol.dispose]();
  }
}

/** Of an ifb and an action that were created again. */
const VOLATILE: ReadonlySet<string> = new Set(["index", "stats", "dev"]);

/** Without the state of the carrier, and without what an ifb gets anew when it is created again. */
function line(link: Json): string {
  const { ifname, ifindex, address, flags: _1, operstate: _2, ...rest } = link;
  const own = String(ifname).startsWith("imp") ? {} : { ifindex, address };
  return JSON.stringify({ ifname, ...own, ...rest });
}

const KIND = disciplineKind();

test("impair() sets the discipline of the sending end of each direction", () => {
  using wire = new Wire();
  const { link, near, far } = wire;
  const impairment = link.impair({ out: { rate: "10mbit" } });
  assertEquals([impairment.engine, impairment.values], ["kernel", { out: { rate: 1e7 } }]);
  assertEquals(wire.disciplines(near, "v0"), [KIND]);
  assertEquals(wire.disciplines(far, "v1"), ["noqueue"]);
  link.impair({ in: { rate: "20mbit" } });
  assertEquals(wire.disciplines(far, "v1"), [KIND]);
  assertEquals(link.impairment()?.values, { out: { rate: 1e7 }, in: { rate: 2e7 } });
});

test("Both ends of a pair have the same impairment, with the directions swapped", () => {
  using wire = new Wire();
  const { link, far } = wire;
  link.impair({ out: { rate: "10mbit" }, in: { rate: "20mbit" } });
  const other = Link.get("v1", { netns: far });
  assertEquals(other.impairment()?.values, { out: { rate: 2e7 }, in: { rate: 1e7 } });
  other.impair({ out: { rate: "30mbit" } });
  assertEquals(link.impairment()?.values, { out: { rate: 1e7 }, in: { rate: 3e7 } });
  other.impair(null);
  assertEquals(link.impairment(), undefined);
});

test("Another process reads the impairment, and takes it off", async () => {
  using wire = new Wire();
  const match = { protocol: "tcp" } as const;
  wire.link.impair({ out: { rate: "10mbit", limit: 5 }, match });
  const entry = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url));
  const script = `import { Link } from ${entry("mod.ts")};
    import ${entry("src/traffic/mod.ts")};
    const link = Link.get("v0");
    const { engine, values: { out, in: incoming, match } } = link.impairment();
    console.log(JSON.stringify([engine, out, incoming, match.length > 1]));
    link.impair(null);`;
  const other = wire.near.command(Deno.execPath(), { args: ["eval", script] });
  const { stdout, stderr } = await other.output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(JSON.parse(new TextDecoder().decode(stdout)), [
    "kernel",
    { rate: 1e7, limit: 5 },
    null,
    true,
  ]);
  assertEquals(wire.link.impairment(), undefined);
});

test("replace: true takes off what is not named", () => {
  using wire = new Wire();
  wire.link.impair({ rate: "10mbit" });
  wire.link.impair({ out: { rate: "5mbit" }, replace: true });
  assertEquals(wire.link.impairment()?.values, { out: { rate: 5e6 } });
});

const KINDS: Record<string, { before?: (wire: Wire) => void; options: ImpairOptions }> = {
  "for both directions": { options: { rate: "10mbit" } },
  "for one direction": { options: { in: { rate: "10mbit" } } },
  "of one flow": { options: { rate: "10mbit", match: { host: "10.0.0.2" } } },
  "of a link without a queue": {
    before: ({ near }) => run(near.ref, "ip link set v0 txqueuelen 0"),
    options: { rate: "10mbit" },
  },
  "beside a discipline of the user": {
    before: ({ link }) =>
      link.qdiscs.add({
        kind: "tbf",
        handle: "7:",
        options: { rate: "1gbit", burst: "1mb", limit: "1mb" },
      }),
    options: { rate: "10mbit" },
  },
  "beside filters of the user": {
    before: ({ link }) => {
      link.qdiscs.add({ kind: "clsact" });
      link.filters.add({ kind: "u32", parent: "egress", protocol: "ip", priority: 9 });
    },
    options: { rate: "10mbit", match: { protocol: "tcp" } },
  },
};

for (const [name, { before, options }] of Object.entries(KINDS)) {
  test(`clear() puts back what was there before an impairment ${name}`, () => {
    using wire = new Wire();
    before?.(wire);
    const state = wire.state();
    const impairment = wire.link.impair(options);
    assert(wire.state() !== state);
    assertEquals(wire.link.impairment()?.engine, "kernel");
    assertEquals(wire.link.impairment()?.values.out?.rate, impairment.values.out?.rate);
    wire.link.impair({ out: { rate: "5mbit" } });
    assertEquals(impairment.clear(), 0);
    assertEquals(wire.state(), state);
    assertEquals([wire.link.impairment(), impairment.clear()], [undefined, 0]);
  });

  test(`A fault at any message of impair() ${name} changes nothing`, () => {
    using wire = new Wire();
    before?.(wire);
    const state = wire.fingerprint();
    faults(() => wire.link.impair(options), () => {
      assertEquals(wire.fingerprint(), state);
    }, () => wire.link.impair(null));
  });

  test(`A fault at any message of a change of an impairment ${name} changes nothing`, () => {
    using wire = new Wire();
    before?.(wire);
    wire.link.impair(options);
    let state = wire.fingerprint();
    const change: ImpairOptions = { rate: "1mbit", match: { protocol: "udp" } };
    const impaired = wire.link.impairment()!.values;
    faults(() => wire.link.impair(change), () => {
      assertEquals(wire.link.impairment()?.values, impaired);
      assertEquals(wire.fingerprint(), state);
    }, () => {
      wire.link.impair(null);
      wire.link.impair(options);
      state = wire.fingerprint(); // with another seed of the kernel
    });
  });

  test(`A fault at any message of clear() of an impairment ${name} changes nothing`, () => {
    using wire = new Wire();
    before?.(wire);
    wire.link.impair(options);
    let state = wire.fingerprint();
    faults(() => wire.link.impair(null), () => {
      assertEquals(wire.fingerprint(), state);
    }, () => {
      wire.link.impair(options);
      state = wire.fingerprint(); // with another seed of the kernel
    });
  });
}

/** Breaks each message of a call in turn: it throws and `check` passes, or it has done its work. */
function faults(call: () => unknown, check: () => void, undo: () => unknown): void {
  let messages = Infinity;
  let refused = 0;
  for (let n = 1; n <= messages; n++) {
    let count = 0;
    let failure: unknown;
    {
      using _hook = interceptSends((bytes, length) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset, length);
        for (let at = 0; at < length; at += (view.getUint32(at, true) + 3) & ~3) {
          if (++count === n) view.setUint16(at + 4, 0x7f0, true);
        }
      });
      try {
        call();
      } catch (error) {
        failure = error;
      }
    }
    if (failure === undefined) {
      messages = count;
      undo();
      continue;
    }
    assertInstanceOf(failure, NetlinkError, `message ${n}`);
    refused++;
    check();
  }
  assert(refused > 0);
}

test("Packets that no end within reach sends are impaired through an ifb", () => {
  using wire = new Wire();
  const { near } = wire;
  const bridge = Bridge.create({ name: "br0", netns: near });
  const state = wire.state();
  bridge.impair({ rate: "10mbit" });
  assertEquals(wire.disciplines(near, "br0"), [KIND, "clsact"]);
  assertEquals(wire.disciplines(near, `imp${bridge.index}in`), [KIND]);
  assertEquals(bridge.impairment()?.values, { out: { rate: 1e7 }, in: { rate: 1e7 } });
  bridge.impair(null);
  assertEquals(wire.state(), state);
});

test("The ifbs of a link in a scope go with the scope", async () => {
  using netns = NetNs.create();
  {
    await using lab = Scope.open();
    const link = Veth.create({
      scope: lab,
      name: "v0",
      netns,
      peer: { name: "v1", netns },
    });
    link.impair({ rate: "1mbit", match: { protocol: "tcp" } });
    assertEquals(netns.links.list().length, 5);
  }
  assertEquals(netns.links.list().map(({ name }) => name), ["lo"]);
});

test("using ends an impairment, also when the link or its namespace is gone", () => {
  using wire = new Wire();
  {
    using _slow = wire.link.impair({ rate: "1mbit" });
  }
  assertEquals(wire.link.impairment(), undefined);
  {
    using _slow = wire.link.impair({ rate: "1mbit" });
    run(wire.near.ref, "ip link delete v0");
  }
});

test("The kernel's engine refuses what the kernel lacks, and says what brings it", () => {
  using wire = new Wire();
  const netem = KIND === "netem";
  const options: ImpairOptions = netem
    ? { delay: 5, jitter: 1, keepOrder: false, rate: "1mbit", engine: "kernel" }
    : { delay: 5, engine: "kernel" };
  const error = assertThrows(() => wire.link.impair(options), UnsupportedError);
  assertEquals(
    [error.kind, error.option, error.config],
    netem ? ["netem", "keepOrder", undefined] : ["netem", "delay", "CONFIG_NET_SCH_NETEM"],
  );
  assertEquals(wire.link.impairment(), undefined);
});

test("Correlations that netem cannot do take the engine of this process", () => {
  for (
    const [option, options] of [
      ["delayCorrelation", { delay: 5, jitter: 2, delayCorrelation: "50%" }],
      ["seed", { loss: "50%", lossCorrelation: "50%", seed: 1 }],
    ] as [string, ImpairOptions][]
  ) {
    using wire = new Wire();
    const kernel = () => wire.link.impair({ out: options, engine: "kernel" });
    const error = assertThrows(kernel, UnsupportedError);
    if (KIND === "netem" && supports({ qdisc: "netem" }, "seed")) {
      assertEquals(error.option, option);
    }
    assertEquals(wire.link.impairment(), undefined);
    assertEquals(wire.link.impair({ out: options }).engine, "user");
    wire.link.impair(null);
  }
});

test("Where neither engine can do it, the error says what the kernel lacks and why this process cannot", () => {
  using netns = NetNs.create();
  const lo = Link.get("lo", { netns });
  const options: ImpairOptions = { loss: 0.1, keepOrder: false, jitter: 1, rate: "1mbit" };
  const error = assertThrows(() => lo.impair(options), UnsupportedError);
  const option = KIND === "netem" ? "keepOrder" : "jitter";
  assertEquals([error.kind, error.option], ["netem", option]);
  assert(error.message.includes("; this process cannot do it either: "), error.message);
  assertEquals(lo.impairment(), undefined);
});

test("impair() refuses malformed options before anything changes", () => {
  using wire = new Wire();
  const state = wire.state();
  const { link } = wire;
  assertThrows(() => link.impair({ dealy: 5 } as never), TypeError, 'did you mean "delay"?');
  assertThrows(() => link.impair({ loss: 0.1, engine: "cernel" as never }), TypeError, "engine");
  assertThrows(() => link.impair({ loss: 0.1, replace: 1 as never }), TypeError, "replace");
  assertThrows(() => link.impair({ match: { protocol: "tcp" } }), TypeError, "match needs");
  assertThrows(
    () => link.impair({ rate: 8000, match: { protocl: "tcp" } as never }),
    TypeError,
    'did you mean "protocol"?',
  );
  assertEquals(wire.state(), state);
});
