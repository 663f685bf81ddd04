// Whole rulesets: as nft sets them, as netloom reads them, and back again.
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Bridge, NetlinkError, NetNs, trace } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import { SET_TYPES } from "../../src/nftables/datatypes.ts";
import type { Rule, TableEntry } from "../../src/nftables/mod.ts";
import { OURS } from "./cases.ts";
import { json, listed, nft, rulesOf } from "./nft.ts";

/** A ruleset of nft with all that it knows of tables, also what netloom has no words for. */
const THEIRS = `
table inet filter {
  comment "of nft"
  counter seen { }
  quota spent { over 500 bytes }
  set plain { type ipv4_addr; elements = { 1.1.1.1, 2.2.2.2 } }
  set ranges { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.0.1-192.168.0.9 } }
  set timed { type inet_service; flags timeout; timeout 1h; size 100; elements = { 5 timeout 10m } }
  set named { type ifname; comment "links"; elements = { "lo", "eth0" } }
  set pairs { type ipv4_addr . inet_service; elements = { 1.1.1.1 . 80 } }
  set spans { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 80-90 } }
  set noted { type ipv6_addr; elements = { fd00::1 comment "one" } }
  set meters { type ipv4_addr; flags dynamic; size 128; }
  set counted { type ipv4_addr; counter; elements = { 1.1.1.1 counter packets 3 bytes 4 } }
  map verdicts { type inet_service : verdict; elements = { 22 : accept, 80 : jump other } }
  map ports { type ipv4_addr : inet_service; elements = { 1.1.1.1 : 80 } }
  chain other { ip saddr @plain drop; }
  chain input {
    type filter hook input priority filter + 5; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    tcp dport vmap @verdicts
    ip saddr @ranges counter name "seen" quota name "spent" drop
    udp dport 53 update @meters { ip saddr limit rate 5/second } accept
    ip saddr . tcp dport @spans accept
    ip saddr . tcp dport { 1.1.1.1 . 80, 2.2.2.2 . 90 } accept
    fib daddr type local tcp option maxseg size 100 accept
    meta time > "2024-01-01" ip dscp cs1 accept
    log prefix "x" level debug flags all
    tcp dport { 1-5, 9 } ip6 saddr fd00::/9 jump other
    ip daddr set 1.2.3.4
    tcp dport 22 accept comment "ssh"
  }
}
table ip nat {
  chain post { type nat hook postrouting priority srcnat; masquerade random; }
  chain pre { type nat hook prerouting priority dstnat; tcp dport 80 dnat to 10.0.0.2:8080; }
}
table netdev links {
  chain in { type filter hook ingress device "lo" priority 5; ip saddr 1.2.3.4 drop; }
  chain out { type filter hook egress devices = { lo, br0 } priority 0; ip saddr 1.2.3.4 drop; }
}
table bridge switch {
  chain forward { type filter hook forward priority filter; ether saddr 02:00:00:00:00:01 drop; }
}
table ip6 asleep {
  flags dormant
  chain c { type filter hook output priority raw; reject; }
}
table arp answers {
  chain c { type filter hook input priority filter; arp operation request drop; }
}
`;

Deno.test("nftables.list() gives back what nft has set, to the byte", () => {
  using netns = NetNs.create();
  Bridge.create({ name: "br0", netns });
  nft(netns, THEIRS);
  const before = json(netns);
  const rest = /expires \w+/; // it goes by
  const text = listed(netns).replace(rest, "");
  netns.nftables.replace(netns.nftables.list(), { all: true });
  assertEquals(json(netns), before);
  assertEquals(listed(netns).replace(rest, ""), text);
});

Deno.test("nftables.add() takes what list() gave, in another namespace", () => {
  using netns = NetNs.create();
  using other = NetNs.create();
  for (const it of [netns, other]) Bridge.create({ name: "br0", netns: it });
  nft(netns, THEIRS);
  other.nftables.add(netns.nftables.list());
  assertEquals(json(other), json(netns));
});

