import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Bridge, NetlinkError, NetNs, Scope, SyscallError, Tap, Tun } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { caught } from "./oracle.ts";

/** Options, the error's name, and what its message says. */
const REFUSED: [options: object, error: string, ...message: string[]][] = [
  [{ colour: 1 }, "TypeError", 'Unknown option "colour"'],
  [{ name: "" }, "TypeError", '""'],
  [{ name: 5 }, "TypeError", "5"],
  [{ name: "a/b" }, "TypeError", '"a/b"'],
  [{ name: "a%s" }, "TypeError", '"a%s"'],
  [{ name: "a%d%d" }, "TypeError", "%d"],
  [{ name: "a234567890123456" }, "RangeError", '"a234567890123456" has 16'],
  [{ name: "a2345678901234%d" }, "RangeError", '"a2345678901234%d" has 16'],
  [{ name: "taken" }, "NetlinkError", 'create TYPE "taken" in netns ', "EEXIST", "attach()"],
  [{ name: "lo" }, "NetlinkError", "EEXIST"],
  [{ name: "lo", exclusive: false }, "SyscallError", "EINVAL"],
  [{ exclusive: "no" }, "TypeError", 'exclusive must be a boolean: got "no"'],
  [{ persistent: 1 }, "TypeError", "persistent must be a boolean: got 1"],
  [{ multiQueue: 2 }, "TypeError", "multiQueue must be a boolean: got 2"],
  [{ vnetHdr: 1 }, "TypeError", "vnetHdr must be a boolean: got 1"],
  [{ packetInfo: null }, "TypeError", "packetInfo must be a boolean: got null"],
  [{ owner: -1 }, "RangeError", "owner must be in 0..4294967294: got -1"],
  [{ owner: "root" }, "TypeError", "owner must be an integer"],
  [{ ownerGroup: 2 ** 32 - 1 }, "RangeError", "ownerGroup must be in", "4294967295"],
  [{ linkType: 65536 }, "RangeError", "linkType must be in 0..65535: got 65536"],
  [{ sendBuffer: 0 }, "RangeError", "sendBuffer must be in 1..2147483647: got 0"],
  [{ sendBuffer: 2 ** 31 }, "RangeError", "got 2147483648"],
  [{ offloads: ["tso5"] }, "TypeError", 'offloads has "tso5": expected any of checksum, tso4'],
  [{ offloads: "tso4" }, "TypeError", "offloads must be a list or a boolean", '"tso4"'],
  [{ offloads: ["tso4"] }, "SyscallError", "set offloads tso4", "EINVAL"],
  [{ offloads: true, vnetHdr: false }, "TypeError", "need vnetHdr"],
  [{ mtu: -1 }, "RangeError", "mtu must be in 0..2147483647 bytes", "-1"],
  [{ mtu: 70_000 }, "NetlinkError", "mtu", "EINVAL"],
  [{ mtu: 10 }, "NetlinkError", "EINVAL"],
  [{ mac: "02:0g" }, "TypeError", '"02:0g"'],
  [{ addresses: ["10.0.0.256/24"] }, "TypeError", "10.0.0.256/24"],
  [
    { addresses: ["10.0.0.1/24", "10.0.0.1/24"] },
    "NetlinkError",
    "add address 10.0.0.1/24",
    "EEXIST",
  ],
  [{ master: "nobody" }, "NetlinkError", '"nobody"', "ENODEV"],
  [{ numTxQueues: 4 }, "NetlinkError", "numTxQueues"],
  [{ up: "yes" }, "TypeError", 'up must be a boolean: got "yes"'],
  [{ altNames: ["taken"] }, "NetlinkError", "EEXIST"],
  [{ netns: { name: "no-such" } }, "SyscallError", '"no-such"', "ENOENT"],
];

const ONLY_TAP: typeof REFUSED = [
  [{ filter: 5 }, "TypeError", "options must be an object: got 5"],
  [{ filter: {} }, "TypeError", "macs must be a list of MACs: got undefined"],
  [{ filter: { macs: ["02:00"] } }, "TypeError", '"02:00" is not an Ethernet address'],
  [{ filter: { macs: [], all: true } }, "TypeError", 'Unknown option "filter.all"'],
  [
    { filter: { macs: Array.from({ length: 9 }, (_, i) => `02:00:00:00:00:0${i}`) } },
    "RangeError",
    "macs may have at most 8 that are no group addresses: got 9",
  ],
  [{ mac: "01:00:00:00:00:00" }, "NetlinkError", "EADDRNOTAVAIL"],
];

