import { assert, assertEquals, assertObjectMatch, assertThrows } from "@std/assert";
import { NetlinkError } from "../../src/netlink/error.ts";
import {
  type AddressInfo,
  type AddressMessage,
  deleteAddress,
  dumpAddresses,
  newAddress,
} from "../../src/rtnetlink/address.ts";
import type { IpFamily } from "../../src/rtnetlink/fields.ts";
import { bodyOf, ip, type Json, readReply, run } from "../helpers.ts";
import { Testbed, V0, V1 } from "./testbed.ts";

// As Linux 6.18 sent them.
const CAPTURED: [name: string, body: string, expected: AddressInfo][] = [
  [
    "IPv4 with broadcast, label, scope and metric",
    `021880fd 03000000 08000100 c0000201 08000200 c0000201 08000400 c00002ff 09000300 76303a78
     00000000 08000800 80000000 08000900 07000000 14000600 ffffffff ffffffff fa620600 fb620600`,
    {
      index: 3,
      family: "inet",
      address: "192.0.2.1/24",
      broadcast: "192.0.2.255",
      label: "v0:x",
      scope: "link",
      metric: 7,
      flags: ["permanent"],
      lifetime: { preferred: Infinity, valid: Infinity, created: 418554, updated: 418555 },
    },
  ],
  [
    "IPv4 with a peer",
    `02208000 03000000 08000100 c0000209 08000200 c0000205 07000300 76300000 08000800 80000000
     14000600 ffffffff ffffffff fb620600 fb620600`,
    {
      index: 3,
      family: "inet",
      address: "192.0.2.5/32",
      peer: "192.0.2.9",
      label: "v0",
      scope: "global",
      flags: ["permanent"],
      lifetime: { preferred: Infinity, valid: Infinity, created: 418555, updated: 418555 },
    },
  ],
  [
    "IPv6 link-local, with its maker and flags",
    `0a40c0fd 02000000 14000100 fe800000 00000000 000000ff fe000002 14000600 ffffffff ffffffff
     fa620600 fa620600 08000800 c0000000 05000b00 03000000`,
    {
      index: 2,
      family: "inet6",
      address: "fe80::ff:fe00:2/64",
      scope: "link",
      flags: ["tentative", "permanent"],
      protocol: 3,
      lifetime: { preferred: Infinity, valid: Infinity, created: 418554, updated: 418554 },
    },
  ],
  [
    "IPv6 with flags that the header has no room for",
    `0a40c000 03000000 14000100 20010db8 00010000 00000000 00000001 14000600 ffffffff ffffffff
     fb620600 fb620600 08000800 c0030000`,
    {
      index: 3,
      family: "inet6",
      address: "2001:db8:1::1/64",
      scope: "global",
      flags: ["tentative", "permanent", "mngtmpaddr", "noprefixroute"],
      lifetime: { preferred: Infinity, valid: Infinity, created: 418555, updated: 418555 },
    },
  ],
  [
    "IPv6 with a lifetime",
    `0a400200 03000000 14000100 20010db8 00000000 00000000 00000001 14000600 f4010000 e8030000
     fb620600 fb620600 08000800 02000000`,
    {
      index: 3,
      family: "inet6",
      address: "2001:db8::1/64",
      scope: "global",
      flags: ["nodad"],
      lifetime: { preferred: 500, valid: 1000, created: 418555, updated: 418555 },
    },
  ],
];

for (const [name, body, expected] of CAPTURED) {
  Deno.test(`An address is read from bytes: ${name}`, () => {
    assertEquals(readReply(dumpAddresses(), body), expected);
  });
}

Deno.test("An address without IFA_FLAGS, of an old kernel, has the header's", () => {
  const info = readReply(dumpAddresses(), "021881fe 01000000 08000100 7f000001");
  assertEquals([info.flags, info.scope, info.address], [
    ["secondary", "permanent"],
    "host",
    "127.0.0.1/24",
  ]);
});

Deno.test("A multicast or anycast address is the address", () => {
  const info = readReply(
    dumpAddresses(),
    "0a8000 00 03000000 14000700 ff020000 000000000000000000000001",
  );
  assertEquals(info.address, "ff02::1/128");
});

