// Policy rules made by netloom, by iproute2, and by the command line in netloom's trace: all the same.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  BatchError,
  NetlinkError,
  NetNs,
  type PolicyRule,
  Scope,
  trace,
  UnsupportedError,
  Veth,
} from "../../mod.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** Options, iproute2's words for them, and what `ip -j rule` has then, at least. */
interface Case {
  readonly options: PolicyRule;
  readonly words?: string;
  readonly shown: Json;
}

const CASES: readonly Case[] = [
  {
    options: { from: "10.1.0.0/16", table: 7 },
    words: "from 10.1.0.0/16 lookup 7",
    shown: { src: "10.1.0.0", srclen: 16, table: "7" },
  },
  {
    options: { to: "10.2.3.4", table: "main" },
    words: "to 10.2.3.4 lookup main",
    shown: { dst: "10.2.3.4", table: "main" },
  },
  {
    options: { from: "2001:db8::/32", to: "2001:db8:1::1", table: 1000000 },
    words: "from 2001:db8::/32 to 2001:db8:1::1 lookup 1000000",
    shown: { src: "2001:db8::", srclen: 32, dst: "2001:db8:1::1", table: "1000000" },
  },
  {
    options: { iif: "lo", oif: "none", table: 7 },
    words: "iif lo oif none lookup 7",
    shown: { iif: "lo", oif: "none", oif_detached: null },
  },
  {
    options: { not: true, fwmark: 5, table: 7 },
    words: "not fwmark 5 lookup 7",
    shown: { not: null, fwmark: "0x5", table: "7" },
  },
  {
    options: { fwmark: 0x10, fwmask: 0xf0, table: 7 },
    words: "fwmark 0x10/0xf0 lookup 7",
    shown: { fwmark: "0x10", fwmask: "0xf0" },
  },
  { options: { tos: 0x10, table: 7 }, words: "tos 0x10 lookup 7", shown: { tos: "0x10" } },
  {
    options: { ipProtocol: 6, sport: 1000, dport: [80, 90], table: 7 },
    words: "ipproto tcp sport 1000 dport 80-90 lookup 7",
    shown: { ipproto: "tcp", sport: 1000, dport_start: 80, dport_end: 90 },
  },
  {
    options: { uidRange: [100, 200], table: 7 },
    words: "uidrange 100-200 lookup 7",
    shown: { uid_start: 100, uid_end: 200 },
  },
  { options: { tunId: 77, table: 7 }, words: "tun_id 77 lookup 7", shown: { tun_id: 77 } },
  { options: { l3mdev: true }, words: "l3mdev", shown: { l3mdev: null } },
  {
    options: { table: "main", suppressPrefixlength: 0, suppressIfgroup: 9 },
    words: "lookup main suppress_prefixlength 0 suppress_ifgroup 9",
    shown: { suppress_prefixlen: 0, suppress_ifgroup: "9" },
  },
  {
    options: { table: 7, realms: 3 << 16 | 4, protocol: "static" },
    words: "lookup 7 realms 3/4 protocol static",
    shown: { flow_from: "3", flow_to: "4", protocol: "static" },
  },
  {
    options: { goto: 32766, from: "10.0.0.0/8" },
    words: "from 10.0.0.0/8 goto 32766",
    shown: { goto: 32766 },
  },
  {
    options: { goto: 30000 },
    words: "goto 30000",
    shown: { goto: 30000, unresolved: null },
  },
  ...(["blackhole", "unreachable", "prohibit", "nop"] as const).map((action) => ({
    options: { from: "10.9.0.0/16", action },
    words: `from 10.9.0.0/16 ${action}`,
    shown: action === "nop" ? { nop: null } : { action },
  })),
];

/** Options that came after Linux 6.1, which iproute2 6.1 has no words for. */
const NEWER: readonly PolicyRule[] = [
  { dscp: 0, table: 7 },
  { dscp: 8, dscpMask: 0x3c, table: 7 },
  { family: "inet6", flowlabel: 0x12340, flowlabelMask: 0xffff0, table: 7 },
  { sport: 0x50, sportMask: 0xfff0, dport: 8, dportMask: 0xff08, table: 7 },
];

const family = ({ from = "" }: PolicyRule) => from.includes(":") ? "inet6" : "inet";

