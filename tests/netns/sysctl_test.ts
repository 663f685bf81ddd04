import { existsSync } from "node:fs";
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { homeNetNs, within } from "../../ffi/namespace.ts";
import { Bridge, NetNs, SyscallError } from "../../mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";

test("sysctl() reads and writes a setting of its namespace, as the sysctl program sees it", () => {
  using netns = NetNs.create();
  const name = "net.ipv4.ip_forward";
  const there = () => run(netns.ref, `cat /proc/sys/net/ipv4/ip_forward`).trim();
  const outside = run(homeNetNs(), `cat /proc/sys/net/ipv4/ip_forward`);
  const other = netns.sysctl(name) === "0" ? 1 : 0;
  assertEquals(netns.sysctl(name, other), String(other));
  assertEquals([netns.sysctl(name), there()], [String(other), String(other)]);
  assertEquals(netns.sysctl(name, "0"), "0");
  assertEquals(run(homeNetNs(), `cat /proc/sys/net/ipv4/ip_forward`), outside);
});

test("sysctl() returns settings of several values as they are", () => {
  using netns = NetNs.create();
  assertEquals(netns.sysctl("net.ipv4.ip_local_port_range", "20000 30000"), "20000\t30000");
  assertEquals(netns.sysctl("net.ipv4.ip_local_port_range"), "20000\t30000");
});

/** Names that a link may have: up to 15 bytes without a slash, a colon and white space. */
const LINKS = [
  ..."br0.7 a..b .a a. a+b büro ü 環 a@b a=b a,b a*b a\\b a'b a\"b $a ~ - -a --all a|b a;b a&b"
    .split(" "),
  ..."(a) [a] {a} a?b a#b a!b a^b a`b <a> 💡💡💡 0 ... abcdefghijklmno".split(" "),
];

test("sysctl() takes any name of a link, with a slash for a dot inside it", () => {
  using netns = NetNs.create();
  for (const name of LINKS) {
    using _link = Bridge.create({ name, netns });
    const there = () =>
      within(netns.ref, () => Deno.readTextFileSync(`/proc/sys/net/ipv4/conf/${name}/forwarding`));
    for (const value of ["1", "0"]) {
      const setting = `net.ipv4.conf.${name.replaceAll(".", "/")}.forwarding`;
      assertEquals([netns.sysctl(setting, value), there()], [value, `${value}\n`], name);
    }
    assertEquals(netns.sysctl(`net/ipv4/conf/${name}/forwarding`, 1), "1", name);
    assertEquals(there(), "1\n", name);
  }
});

const procps = existsSync("/usr/sbin/sysctl") || existsSync("/sbin/sysctl");

test("sysctl() finds the setting that the sysctl program finds, with dots and with slashes", {
  lacks: procps ? undefined : "there is no sysctl program",
}, () => {
  using netns = NetNs.create();
  Bridge.create({ name: "br0.7", netns });
  for (
    const name of [
      "net.ipv4.conf.br0/7.forwarding",
      "net/ipv4/conf/br0.7/forwarding",
      "net/ipv4/ip_forward",
      "net.ipv4.ip_forward",
    ]
  ) {
    for (const value of ["1", "0"]) {
      netns.sysctl(name, value);
      assertEquals(run(netns.ref, `/sbin/sysctl -n ${name}`), `${value}\n`, name);
    }
  }
});

test("sysctl() writes and reads values of any length", () => {
  using netns = NetNs.create();
  const name = "net.ipv4.ip_local_reserved_ports";
  for (const count of [100, 1000, 15_000]) {
    const ports = Array.from({ length: count }, (_, i) => 2 * i + 1).join(",");
    assertEquals(netns.sysctl(name, ports), ports, `${count} ports`);
    // cat(1) reads 128 KiB at once, and a second read would give nothing.
    assertEquals(run(netns.ref, "cat /proc/sys/net/ipv4/ip_local_reserved_ports"), `${ports}\n`);
  }
});

test("sysctl() says which setting is missing, read-only or refused", () => {
  using netns = NetNs.create();
  const refused: [() => void, string][] = [
    [
      () => netns.sysctl("net.ipv4.no_such"),
      `get net.ipv4.no_such in ${netns.ref.label}: No such file or directory (ENOENT`,
    ],
    [
      () => netns.sysctl("net.ipv4.no_such", 1),
      `set net.ipv4.no_such to 1 in ${netns.ref.label}: No such file or directory`,
    ],
    [() => netns.sysctl("net.ipv4"), `get net.ipv4 in ${netns.ref.label}: Is a directory (EISDIR`],
    [
      () => netns.sysctl("net.ipv4.ip_forward", "many"),
      `set net.ipv4.ip_forward to "many" in ${netns.ref.label}: Invalid`,
    ],
    [
      () => netns.sysctl("net.ipv4.tcp_congestion_control", ""),
      "set net.ipv4.tcp_congestion_control",
    ],
  ];
  for (const [call, message] of refused) assertThrows(call, SyscallError, message);
});

test("sysctl() names the part of a misspelled setting, and the nearest one", () => {
  using netns = NetNs.create();
  const cases = [
    ["net.ipv4.ip_forwrd", 'net/ipv4 has no "ip_forwrd"; did you mean "ip_forward"?'],
    ["net.ip4.ip_forward", 'net has no "ip4"; did you mean "ipv4"?'],
    ["net.ipv6.conf.lo.acept_ra", 'net/ipv6/conf/lo has no "acept_ra"; did you mean "accept_ra"?'],
    ["net.ipv4.conf.eth9x.forwarding", 'net/ipv4/conf has no "eth9x"'],
    ["net/ipv4/ip_forwrd", 'net/ipv4 has no "ip_forwrd"; did you mean "ip_forward"?'],
  ] as const;
  for (const [name, hint] of cases) {
    for (const value of [undefined, 1]) {
      const error = assertThrows(() => netns.sysctl(name, value), SyscallError);
      assertEquals(
        [error.code, error.message.endsWith(`; ${hint}`)],
        ["ENOENT", true],
        error.message,
      );
    }
  }
});

test("sysctl() stays below net", () => {
  using netns = NetNs.create();
  const names = ["kernel.hostname", "net", "", "net.", "net..ipv4", "net./.", "net/", "net//ipv4"];
  // After "net." a slash is a dot and a dot a slash: these would climb.
  const climbing = ["net.//.x", "net.x.//./y", "net/../kernel/hostname", "net/./ipv4", "../x"];
  for (const name of [...names, ...climbing]) {
    const error = assertThrows(() => netns.sysctl(name), TypeError);
    assertMatch(error.message, /^A netns setting begins with "net\.", as in "net\.ipv4/);
  }
  // deno-lint-ignore no-explicit-any
  assertThrows(() => netns.sysctl(7 as any), TypeError, "got 7");
});

test("sysctl() refuses a value that is not one line", () => {
  using netns = NetNs.create();
  // deno-lint-ignore no-explicit-any
  for (const value of ["1\n0", NaN, Infinity, true, null, [1]] as any[]) {
    assertThrows(
      () => netns.sysctl("net.ipv4.ip_forward", value),
      TypeError,
      "A setting is one line of text or a number: got ",
    );
  }
});
