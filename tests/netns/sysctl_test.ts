import { assertEquals, assertThrows } from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
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

test("sysctl() takes a dot in a link's name as a slash", () => {
  using netns = NetNs.create();
  Bridge.create({ name: "br0.7", netns });
  assertEquals(netns.sysctl("net.ipv4.conf.br0/7.forwarding", 1), "1");
  assertEquals(run(netns.ref, "cat /proc/sys/net/ipv4/conf/br0.7/forwarding"), "1\n");
});

test("sysctl() says which setting is missing, read-only or refused", () => {
  using netns = NetNs.create();
  const refused: [() => void, string][] = [
    [
      () => netns.sysctl("net.ipv4.no_such"),
      "get net.ipv4.no_such in new netns: No such file or directory (ENOENT",
    ],
    [
      () => netns.sysctl("net.ipv4.no_such", 1),
      "set net.ipv4.no_such to 1 in new netns: No such file or directory",
    ],
    [() => netns.sysctl("net.ipv4"), "get net.ipv4 in new netns: Is a directory (EISDIR"],
    [
      () => netns.sysctl("net.ipv4.ip_forward", "many"),
      'set net.ipv4.ip_forward to "many" in new netns: Invalid',
    ],
    [
      () => netns.sysctl("net.ipv4.tcp_congestion_control", ""),
      "set net.ipv4.tcp_congestion_control",
    ],
  ];
  for (const [call, message] of refused) assertThrows(call, SyscallError, message);
});

test("sysctl() stays below net", () => {
  using netns = NetNs.create();
  const names = [
    "kernel.hostname",
    "net",
    "",
    "net.",
    "net..ipv4",
    "net./.",
    "net.a//b",
    "net.ipv4 x",
  ];
  // A slash is a dot and a dot a slash: these would climb.
  for (const name of [...names, "net.//.x", "net.x.//./y", "../x", "net/ipv4/ip_forward"]) {
    assertThrows(
      () => netns.sysctl(name),
      TypeError,
      'A netns setting begins with "net.", as in "net.ipv4',
    );
  }
  // deno-lint-ignore no-explicit-any
  assertThrows(() => netns.sysctl(7 as any), TypeError, "got 7");
});