test("A policy rule is the same when made here, by ip, and by ip as the trace has it", async (t) => {
  using netns = NetNs.create();
  for (const { options, words, shown } of CASES) {
    await t.step(Deno.inspect(options), () => {
      const six = family(options) === "inet6" ? "-6 " : "";
      const lines: string[] = [];
      {
        using _trace = trace(({ command }) => lines.push(command));
        netns.rules.add({ priority: 1000, ...options });
      }
      const [command] = lines;
      const look = () => {
        const rules = netns.rules.list({ priority: 1000 });
        assertEquals(rules.length, 1);
        return rules[0]!;
      };
      const ours = look();
      const [seen] = ip(netns.ref, `-j ${six}rule show`).filter((it) => it.priority === 1000);
      for (const key in shown) assertEquals([key, seen![key]], [key, shown[key]]);
      assertEquals({ priority: 1000, ...options, ...pick(ours, options) }, {
        priority: 1000,
        ...options,
        ...(options.to === "10.2.3.4" && { to: "10.2.3.4/32" }),
        ...(options.to === "2001:db8:1::1" && { to: "2001:db8:1::1/128" }),
      });
      for (const it of [`ip ${six}rule add priority 1000 ${words}`, command!]) {
        netns.rules.delete(ours);
        assertEquals(netns.rules.list({ priority: 1000 }), []);
        run(netns.ref, it);
        assertEquals(look(), ours);
      }
      netns.rules.delete(ours);
      netns.rules.add(ours);
      assertEquals(look(), ours);
      run(netns.ref, `ip ${six}rule del priority 1000`);
    });
  }
});

/** The properties of one object that another one has. */
function pick(from: object, like: object): object {
  return Object.fromEntries(Object.entries(from).filter(([key]) => key in like));
}

test("A policy rule with an option that the kernel would ignore is refused, or added with it", () => {
  using netns = NetNs.create();
  for (const options of NEWER) {
    try {
      netns.rules.add({ priority: 1000, ...options });
    } catch (error) {
      assert(error instanceof UnsupportedError, `${error}`);
      assert(error.option! in options);
      assertEquals(netns.rules.list({ priority: 1000 }), []);
      assertThrows(() => netns.rules.delete(options), UnsupportedError);
      continue;
    }
    const [rule] = netns.rules.list({ priority: 1000 });
    assertEquals(pick(rule!, options), options);
    netns.rules.delete(rule!);
    assertEquals(netns.rules.list({ priority: 1000 }), []);
  }
});

test("rules.list() has the rules of every namespace, IPv4 first, and filters", () => {
  using netns = NetNs.create();
  const told = netns.rules.list().map(({ family, priority, table, protocol }) =>
    `${family} ${priority} ${table} ${protocol}`
  );
  assertEquals(told, [
    "inet 0 local kernel",
    "inet 32766 main kernel",
    "inet 32767 default kernel",
    "inet6 0 local kernel",
    "inet6 32766 main kernel",
  ]);
  assertEquals(netns.rules.list("inet6").length, 2);
  assertEquals(netns.rules.list({ table: "main" }).length, 2);
  assertEquals(netns.rules.list({ table: 254, family: "inet" }).length, 1);
  assertEquals(netns.rules.list({ protocol: "boot" }), []);
  assertStringIncludes(Deno.inspect(netns.rules), "priority: 32766");
});

test("rules.add() adds many or none, with the priorities that the kernel would choose", () => {
  using netns = NetNs.create();
  const from = (n: number) => ({ from: `10.${n}.0.0/16`, table: 7 });
  netns.rules.add(from(9));
  netns.rules.add([from(1), from(2), { from: "2001:db8::/32", table: 7 }]);
  const told = (filter: PolicyRule["family"]) =>
    netns.rules.list({ family: filter!, table: 7 }).map(({ priority, from }) => [priority, from]);
  assertEquals(told("inet"), [
    [32763, "10.2.0.0/16"],
    [32764, "10.1.0.0/16"],
    [32765, "10.9.0.0/16"],
  ]);
  assertEquals(told("inet6"), [[32765, "2001:db8::/32"]]);
  const error = assertThrows(
    () => netns.rules.add([from(3), { ...from(9), priority: 32765 }, from(9)]),
    BatchError,
  );
  assertEquals([error.code, error.index, error.refused], ["EEXIST", 1, 1]);
  assertEquals(told("inet").length, 3);
  netns.rules.flush({ family: "inet", table: 7 });
  assertEquals([told("inet").length, told("inet6").length], [0, 1]);
  netns.rules.flush();
  assertEquals(netns.rules.list().length, 5);
  netns.rules.flush({ protocol: "kernel", family: "inet" });
  assertEquals(ip(netns.ref, "-j rule show"), []);
});