const ONLY_TUN: typeof REFUSED = [
  [{ filter: { macs: [] } }, "TypeError", 'Unknown option "filter"'],
  [{ mac: "02:00:00:00:00:01" }, "NetlinkError", "EOPNOTSUPP"],
  [{ master: "br0" }, "NetlinkError", "EINVAL"],
];

for (const [type, kind, only] of [["tun", Tun, ONLY_TUN], ["tap", Tap, ONLY_TAP]] as const) {
  test(`${type}: create() names the options it refuses, and creates nothing`, () => {
    using netns = NetNs.create();
    using _taken = kind.create({ name: "taken", netns });
    using _bridge = Bridge.create({ name: "br0", netns });
    using scope = { [Symbol.dispose]: () => lab.close() };
    const lab = Scope.open();
    const before = netns.links.list();
    for (const [options, error, ...messages] of [...REFUSED, ...only]) {
      for (const more of [{}, { scope: lab }, { persistent: true }]) {
        const all = { name: "t0", netns, ...more, ...options };
        const thrown = caught(() => kind.create(all as never));
        const what = `${Deno.inspect(options)}: ${thrown}`;
        assertEquals(thrown.name, error, what);
        for (const message of messages) {
          assertStringIncludes(thrown.message, message.replace("TYPE", type), what);
        }
        assertEquals(
          netns.links.list().map(({ name }) => name),
          before.map(({ name }) => name),
          what,
        );
      }
    }
    assertEquals(lab.links, []);
    assertThrows(
      () => kind.create({ name: "t0", netns, scope: lab, group: 5 }),
      TypeError,
      'group 5 of link "t0": links of a scope are in the scope\'s group',
    );
    scope[Symbol.dispose]();
    assertThrows(
      () => kind.create({ name: "t0", netns, scope: lab }),
      TypeError,
      "scope is closed",
    );
    assertEquals(netns.links.list().length, before.length);
  });

  test(`${type}: attach() takes its own type only, and says what the other is`, () => {
    using netns = NetNs.create();
    const other = type === "tun" ? "tap" : "tun";
    run(netns.ref, `ip tuntap add other mode ${other}`);
    run(netns.ref, `ip tuntap add mine mode ${type}`);
    run(netns.ref, `ip tuntap add many mode ${type} multi_queue`);
    run(netns.ref, "ip link property add dev mine altname a-longer-name-of-it");
    using _bridge = Bridge.create({ name: "br0", netns });
    const attach = (selector: string | number, options = {}) => () =>
      kind.attach(selector, { netns, ...options });
    for (
      const [name, actual] of [["other", other], ["br0", "bridge"], ["lo", "link"]] as const
    ) {
      assertThrows(attach(name), TypeError, `Link "${name}" is not a ${type}: it is a ${actual}`);
    }
    assertEquals(assertThrows(attach("nobody"), NetlinkError).code, "ENODEV");
    assertEquals(assertThrows(attach(999), NetlinkError).code, "ENODEV");
    assertThrows(attach("mine", { name: "x" }), TypeError, 'Unknown option "name"');
    assertThrows(attach("mine", { vnetHdr: 1 }), TypeError, "vnetHdr must be a boolean");
    assertThrows(attach("mine", { sendBuffer: 0 }), RangeError, "sendBuffer must be in");
    assertThrows(attach("mine", { offloads: true }), TypeError, "need vnetHdr");
    {
      using mine = attach("mine")();
      const busy = assertThrows(attach("mine"), SyscallError);
      assertEquals([busy.code, busy.message.startsWith(`attach to ${type} "mine"`)], [
        "EBUSY",
        true,
      ]);
      assertStringIncludes(busy.message, "another program is attached to it");
      assertEquals([mine.name, mine.index], ["mine", mine.link.read().index]);
      using first = attach("many")();
      using second = attach("many")();
      assertEquals([first.options().numQueues, second.index], [2, first.index]);
      assertThrows(
        attach("many", { vnetHdr: true }),
        TypeError,
        `vnetHdr of ${type} "many" in ${netns.ref.label} is false, for all of its queues`,
      );
    }
    for (const selector of ["a-longer-name-of-it", netns.links.list()[2]!.index]) {
      using mine = attach(selector, { vnetHdr: true, packetInfo: true })();
      assertEquals([mine.name, mine.vnetHdr, mine.packetInfo], ["mine", true, true]);
      const [link] = ip(netns.ref, "-d -j link show dev mine");
      assertStringIncludes(JSON.stringify(link), '"pi":true,"vnet_hdr":true');
    }
    const names = netns.links.list().map(({ name }) => name);
    assertEquals(names, ["lo", "other", "mine", "many", "br0"]);
  });
}
