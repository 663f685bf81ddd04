// Malformed input: the error names the value, its place and what is allowed, and nothing is sent.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetlinkError, NetNs, type NetNs as Namespace } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import { interceptSends } from "../../src/netlink/socket.ts";
import type { Rule, TableEntry } from "../../src/nftables/mod.ts";

/** Rules that are refused, and the message. */
const RULES: readonly (readonly [rule: unknown, error: string])[] = [
  [{ "tcp dprot": 80 }, 'Unknown option "tcp dprot": did you mean "tcp dport"?'],
  [{ "tcp dport": 70000 }, "tcp dport must be in 0..65535: got 70000"],
  [{ "tcp dport": "htp" }, 'tcp dport must be a number: got "htp"'],
  [{ "tcp dport": "9-5" }, 'tcp dport must end after it begins: got "9-5"'],
  [{ "tcp dport": [] }, "tcp dport must have one or more values: got []"],
  [{ "tcp dport": [1, "x"] }, 'tcp dport[1] must be a number: got "x"'],
  [{ "tcp dport": { nto: 5 } }, 'Unknown option "tcp dport.nto": did you mean "tcp dport.not"?'],
  [
    { "tcp dport": { lt: 5, gt: 3 } },
    'tcp dport must have one comparison, or a mask with "is" or "not": got {"lt":5,"gt":3}',
  ],
  [{ "ip saddr": "10.0.0" }, 'ip saddr must be an IPv4 address, a prefix or a range: got "10.0.0"'],
  [
    { "ip saddr": "fd00::1" },
    'ip saddr must be an IPv4 address, a prefix or a range: got "fd00::1"',
  ],
  [
    { "ip saddr": "10.0.0.1/8" },
    'ip saddr must be a network: got "10.0.0.1/8"; did you mean "10.0.0.0/8"?',
  ],
  [{ "ip saddr": "10.0.0.0/33" }, 'ip saddr must have a prefix length in 0..32: got "10.0.0.0/33"'],
  [{ "ether saddr": "x" }, 'ether saddr must be an Ethernet address: got "x"'],
  [{ iifname: "a-name-of-16-bytes" }, "iifname must be a name of a link, of 1 to 15 bytes"],
  [{ "ct state": "etablished" }, 'did you mean "established"?'],
  [{ "meta mark": { mask: 1, is: 2 } }, "meta mark must have no bits outside of the mask: got 2"],
  [{ "ip saddr": "1.1.1.1", "ip6 daddr": "::1" }, 'ip6 daddr cannot match: the rule is for "ip"'],
  [{ "udp dport": 1, "tcp dport": 1 }, 'tcp dport cannot match: the rule is for "udp"'],
  [{ "arp operation": "reply" }, 'arp cannot match: the family is "inet"'],
  [
    { verdict: "dorp" },
    'verdict must be one of "accept", "drop", "continue", "return", "jump", "goto": got "dorp"',
  ],
  [{ verdict: "jump" }, 'verdict must name a chain: got "jump"'],
  [{ limit: "10" }, 'limit must be a rate as "10/second" or "5 mbytes/second": got "10"'],
  [{ limit: { rate: "1/day", burst: -1 } }, "limit.burst must be in 0..4294967295: got -1"],
  [{ numgen: { mode: "rand", mod: 2, match: 0 } }, 'numgen.mode must be one of "inc", "random"'],
  [{ numgen: { mode: "inc", mod: 0, match: 0 } }, "numgen.mod must be in 1..4294967295: got 0"],
  [{ log: { level: "warning" } }, '"notice", "info", "debug", "audit": got "warning"'],
  [{ log: { level: "info", group: 1 } }, "log must have a level or a group"],
  [{ reject: "icmp no-port" }, 'reject must be one of "net-unreachable"'],
  [{ snat: "10.0.0" }, 'snat must be as "10.0.0.1", "10.0.0.1-10.0.0.9", "10.0.0.1:80"'],
  [
    { masquerade: { to: "10.0.0.1" } },
    'masquerade must have no address, only ports: got "10.0.0.1"',
  ],
  [{ "fwd to": 0 }, "fwd to must be in 1..2147483647: got 0"],
  [{ counter: true, comment: "x".repeat(200) }, "comment must have at most 127 bytes: got 200"],
  [{ expressions: [{ name: "weather", data: {} }] }, 'got "weather"'],
  [{}, "rule must have a match or a statement: got {}"],
  [[], "rule must have a match or a statement: got []"],
  [{ comment: "x" }, 'rule must have a match or a statement: got {"comment":"x"}'],
  [{ verdict: undefined }, "rule must have a match or a statement: got {"],
  [
    { verdict: "drop", counter: true },
    'counter must come before verdict: verdict "drop" ends the rule',
  ],
  [[{ verdict: "return" }, { "tcp dport": 1 }], "tcp dport must come before verdict"],
  [{ verdict: "jump c", log: true }, 'log must come before verdict: verdict "jump c" ends'],
  [
    { masquerade: true, counter: true },
    "counter must come before masquerade: masquerade true ends the rule",
  ],
  [{ reject: true, counter: true }, "counter must come before reject"],
  [{ snat: "10.0.0.1", counter: true }, "counter must come before snat"],
  [{ dnat: "10.0.0.1", counter: true }, "counter must come before dnat"],
  [{ redirect: true, counter: true }, "counter must come before redirect"],
  [{ queue: 1, counter: true }, "counter must come before queue"],
  [{ "fwd to": 1, counter: true }, "counter must come before fwd to"],
  [
    { "tcp dport vmap": [{ key: 1, value: "accept" }, { key: 1, value: "drop" }] },
    "tcp dport vmap[1].key must have one value in the map: got 1, and tcp dport vmap[0].key is 1",
  ],
  [
    { "tcp dport vmap": [{ key: 3, value: "accept" }, { key: "1-5", value: "accept" }] },
    'tcp dport vmap[1].key must have one value in the map: got "1-5", and tcp dport vmap[0].key is 3',
  ],
  [
    {
      "ip saddr . tcp dport vmap": [
        { key: ["10.0.0.1", 1], value: "accept" },
        { key: ["10.0.0.1", 2], value: "accept" },
        { key: ["10.0.0.1", 1], value: "drop" },
      ],
    },
    'ip saddr . tcp dport vmap[2].key must have one value in the map: got ["10.0.0.1",1]',
  ],
  ["accept", 'rule must be an object: got "accept"'],
];