type ErrorClass = typeof TypeError | typeof RangeError | typeof NetlinkError;

test("rules.add() and rules.delete() name what they refuse, and change nothing", () => {
  using netns = NetNs.create();
  const before = netns.rules.list();
  const refused: [options: object, error: ErrorClass, message: string][] = [
    [{ from: "10.0.0.0/8" }, TypeError, "A rule needs table, l3mdev, goto or an action"],
    [{ action: "goto" }, TypeError, 'action "goto" needs goto'],
    [{ action: "drop" }, TypeError, "action must be one of"],
    [{ from: "10.0.0.1/8", table: 7 }, TypeError, 'did you mean "10.0.0.0/8"?'],
    [{ from: "10.0.0.0/8", to: "2001:db8::1", table: 7 }, TypeError, "from"],
    [{ frm: "10.0.0.0/8", table: 7 }, TypeError, 'did you mean "from"?'],
    [{ table: "mian" }, TypeError, 'did you mean "main"?'],
    [{ dscp: 64, table: 7 }, RangeError, "dscp must be in 0..63"],
    [{ sport: [9, 8], table: 7 }, RangeError, "sport must be [low, high]"],
    [{ sport: 70000, table: 7 }, RangeError, "sport[0] must be in 0..65535"],
    [{ uidRange: 7, table: 7 }, TypeError, "uidRange must be [low, high]"],
    [{ flowlabel: 1, table: 7 }, TypeError, "flowlabel is for IPv6 rules"],
    [{ family: "inet6", realms: 1, table: 7 }, TypeError, "realms is for IPv4 rules"],
    [{ not: 1, table: 7 }, TypeError, "not must be a boolean"],
    [{ iif: "a-name-that-is-too-long", table: 7 }, RangeError, "at most 15 bytes"],
    [{ goto: 5, priority: 9 }, NetlinkError, "EINVAL"],
    [{ l3mdev: true, table: 7 }, NetlinkError, "l3mdev and table"],
  ];
  for (const [options, error, message] of refused) {
    assertThrows(() => netns.rules.add(options as PolicyRule), error as typeof Error, message);
    assertEquals(netns.rules.list(), before, Deno.inspect(options));
  }
  assertThrows(() => netns.rules.delete({}), TypeError, "needs a property of the rule");
  const none = assertThrows(() => netns.rules.delete({ priority: 5 }), NetlinkError);
  assertEquals(none.code, "ENOENT");
  assertStringIncludes(none.message, "delete rule priority 5");
});

test("Packets go by the table that their rule names", async () => {
  await using scope = Scope.open();
  const [host, left, right] = [1, 2, 3].map(() => NetNs.create({ scope })) as [NetNs, NetNs, NetNs];
  // Both routers have the address that packets go to, so that the one that answers tells the way.
  for (const [n, router] of [[1, left], [2, right]] as const) {
    Veth.create({
      scope,
      name: `up${n}`,
      netns: host,
      up: true,
      addresses: [`192.0.${n}.1/24`],
      peer: { name: "eth0", netns: router, up: true, addresses: [`192.0.${n}.254/24`] },
    });
    router.addresses.add({ dev: "lo", address: "198.51.100.1/32" });
  }
  await scope.ready();
  host.routes.add([
    { destination: "default", gateway: "192.0.1.254" },
    { destination: "default", gateway: "192.0.2.254", table: 2 },
  ]);
  const to = "198.51.100.1";
  host.rules.add({ from: "192.0.2.0/24", table: 2 });
  /** The frames that each router's link has got so far. */
  const counts = () => [left, right].map((it) => it.links.get("eth0").stats().rxPackets);
  const way = (from: string) => {
    const before = counts();
    assertStringIncludes(run(host.ref, `ping -c 5 -i 0.01 -I ${from} ${to}`), " 5 received");
    return counts().map((it, i) => it - before[i]! >= 5);
  };
  assertEquals(way("192.0.1.1"), [true, false]);
  assertEquals(way("192.0.2.1"), [false, true]);
  host.rules.add({ to, action: "prohibit", priority: 5 });
  const error = assertThrows(() => host.routes.get(to), NetlinkError);
  assertEquals(error.code, "EACCES");
});