// What iproute2 sends for the same, but for the order of attributes; it leaves IFA_FLAGS out below 256.
const WRITTEN: [message: AddressMessage, body: string][] = [
  [
    {
      index: 3,
      address: "192.0.2.1/24",
      broadcast: "192.0.2.255",
      label: "v0:x",
      metric: 7,
      scope: "link",
    },
    `021800fd 03000000 08000400 c00002ff 09000300 76303a78 00000000 08000900 07000000 08000200
     c0000201 08000100 c0000201`,
  ],
  [
    { index: 3, address: "192.0.2.5/32", peer: "192.0.2.9" },
    "02200000 03000000 08000200 c0000205 08000100 c0000209",
  ],
  [
    {
      index: 3,
      address: "2001:db8::1/64",
      flags: ["nodad"],
      lifetime: { valid: 1000, preferred: 500 },
    },
    `0a400200 03000000 14000200 20010db8 00000000 00000000 00000001 14000100 20010db8 00000000
     00000000 00000001 08000800 02000000 14000600 f4010000 e8030000 00000000 00000000`,
  ],
  [
    { index: 1, address: "127.0.0.9/8" },
    "020800fe 01000000 08000200 7f000009 08000100 7f000009",
  ],
  [
    { index: 1, address: "127.0.0.9", scope: "global", lifetime: {} },
    `02200000 01000000 08000200 7f000009 08000100 7f000009
     14000600 ffffffff ffffffff 00000000 00000000`,
  ],
  [
    { index: 1, address: "10.0.0.1/8", lifetime: { valid: 60 }, scope: 17, protocol: 2 },
    `02080011 01000000 05000b00 02000000 08000200 0a000001 08000100 0a000001
     14000600 3c000000 3c000000 00000000 00000000`,
  ],
  [
    { index: 1, address: "::1/128", flags: ["nodad", "noprefixroute"] },
    `0a800200 01000000 14000200 00000000 00000000 00000000 00000001
     14000100 00000000 00000000 00000000 00000001 08000800 02020000`,
  ],
];

for (const [message, body] of WRITTEN) {
  Deno.test(`An address is written as bytes: ${newAddress(message).command()}`, () => {
    assertEquals(bodyOf(newAddress(message)), body.replace(/\s+/g, " "));
  });
}

const REFUSED: [message: object, error: typeof TypeError | typeof RangeError, text: string][] = [
  [
    { index: 1, address: "10.0.0.1/33" },
    RangeError,
    'prefix length of "10.0.0.1/33" must be in 0..32',
  ],
  [{ index: 1, address: "10.0.0.256/8" }, TypeError, "is not an IP prefix"],
  [{ index: 1, address: "10.0.0.1/8", peer: "x" }, TypeError, '"x" is not an IP address'],
  [{ index: 1, address: "10.0.0.1/8", broadcast: "+" }, TypeError, "broadcast: "],
  [{ index: 1, address: "10.0.0.1/8", label: "x".repeat(16) }, RangeError, "at most 15 bytes"],
  [{ index: 1, address: "10.0.0.1/8", scope: "galaxy" }, TypeError, "scope must be one of"],
  [{ index: 1, address: "10.0.0.1/8", scope: 256 }, RangeError, "scope must be in 0..255"],
  [{ index: 1, address: "10.0.0.1/8", metric: -1 }, RangeError, "metric must be in"],
  [
    { index: 1, address: "10.0.0.1/8", lifetime: { valid: -1 } },
    RangeError,
    "lifetime.preferred must be whole seconds",
  ],
  [{ index: 1, address: "10.0.0.1/8", colour: 1 }, TypeError, 'Unknown option "colour"'],
];

for (const [message, error, text] of REFUSED) {
  Deno.test(`An address is refused before anything is sent: ${text}`, () => {
    assertThrows(() => bodyOf(newAddress(message as AddressMessage)), error, text);
  });
}

/** What `ip` shows of the addresses of v0, without what passes with time. */
function shown(testbed: Testbed): Json[] {
  const [link] = ip(testbed.netns, "-d -j address show dev v0");
  return (link!.addr_info as Json[]).filter((it) => Object.keys(it).length > 0);
}

const FOREVER = 4294967295;