const OURS_IN_NFT = `table inet filter {
	comment "of netloom"
	set plain {
		type ipv4_addr
		elements = { 1.1.1.1, 2.2.2.2 }
	}

	set ranges {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8, 192.168.0.1-192.168.0.9 }
	}

	set all {
		type ipv6_addr
		flags interval
		elements = { fd00::/16,
			     ff00::/8 }
	}

	set timed {
		type inet_service
		size 100
		timeout 1h
		elements = { 5 timeout 10m expires REST }
	}

	set named {
		type ifname
		comment "links"
		elements = { "lo",
			     "eth0" }
	}

	set pairs {
		type ipv4_addr . inet_service
		elements = { 1.1.1.1 . 80 }
	}

	set spans {
		type ipv4_addr . inet_service
		flags interval
		elements = { 10.0.0.0/8 . 80-90 }
	}

	set noted {
		type ipv6_addr
		elements = { fd00::1 comment "one" }
	}

	map verdicts {
		type inet_service : verdict
		elements = { 22 : accept, 80 : jump other }
	}

	map ports {
		type ipv4_addr : inet_service
		elements = { 1.1.1.1 : 80 }
	}

	chain other {
		ip saddr @plain drop
	}

	chain input {
		comment "what comes in"
		type filter hook input priority filter + 5; policy drop;
		tcp dport { 22, 80-90 } jump other
	}
}
`;

Deno.test("nft reads what nftables.add() has set", () => {
  using netns = NetNs.create();
  netns.nftables.add(OURS);
  assertEquals(listed(netns).replace(/expires \w+/, "expires REST"), OURS_IN_NFT);
});

Deno.test("Named counters, quotas and limits are those of nft, with their bytes", () => {
  const table: TableEntry = {
    family: "inet",
    name: "t",
    counters: [
      { name: "visits", packets: 3, bytes: 500 },
      { name: "noted", packets: 0, bytes: 0, comment: "of the lab" },
    ],
    quotas: [
      { name: "daily", bytes: 1048576, over: true, used: 1000 },
      { name: "first", bytes: 500 },
    ],
    limits: [{ name: "slow", rate: "10/second" }, { name: "fast", rate: "5/minute", over: true }],
    chains: [{
      name: "c",
      hook: "input",
      rules: [{ counter: { name: "visits" }, quota: { name: "daily" }, limit: { name: "slow" } }],
    }],
  };
  using ours = NetNs.create();
  ours.nftables.add(table);
  const shown = listed(ours);
  for (
    const line of [
      "packets 3 bytes 500",
      'comment "of the lab"',
      "over 1 mbytes used 1000 bytes",
      "rate over 5/minute",
      'counter name "visits" quota name "daily" limit name "slow"',
    ]
  ) assert(shown.includes(line), `${line} in ${shown}`);
  const { counters, quotas, limits } = ours.nftables.get({ family: "inet", name: "t" });
  const sorted = (list: readonly { name: string }[] = []) =>
    list.toSorted((a, b) => a.name < b.name ? -1 : 1);
  assertEquals(sorted(counters), sorted(table.counters));
  assertEquals(sorted(quotas), sorted(table.quotas));
  assertEquals(sorted(limits), sorted(table.limits));
  using theirs = NetNs.create();
  nft(theirs, shown);
  const [read] = theirs.nftables.list();
  assertEquals(sorted(read!.counters), sorted(table.counters));
  assertEquals(sorted(read!.quotas), sorted(table.quotas));
  assertThrows(
    () => ours.nftables.add({ family: "ip", name: "x", quotas: [{ name: "q", byte: 5 } as never] }),
    TypeError,
    'Unknown option "quotas[0].byte": did you mean "quotas[0].bytes"?',
  );
});

Deno.test("The types of sets are those of nft", () => {
  using netns = NetNs.create();
  const types = Object.keys(SET_TYPES);
  const sets = types.map((type, i) => ({ name: `s${i}`, type }));
  netns.nftables.add({ family: "inet", name: "t", sets });
  const shown = listed(netns);
  for (const type of types) assert(shown.includes(`\t\ttype ${type}\n`), `${type} in ${shown}`);
  using theirs = NetNs.create();
  nft(theirs, shown);
  const read = theirs.nftables.sets.list().map(({ type }) => type);
  assertEquals(read.toSorted(), types.toSorted());
});

