// Options of creating and changing calls: foreign ones and names of the wire are refused, and each
// spelling of a value gives the same link.
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Bridge,
  Dummy,
  Ifb,
  Ipvlan,
  Link,
  Macvlan,
  Macvtap,
  NetNs,
  supports,
  Tap,
  Tun,
  Veth,
  Vlan,
  Vxlan,
} from "../../mod.ts";
import { test } from "../leaks.ts";
import { caught } from "./oracle.ts";

/** A namespace with links to change: a bridge with a port, and a pair. */
class Lab implements Disposable {
  readonly netns: NetNs = NetNs.create();
  readonly bridge: Bridge = Bridge.create({ name: "br0", netns: this.netns });
  readonly veth: Veth = Veth.create({
    name: "v0",
    netns: this.netns,
    master: this.bridge,
    peer: { name: "v1", netns: this.netns },
  });

  /** The links, without counters. */
  state(): unknown {
    return this.netns.links.list({ stats: false });
  }

  [Symbol.dispose](): void {
    this.netns[Symbol.dispose]();
  }
}

type Call = (lab: Lab, options: object) => unknown;

/** A class's `create()` with valid options and those of the test. */
function creating(Class: { create(options: never): unknown }, more: object = {}): Call {
  return ({ netns }, options) => Class.create({ name: "t0", netns, ...more, ...options } as never);
}

const CALLS: Record<string, Call> = {
  "Bridge.create": creating(Bridge),
  "Dummy.create": creating(Dummy),
  "Ifb.create": creating(Ifb),
  "Ipvlan.create": creating(Ipvlan, { parent: "v1" }),
  "Macvlan.create": creating(Macvlan, { parent: "v1" }),
  "Macvtap.create": creating(Macvtap, { parent: "v1" }),
  "Tap.create": creating(Tap),
  "Tun.create": creating(Tun),
  "Veth.create": creating(Veth, { peer: { name: "t1" } }),
  "Vlan.create": creating(Vlan, { parent: "v1", id: 5 }),
  "Vxlan.create": creating(Vxlan, { id: 5 }),
  "Link.create": creating(Link, { kind: "bridge" }),
  "Bridge.set": ({ bridge }, options) => bridge.set(options),
  "Veth.set": ({ veth }, options) => veth.set(options),
  "Link.set": ({ netns }, options) => Link.get("lo", { netns }).set(options),
  "BridgePort.set": ({ bridge }, options) => bridge.port("v0").set(options),
  "Bridge.get": (_, options) => Bridge.get("br0", options),
  "Link.get": (_, options) => Link.get("br0", options),
  "waitFor": ({ veth }, options) => veth.waitFor(() => true, options),
  "addresses.add": ({ veth }, options) =>
    veth.addresses.add({ address: "10.0.0.1/24", ...options }),
  "addresses.list": ({ veth }, options) => veth.addresses.list(options),
  "fdb.add": ({ bridge }, options) =>
    bridge.port("v0").fdb.add({ mac: "02:00:00:00:00:07", ...options }),
  "capture": ({ veth }, options) => veth.capture(options),
};

/** The error of a call, also of an asynchronous one. */
async function errorOf(call: () => unknown): Promise<Error> {
  try {
    await call();
  } catch (error) {
    return error as Error;
  }
  throw new Error("Nothing was thrown");
}

test("Every creating and changing call refuses a foreign option, and leaves nothing", async (t) => {
  using lab = new Lab();
  const before = lab.state();
  for (const [name, call] of Object.entries(CALLS)) {
    await t.step(name, async () => {
      const error = await errorOf(() => call(lab, { colour: "red" }));
      const start = 'Unknown option "colour": allowed are ';
      assertEquals([error.name, error.message.slice(0, start.length)], ["TypeError", start]);
      // All names in order; of many, six.
      const list = error.message.slice(start.length);
      const many = / and \d+ others: see the documentation$/.exec(list)?.[0] ?? "";
      const allowed = list.slice(0, list.length - many.length).split(", ");
      if (many) assertEquals(allowed.length, 6);
      else assertEquals(allowed, [...allowed].sort());
      // The first letters of a name swapped: the nearest one is named first.
      const long = allowed.find((word) => word.length > 4 && word[0] !== word[1])!;
      const slip = long[1]! + long[0]! + long.slice(2);
      const near = await errorOf(() => call(lab, { [slip]: 1 }));
      const said = `Unknown option "${slip}": did you mean "${long}"? Allowed are `;
      assertEquals(near.message.slice(0, said.length), said);
      const shown = near.message.slice(said.length);
      if (many) assert(shown.startsWith(`${long}, `) && shown.endsWith(many), shown);
      else assertEquals(shown, allowed.join(", "));
    });
  }
  assertEquals(lab.state(), before);
});