/** Ways to set an address: ours, iproute2's, and what either has to show then. */
const CASES: [
  name: string,
  message: Omit<AddressMessage, "index">,
  words: string,
  shown: Json,
  info: Partial<AddressInfo>,
][] = [
  [
    "IPv4",
    { address: "192.0.2.1/24" },
    "192.0.2.1/24 dev v0",
    { family: "inet", local: "192.0.2.1", prefixlen: 24, scope: "global", label: "v0" },
    { family: "inet", address: "192.0.2.1/24", scope: "global", label: "v0", flags: ["permanent"] },
  ],
  [
    "IPv4 without a length",
    { address: "192.0.2.1" },
    "192.0.2.1 dev v0",
    { local: "192.0.2.1", prefixlen: 32 },
    { address: "192.0.2.1/32" },
  ],
  [
    "a peer",
    { address: "192.0.2.5/32", peer: "192.0.2.9" },
    "192.0.2.5 peer 192.0.2.9/32 dev v0",
    { local: "192.0.2.5", address: "192.0.2.9", prefixlen: 32 },
    { address: "192.0.2.5/32", peer: "192.0.2.9" },
  ],
  [
    "broadcast and label",
    { address: "192.0.2.1/24", broadcast: "192.0.2.255", label: "v0:lab" },
    "192.0.2.1/24 broadcast 192.0.2.255 dev v0 label v0:lab",
    { broadcast: "192.0.2.255", label: "v0:lab" },
    { broadcast: "192.0.2.255", label: "v0:lab" },
  ],
  [
    "a scope by name",
    { address: "192.0.2.1/24", scope: "link" },
    "192.0.2.1/24 dev v0 scope link",
    { scope: "link" },
    { scope: "link" },
  ],
  [
    "a scope by number",
    { address: "192.0.2.1/24", scope: 17 },
    "192.0.2.1/24 dev v0 scope 17",
    { scope: "17" },
    { scope: 17 },
  ],
  [
    "a loopback address, which is of host scope",
    { address: "127.1.2.3/32" },
    "127.1.2.3/32 dev v0",
    { scope: "host" },
    { scope: "host" },
  ],
  [
    "the metric of the prefix route",
    { address: "192.0.2.1/24", metric: 77 },
    "192.0.2.1/24 dev v0 metric 77",
    { metric: 77 },
    { metric: 77 },
  ],
  [
    "no prefix route",
    { address: "192.0.2.1/24", flags: ["noprefixroute"] },
    "192.0.2.1/24 dev v0 noprefixroute",
    { noprefixroute: true },
    { flags: ["permanent", "noprefixroute"] },
  ],
  [
    "IPv6 without duplicate address detection",
    { address: "2001:db8::1/64", flags: ["nodad"] },
    "2001:db8::1/64 dev v0 nodad",
    { family: "inet6", local: "2001:db8::1", prefixlen: 64, nodad: true },
    { family: "inet6", address: "2001:db8::1/64", flags: ["nodad", "permanent"] },
  ],
  [
    "IPv6 home address that temporary ones are made of",
    {
      address: "2001:db8::1/64",
      flags: ["nodad", "home", "mngtmpaddr"],
    },
    "2001:db8::1/64 dev v0 nodad home mngtmpaddr",
    { nodad: true, home: true, mngtmpaddr: true },
    { flags: ["nodad", "home", "permanent", "mngtmpaddr"] },
  ],
  [
    "IPv6 with a peer",
    { address: "2001:db8::1/128", peer: "2001:db8::2", flags: ["nodad"] },
    "2001:db8::1 peer 2001:db8::2/128 dev v0 nodad",
    { local: "2001:db8::1", address: "2001:db8::2", prefixlen: 128 },
    { address: "2001:db8::1/128", peer: "2001:db8::2" },
  ],
  [
    "a lifetime",
    { address: "192.0.2.1/24", lifetime: { valid: 10000, preferred: 5000 } },
    "192.0.2.1/24 dev v0 valid_lft 10000 preferred_lft 5000",
    { dynamic: true },
    { flags: [] },
  ],
  [
    "a lifetime for ever, and deprecated",
    {
      address: "2001:db8::1/64",
      flags: ["nodad"],
      lifetime: { valid: Infinity, preferred: 0 },
    },
    "2001:db8::1/64 dev v0 nodad valid_lft forever preferred_lft 0",
    { deprecated: true, valid_life_time: FOREVER, preferred_life_time: 0 },
    { flags: ["nodad", "deprecated", "permanent"] },
  ],
];

for (const [name, message, words, expected, info] of CASES) {
  Deno.test(`An address set here or by ip is the same in the kernel: ${name}`, () => {
    const request = newAddress({ index: V0, ...message });
    using ours = new Testbed();
    ours.connection.request(request);
    using theirs = new Testbed(`ip address add ${words}`);
    using commanded = new Testbed(request.command());

    const [address] = shown(ours);
    assertObjectMatch(address!, expected);
    for (const other of [theirs, commanded]) assertSame(shown(other)[0]!, address!);
    for (const testbed of [ours, theirs]) {
      const [read] = testbed.connection.dump(dumpAddresses({ index: V0 }));
      assertObjectMatch(read as unknown as Json, info as Json);
      testbed.connection.request(deleteAddress(read!));
      assertEquals(shown(testbed), []);
    }
  });
}