Deno.test("iif and oif take links by name, handle and index", () => {
  using netns = NetNs.create();
  const bridge = Bridge.create({ name: "br0", netns });
  const chain = { family: "inet", table: "t", chain: "c" } as const;
  netns.nftables.add({ family: "inet", name: "t", chains: [{ name: "c", hook: "forward" }] });
  const { index } = bridge;
  for (const link of ["br0", bridge, index]) {
    const rules: readonly Rule[] = [
      { iif: link },
      { oif: { not: link } },
      { iif: [1, link] as never },
    ];
    for (const rule of rules) netns.nftables.rules.add({ ...chain, rule });
    assertEquals(rulesOf(netns), ['iif "br0"', 'oif != "br0"', 'iif { "lo", "br0" }']);
    netns.nftables.rules.flush();
  }
  const error = assertThrows(
    () => netns.nftables.rules.add({ ...chain, rule: { iif: "br1" } }),
    NetlinkError,
  );
  assertEquals(error.code, "ENODEV");
  assert(error.message.includes('did you mean "br0"?'), error.message);
});

Deno.test("nftables.list() has what add() was given", () => {
  using netns = NetNs.create();
  netns.nftables.add(OURS);
  const { sets, chains } = netns.nftables.get({ family: "inet", name: "filter" });
  const elements = (name: string) => sets.find((set) => set.name === name)!.elements;
  for (const { name, elements: given } of OURS.sets!) {
    if (name !== "timed") assertEquals(elements(name), given, name);
  }
  const input = chains.find(({ name }) => name === "input")!;
  assertEquals([input.priority, input.policy, input.hook, input.comment], [
    5,
    "drop",
    "input",
    "what comes in",
  ]);
});

Deno.test("nftables.replace() puts a table in place of another, and leaves the others", () => {
  using netns = NetNs.create();
  nft(netns, "add table inet filter; add chain inet filter old; add table ip other");
  netns.nftables.replace({ family: "inet", name: "filter", chains: [{ name: "new" }] });
  const tables = netns.nftables.list();
  assertEquals(tables.map(({ name }) => name).sort(), ["filter", "other"]);
  assertEquals(netns.nftables.chains.list().map(({ name }) => name), ["new"]);
  netns.nftables.replace({ family: "ip", name: "only" }, { all: true });
  assertEquals(netns.nftables.list().map(({ name }) => name), ["only"]);
});

Deno.test("nftables.flush() deletes all tables, or those that match", () => {
  using netns = NetNs.create();
  nft(netns, "add table inet a; add table ip a; add table ip b");
  netns.nftables.flush({ family: "ip", table: "a" });
  assertEquals(netns.nftables.list().map(({ family, name }) => [family, name]), [
    ["inet", "a"],
    ["ip", "b"],
  ]);
  netns.nftables.flush();
  assertEquals(netns.nftables.list(), []);
});

Deno.test("A trace has the lines of nft, which do the same", () => {
  using netns = NetNs.create("nft-trace");
  using again = NetNs.create();
  const lines: string[] = [];
  {
    using _trace = trace(({ command }) => lines.push(command), { changes: true });
    netns.nftables.add({
      family: "inet",
      name: "t",
      sets: [{ name: "s", type: "ipv4_addr", elements: ["1.1.1.1"] }],
      chains: [{
        name: "c",
        hook: "input",
        rules: [{ "tcp dport": [22, 80], log: { prefix: "it's " }, verdict: "accept" }],
      }],
    });
  }
  assertEquals(lines, [
    "ip netns exec nft-trace nft create table inet t",
    "ip netns exec nft-trace nft create chain inet t c " +
    "'{ type filter hook input priority 0; policy accept; }'",
    "ip netns exec nft-trace nft create set inet t s '{ type ipv4_addr; }'",
    "ip netns exec nft-trace nft add element inet t s '{ 1.1.1.1 }'",
    `ip netns exec nft-trace nft add rule inet t c 'tcp dport { 22, 80 } log prefix "it'\\''s " accept'`,
  ]);
  for (const line of lines) {
    const script = line.replace("ip netns exec nft-trace ", "");
    const { success, stderr } = again.command("sh", { args: ["-c", script] }).outputSync();
    assert(success, new TextDecoder().decode(stderr));
  }
  assertEquals(json(again), json(netns));
});

Deno.test("get() and delete() of a table that is not there say which", () => {
  using netns = NetNs.create();
  const table = { family: "inet", name: "none" } as const;
  for (const call of [() => netns.nftables.get(table), () => netns.nftables.delete(table)]) {
    const error = assertThrows(call, NetlinkError);
    assertInstanceOf(error, NetlinkError);
    assertEquals(error.code, "ENOENT");
    assert(error.message.includes('table inet "none"'), error.message);
  }
});