const WIRE_ONLY: readonly [call: string, option: string][] = [
  ["Bridge.create", "boolopts"],
  ["Bridge.create", "rootId"],
  ["Bridge.create", "multiBoolopt"],
  ["Bridge.set", "boolopts"],
  ["Bridge.set", "bridgeId"],
  ["Macvlan.create", "flags"],
  ["Macvlan.create", "macaddrMode"],
  ["Macvlan.create", "macCount"],
  ["Macvtap.create", "bcQueueLenUsed"],
  ["Vlan.create", "flags"],
  ["Vxlan.create", "limit"],
  ["Vxlan.create", "portRange"],
  ["Veth.create", "linkInfo"],
  ["Veth.create", "netnsFd"],
  ["Ipvlan.create", "flags"],
  ["Tun.create", "numQueues"],
  ["Link.create", "linkInfo"],
  ["Link.set", "flags"],
  ["Link.set", "change"],
  ["BridgePort.set", "designatedRoot"],
];

test("Names that only the wire has are no options", () => {
  using lab = new Lab();
  const before = lab.state();
  for (const [name, option] of WIRE_ONLY) {
    const error = caught(() => CALLS[name]!(lab, { [option]: 1 }));
    assertEquals(
      [error.name, error.message.startsWith(`Unknown option "${option}": `)],
      ["TypeError", true],
      `${name}: ${error}`,
    );
  }
  for (const option of ["scope", "linkNetns", "link", "netnsFd", "flags"]) {
    const peer = { name: "t1", [option]: 1 };
    assertThrows(
      () => CALLS["Veth.create"]!(lab, { peer }),
      TypeError,
      `Unknown option "peer.${option}": `,
    );
  }
  assertEquals(lab.state(), before);
});

/** Spellings of one value. */
interface Spelling {
  readonly option: string;
  /** The spellings that are accepted; the first is the one read back. */
  readonly values: readonly unknown[];
  readonly more?: object;
  /** Whether the value is one of every link, rather than one of the kind. */
  readonly common?: true;
}

const MACS = ["02:00:00:00:00:0d", "2:0:0:0:0:d", "02-00-00-00-00-0D", "02:00:00:00:00:0D"];
const GROUP = ["ff02::1:ff00:1", "FF02:0:0:0:0:1:FF00:1", "ff02:0::1:ff00:0001"];

const SPELLINGS: Record<string, readonly Spelling[]> = {
  Bridge: [
    { option: "mac", values: MACS, common: true },
    { option: "broadcast", values: MACS, common: true },
    { option: "groupAddress", values: ["01:80:c2:00:00:05", "1:80:C2:0:0:5"] },
    { option: "mcastRouter", values: ["permanent", 2] },
  ],
  Macvlan: [
    { option: "mac", values: MACS, common: true },
    { option: "macs", values: MACS.map((mac) => [mac]), more: { mode: "source" } },
    { option: "mode", values: ["bridge", 4] },
  ],
  Vlan: [{ option: "protocol", values: ["802.1ad", 0x88a8] }],
  Vxlan: [
    {
      option: "group",
      values: GROUP,
      more: { dev: "v1", port: 4789 },
    },
    { option: "local", values: ["2001:db8::1", "2001:DB8:0:0::1", "2001:db8:0:0:0:0:0:1"] },
  ],
};

test("Each spelling of a value creates the same link, and changes to it", async (t) => {
  for (const [name, spellings] of Object.entries(SPELLINGS)) {
    if (!supports(name.toLowerCase())) continue;
    for (const { option, values, more = {}, common } of spellings) {
      await t.step(`${name}: ${option}`, () => {
        for (const value of values) {
          using lab = new Lab();
          const link = CALLS[`${name}.create`]!(lab, { ...more, [option]: value }) as Link;
          const read = () => (common ? link.read() : link.options()) as Record<string, unknown>;
          assertEquals(read()[option], values[0], Deno.inspect(value));
          if (name !== "Vlan" && name !== "Vxlan") {
            link.set({ ...more, [option]: value } as never);
            assertEquals(read()[option], values[0], Deno.inspect(value));
          }
        }
      });
    }
  }
});