/** Seconds left may differ by a few. */
function assertSame(actual: Json, expected: Json): void {
  const { valid_life_time: v1, preferred_life_time: p1, ...rest1 } = actual;
  const { valid_life_time: v2, preferred_life_time: p2, ...rest2 } = expected;
  assertEquals(rest1, rest2);
  for (const [a, b] of [[v1, v2], [p1, p2]]) assert(Math.abs(Number(a) - Number(b)) < 60);
}

Deno.test("A lifetime is read in seconds, with times of making and change", () => {
  using testbed = new Testbed("ip addr add 192.0.2.1/24 dev v0 valid_lft 1000 preferred_lft 500");
  const [{ lifetime }] = testbed.connection.dump(dumpAddresses({ index: V0 })) as [AddressInfo];
  assert(lifetime!.valid > 900 && lifetime!.valid <= 1000);
  assert(lifetime!.preferred > 400 && lifetime!.preferred <= 500);
  assert(lifetime!.created! > 0 && lifetime!.updated! >= lifetime!.created!);
});

Deno.test("newAddress() refuses what is there already, unless it is to replace it", () => {
  using testbed = new Testbed("ip addr add 192.0.2.1/24 dev v0");
  const message = { index: V0, address: "192.0.2.1/24", lifetime: { valid: 5000 } };
  assertThrows(
    () => testbed.connection.request(newAddress(message)),
    NetlinkError,
    "add address 192.0.2.1/24 to link 10 in test netns: File exists (EEXIST)",
  );
  testbed.connection.request(newAddress(message, { replace: true }));
  assert(shown(testbed).length === 1 && Number(shown(testbed)[0]!.valid_life_time) <= 5000);
});

Deno.test("deleteAddress() of an address that is not there is EADDRNOTAVAIL", () => {
  using testbed = new Testbed();
  const request = deleteAddress({ index: V0, address: "192.0.2.1/24" });
  assertEquals(
    assertThrows(() => testbed.connection.request(request), NetlinkError).code,
    "EADDRNOTAVAIL",
  );
});

Deno.test("deleteAddress() tells addresses with different peers apart, as its command does", () => {
  const setup = [
    "ip addr add 192.0.2.5 peer 192.0.2.8/32 dev v0",
    "ip addr add 192.0.2.5 peer 192.0.2.9/32 dev v0",
  ];
  const request = deleteAddress({ index: V0, address: "192.0.2.5/32", peer: "192.0.2.8" });
  using ours = new Testbed(...setup);
  ours.connection.request(request);
  using commanded = new Testbed(...setup, request.command());
  assertEquals(shown(ours).map(({ address }) => address), ["192.0.2.9"]);
  assertEquals(shown(commanded), shown(ours));
});

Deno.test("dumpAddresses() is limited to a link and a family", () => {
  using testbed = new Testbed(
    "ip addr add 192.0.2.1/24 dev v0",
    "ip addr add 192.0.2.2/24 dev v1",
    "ip addr add 2001:db8::1/64 dev v0 nodad",
    "ip addr add 2001:db8::2/64 dev v1 nodad",
  );
  const addresses = (filter?: { index?: number; family?: IpFamily }) =>
    testbed.connection.dump(dumpAddresses(filter)).map(({ address }) => address).sort();
  assertEquals(addresses(), [
    "127.0.0.1/8",
    "192.0.2.1/24",
    "192.0.2.2/24",
    "2001:db8::1/64",
    "2001:db8::2/64",
    "::1/128",
  ]);
  assertEquals(addresses({ index: V0 }), ["192.0.2.1/24", "2001:db8::1/64"]);
  assertEquals(addresses({ family: "inet" }), ["127.0.0.1/8", "192.0.2.1/24", "192.0.2.2/24"]);
  assertEquals(addresses({ family: "inet6" }), ["2001:db8::1/64", "2001:db8::2/64", "::1/128"]);
  assertEquals(addresses({ index: V1, family: "inet6" }), ["2001:db8::2/64"]);
  for (
    const [filter, expected] of [
      [{ index: V0, family: "inet" }, "ip -4 address show dev if10"],
      [{ family: "inet6" }, "ip -6 address show"],
    ] as const
  ) {
    assertEquals(dumpAddresses(filter).command(), expected);
    run(testbed.netns, expected);
  }
});