/** Tables that are refused, and the message. */
const TABLES: readonly (readonly [table: unknown, error: string])[] = [
  [{ family: "ipv4", name: "t" }, '"bridge", "ip6": got "ipv4"'],
  [{ family: "ip", name: "" }, 'name must be a name: got ""'],
  [{ family: "ip", name: "t", chain: [] }, 'Unknown option "chain": did you mean "chains"?'],
  [
    { family: "ip", name: "t", chains: [{ name: "c", hook: "inptu" }] },
    'chains[0]: hook in the family ip must be one of "prerouting"',
  ],
  [
    { family: "ip", name: "t", chains: [{ name: "c", policy: "drop" }] },
    "chains[0]: policy must not be there without a hook",
  ],
  [
    { family: "ip", name: "t", chains: [{ name: "c", hook: "input", type: "natt" }] },
    'chains[0]: type must be one of "filter", "nat", "route": got "natt"; did you mean "nat"?',
  ],
  [
    { family: "ip", name: "t", chains: [{ name: "c", hook: "input", priority: "filtr" }] },
    'chains[0]: priority must be one of "raw", "mangle"',
  ],
  [
    { family: "netdev", name: "t", chains: [{ name: "c", hook: "ingress" }] },
    "chains[0]: devices is required: the hook ingress of netdev is that of links",
  ],
  [
    { family: "ip", name: "t", sets: [{ name: "s", type: "ipv4_adr" }] },
    'did you mean "ipv4_addr"?',
  ],
  [
    { family: "ip", name: "t", sets: [{ name: "s", type: "ipv4_addr", flags: ["interva"] }] },
    'sets[0]: flags must be of "constant", "interval", "timeout", "dynamic": got "interva"',
  ],
  [
    { family: "ip", name: "t", sets: [{ name: "s", type: "mark", elements: ["1-5"] }] },
    'sets[0]: flags must not have "interval" with the type "mark"',
  ],
  [
    { family: "ip", name: "t", sets: [{ name: "s", type: "mark . ipv4_addr", elements: [5] }] },
    "sets[0]: elements[0] must have 2 parts: got 5",
  ],
  [
    { family: "ip", name: "t", sets: [{ name: "s", type: "mark", map: "verdict", elements: [5] }] },
    "sets[0]: elements[0].value is required: the set is a map",
  ],
  [
    {
      family: "ip",
      name: "t",
      sets: [{
        name: "s",
        type: "mark",
        map: "mark",
        elements: [{ key: 5, value: 1 }, { key: 5, value: 2 }],
      }],
    },
    "sets[0]: elements[1].key must have one value in the map: got 5, and elements[0].key is 5",
  ],
];

/** The error of a call that sends nothing. */
function refusal(call: () => void): Error {
  let sends = 0;
  using _hook = interceptSends(() => void sends++);
  const error = assertThrows(call);
  assert(error instanceof TypeError || error instanceof RangeError, `${error}`);
  assertEquals(sends, 0);
  return error;
}

function add(netns: Namespace, rule: unknown): void {
  netns.nftables.rules.add({ family: "inet", table: "t", chain: "c", rule: rule as Rule });
}

for (const [rule, message] of RULES) {
  Deno.test(`A rule ${JSON.stringify(rule).slice(0, 70)} is refused`, () => {
    using netns = NetNs.create();
    const error = refusal(() => add(netns, rule));
    assert(error.message.includes(message), error.message);
  });
}

for (const [table, message] of TABLES) {
  Deno.test(`A table ${JSON.stringify(table).slice(0, 90)} is refused`, () => {
    using netns = NetNs.create();
    const error = refusal(() => netns.nftables.add(table as TableEntry));
    assert(error.message.includes(message), error.message);
  });
}

Deno.test("drop() and masquerade() refuse malformed options", () => {
  using netns = NetNs.create();
  for (
    const [call, message] of [
      [() => netns.drop({}), "options must have one of from, to, proto and port: got {}"],
      [() => netns.drop({ form: "10.0.0.1" } as never), 'did you mean "from"?'],
      [() => netns.drop({ from: "x" }), 'from must be an address, a prefix or a range: got "x"'],
      [() => netns.drop({ from: [] }), "from must have an address: got []"],
      [
        () => netns.drop({ from: "10.0.0.1", to: "fd00::1" }),
        'from and to must have addresses of the same families: got IPv4 in from, "10.0.0.1", ' +
        'and IPv6 in to, "fd00::1"',
      ],
      [
        () => netns.drop({ from: ["10.0.0.1", "fd00::1"], to: "10.0.0.2" }),
        'got IPv4 and IPv6 in from, ["10.0.0.1","fd00::1"], and IPv4 in to, "10.0.0.2"',
      ],
      [() => netns.drop({ proto: "icmp", port: 5 }), "proto with a port must be one of"],
      [() => netns.drop({ proto: "tpc" }), 'did you mean "tcp"?'],
      [() => netns.masquerade({} as never), "out must be a link or several: got undefined"],
      [() => netns.masquerade({ out: [] }), "out must be a link or several: got []"],
      [() => netns.masquerade({ out: 5 as never }), "out must be a link or its name: got 5"],
      [
        () => netns.masquerade({ out: ["a", "a-name-of-16-bytes"] }),
        'out[1] must be a name of a link, of 1 to 15 bytes: got "a-name-of-16-bytes"',
      ],
      [
        () => netns.masquerade({ out: "a", from: "10.0.0.1/8" }),
        'from must be a network: got "10.0.0.1/8"; did you mean "10.0.0.0/8"?',
      ],
      [
        () => netns.drop({ from: ["fd00::1", "10.0.0.1", "10.0.0.0/33"] }),
        'from[2] must have a prefix length in 0..32: got "10.0.0.0/33"',
      ],
      [() => netns.drop({ to: "fd00::9-fd00::1" }), "to must end after it begins"],
      [() => netns.drop({ proto: ["tcp"] as never }), 'proto must be a string or a number: got ["'],
      [() => netns.drop({ proto: "foo" }), "proto must be one of"],
      [() => netns.drop({ proto: 256 }), "proto must be in 0..255: got 256"],
      [() => netns.drop({ port: 70000 }), "port must be in 0..65535: got 70000"],
      [() => netns.drop({ proto: "tcp", port: [1, "9-5"] }), "port[1] must end after it begins"],
      [() => netns.drop({ port: { lt: 5 } as never }), "port must be a string or a number: got {"],
      [() => netns.drop({ port: [] }), "port must be a port, a range or several: got []"],
    ] as const
  ) {
    const error = refusal(call);
    assert(error.message.includes(message), `${error}`);
    assert(!/chains\[|rules\[|saddr|daddr|oifname|l4proto|dport/.test(error.message), `${error}`);
  }
  assertEquals(netns.nftables.list(), []);
});

Deno.test("Of many entries the error says which is malformed", () => {
  using netns = NetNs.create();
  const error = refusal(() =>
    netns.nftables.rules.add([
      { family: "inet", table: "t", chain: "c", rule: { verdict: "drop" } },
      { family: "inet", table: "t", chain: "c", rule: { "tcp dport": -1 } },
    ])
  );
  assertEquals(error.message, "entries[1]: tcp dport must be in 0..65535: got -1");
});

/** Rules that refer to objects that the table lacks, and the end of the message. */
const LACKING: readonly (readonly [rule: Rule, error: string])[] = [
  [{ "ip saddr": "@nope" }, 'table inet "t" has no set "nope" (ENOENT)'],
  [{ "ip saddr": "@hots" }, 'table inet "t" has no set "hots"; did you mean "hosts"? (ENOENT)'],
  [{ "ip saddr": { not: "@nope" } }, 'table inet "t" has no set "nope" (ENOENT)'],
  [{ "tcp dport vmap": "@nope" }, 'table inet "t" has no set "nope" (ENOENT)'],
  [{ "ip saddr": "@hosts", verdict: "jump nope" }, 'table inet "t" has no chain "nope" (ENOENT)'],
  [
    { "tcp dport vmap": [{ key: 1, value: "goto nope" }] },
    'table inet "t" has no chain "nope" (ENOENT)',
  ],
  [{ counter: { name: "none" } }, 'table inet "t" has no counter "none" (ENOENT)'],
  [{ quota: { name: "none" } }, 'table inet "t" has no quota "none" (ENOENT)'],
  [{ limit: { name: "all" } }, 'table inet "t" has no limit "all" (ENOENT)'],
];

for (const [rule, message] of LACKING) {
  Deno.test(`The error for ${JSON.stringify(rule)} names the missing object`, () => {
    using netns = NetNs.create();
    netns.nftables.add({
      family: "inet",
      name: "t",
      chains: [{ name: "c" }],
      sets: [{ name: "hosts", type: "ipv4_addr" }],
      counters: [{ name: "all" }],
    });
    const error = assertThrows(() => add(netns, rule), NetlinkError);
    assert(error.message.endsWith(`: ${message}`), error.message);
    assert(error.message.startsWith("add rule '"), error.message);
    assertEquals(netns.nftables.rules.list(), []);
  });
}

Deno.test("The error for a missing object names the place of the rule in the call", () => {
  using netns = NetNs.create();
  const table = (rules: Rule[]): TableEntry => ({
    family: "inet",
    name: "t",
    chains: [{ name: "a" }, { name: "c", rules }],
  });
  const bad: Rule = { verdict: "jump nope" };
  const of = (call: () => void) => assertThrows(call, NetlinkError).message;
  const lacks = 'table inet "t" has no chain "nope" (ENOENT)';
  const inTable = of(() => netns.nftables.add(table([{ verdict: "jump a" }, bad])));
  assert(inTable.endsWith(`: chains[1]: rules[1]: ${lacks}`), inTable);
  netns.nftables.add(table([]));
  // The chain of the table that goes away does not count.
  netns.nftables.chains.add({ family: "inet", table: "t", name: "nope" });
  for (const all of [true, false]) {
    const replaced = of(() => netns.nftables.replace(table([bad]), { all }));
    assert(replaced.endsWith(`: chains[1]: rules[0]: ${lacks}`), replaced);
  }
  const at = { family: "inet", table: "t", chain: "c" } as const;
  const second = of(() =>
    netns.nftables.rules.add([
      { ...at, rule: { counter: true } },
      { ...at, rule: { "tcp dport": "@s" } },
    ])
  );
  assert(second.includes(': entries[1]: table inet "t" has no set "s" (ENOENT); 1 of 2'), second);
  const chain = of(() =>
    netns.nftables.rules.add({ ...at, chain: "other", rule: { counter: true } })
  );
  assert(chain.endsWith(': table inet "t" has no chain "other" (ENOENT)'), chain);
  const none = of(() => netns.nftables.rules.add({ ...at, table: "u", rule: { counter: true } }));
  assert(none.endsWith(': there is no table inet "u" (ENOENT)'), none);
});

Deno.test("continue does not end a rule, nor does a verdict map", () => {
  using netns = NetNs.create();
  netns.nftables.add({ family: "inet", name: "t", chains: [{ name: "c" }] });
  add(netns, { verdict: "continue", counter: true });
  add(netns, { "tcp dport vmap": [{ key: 1, value: "accept" }], counter: true });
  assertEquals(netns.nftables.rules.list().map(({ text }) => text), [
    "continue counter packets 0 bytes 0",
    "tcp dport vmap { 1 : accept } counter packets 0 bytes 0",
  ]);
});
