import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { existsSync } from "node:fs";
import { assemble, BPF, checkProgram, Label } from "../../src/capture/filter.ts";
import {
  type Capture,
  compileFilter,
  type Filter,
  type Instruction,
  type Link,
  LINKTYPE,
  NetNs,
  parseProgram,
  SyscallError,
  Tun,
} from "../../mod.ts";
import { test } from "../leaks.ts";
import { Wire } from "../link/wire.ts";
import { specimenOf, SPECIMENS } from "./frames.ts";
import { Pair, rest } from "./pair.ts";

/** Filters, and the same in the words of tcpdump, which does not look behind tags by itself. */
const FILTERS: [filter: Filter, expression: string][] = [
  [{ protocol: "arp" }, "arp"],
  [{ protocol: "ip" }, "ip"],
  [{ protocol: "ip6" }, "ip6"],
  [{ protocol: "icmp" }, "icmp"],
  [{ protocol: "icmp6" }, "icmp6"],
  [{ protocol: "tcp" }, "tcp"],
  [{ protocol: "udp" }, "udp"],
  [{ protocol: "sctp" }, "sctp"],
  [{ ipProtocol: 89 }, "proto 89"],
  [{ etherType: 0x88cc }, "ether proto 0x88cc"],
  [{ host: "10.0.0.1" }, "host 10.0.0.1"],
  [{ srcHost: "10.0.0.1" }, "src host 10.0.0.1"],
  [{ dstHost: "10.0.0.1" }, "dst host 10.0.0.1"],
  [{ host: "fe80::1" }, "host fe80::1"],
  [{ dstHost: "2001:db8:0:1::2" }, "dst host 2001:db8:0:1::2"],
  [{ net: "10.0.0.0/8" }, "net 10.0.0.0/8"],
  [{ srcNet: "192.168.0.0/23" }, "src net 192.168.0.0/23"],
  [{ dstNet: "224.0.0.0/4" }, "dst net 224.0.0.0/4"],
  [{ net: "2001:db8::/33" }, "net 2001:db8::/33"],
  [{ dstNet: "2001:db8:0:1::/64" }, "dst net 2001:db8:0:1::/64"],
  [{ net: "0.0.0.0/0" }, "net 0.0.0.0/0"],
  [{ port: 80 }, "port 80"],
  [{ srcPort: 80 }, "src port 80"],
  [{ dstPort: 53 }, "dst port 53"],
  [{ port: [53, 80] }, "portrange 53-80"],
  [{ dstPort: [8000, 9000] }, "dst portrange 8000-9000"],
  [{ protocol: "tcp", port: 80, not: { host: "10.0.0.9" } }, "tcp port 80 and not host 10.0.0.9"],
  [{ not: { protocol: "ip" } }, "not ip"],
  [{ not: { or: [{ protocol: "ip" }, { protocol: "arp" }] } }, "not (ip or arp)"],
  [
    { or: [{ protocol: "arp" }, { and: [{ protocol: "udp" }, { not: { port: 53 } }] }] },
    "arp or (udp and not port 53)",
  ],
  [{ mac: "02:00:00:00:aa:01" }, "ether host 02:00:00:00:aa:01"],
  [{ dstMac: "02:00:00:00:aa:01" }, "ether dst 02:00:00:00:aa:01"],
  [{ srcMac: "02:00:00:00:00:05" }, "ether src 02:00:00:00:00:05"],
];

/** Filters about tags, which mean the same to tcpdump for every frame. */
const TAG_FILTERS: [filter: Filter, expression: string][] = [
  [{ vlan: true }, "vlan"],
  [{ vlan: 5 }, "vlan 5"],
  [{ vlan: 7 }, "vlan 7"],
  [{ vlan: false }, "not vlan"],
  [{ not: { vlan: 5 } }, "not vlan 5"],
  [{ innerVlan: true }, "vlan and vlan"],
  [{ innerVlan: 5 }, "vlan and vlan 5"],
  [{ innerVlan: 7 }, "vlan and vlan 7"],
  [{ innerVlan: 9 }, "vlan and vlan 9"],
  [{ vlan: 7, innerVlan: 5 }, "vlan 7 and vlan 5"],
  [{ vlan: 5, innerVlan: 5 }, "vlan 5 and vlan 5"],
  [{ innerVlan: false }, "not (vlan and vlan)"],
  [{ vlan: true, innerVlan: false }, "vlan and not vlan"],
];

const NOTHING: Instruction = { code: BPF.RET, jt: 0, jf: 0, k: 0 };

const programs = new Map<string, Promise<Instruction[]>>();

/** The program that tcpdump attaches on a link. */
function tcpdump(netns: NetNs, link: Link, expression: string): Promise<Instruction[]> {
  const key = `${link.kind} ${expression}`;
  let program = programs.get(key);
  if (!program) {
    const args = ["-ddd", "-s", "400", "-i", link.name, expression];
    program = netns.command("tcpdump", { args }).output().then(({ stdout, stderr }) => {
      const decoder = new TextDecoder();
      // What cannot be on a link is refused.
      if (decoder.decode(stderr).includes("expression rejects all packets")) return [NOTHING];
      return parseProgram(decoder.decode(stdout));
    });
    programs.set(key, program);
  }
  return program;
}

/** The two blocks of the smallest buffer would be full after 20 ms, of however few frames. */
const SMALL = { snaplen: 400, bufferSize: 1 << 19, latency: 200 };

/** The names of the specimens that a capture has kept. */
async function kept(capture: Capture): Promise<Set<string>> {
  const frames = await rest(capture);
  assertEquals(capture.statistics().drops, 0);
  return new Set(frames.map((frame) => specimenOf(frame.data)!.name));
}

for (const [side, where] of [["in", "arrives"], ["out", "is sent"]] as const) {
  test(`Filters keep what those of tcpdump keep, of what ${where}`, async () => {
    using pair = await Pair.open();
    const [netns, link] = side === "in" ? [pair.b, pair.peer] : [pair.a, pair.link];
    const open = (filter: Filter | Instruction[]) => link.capture({ ...SMALL, filter });
    const theirs = async (expressions: string[]) =>
      (await Promise.all(expressions.map((it) => tcpdump(netns, link, it)))).map(open);
    const trials = await Promise.all([
      ...FILTERS.map(async ([filter, words]) => ({
        words,
        ours: open(filter),
        theirs: await theirs([words, `vlan and (${words})`, `vlan and vlan and (${words})`]),
      })),
      ...TAG_FILTERS.map(async ([filter, words]) => {
        const [all] = await theirs([words]);
        return { words, ours: open(filter), theirs: [all!, all!, all!] };
      }),
    ]);
    using wire = new Wire(pair.a, pair.link);
    for (const { bytes } of SPECIMENS) wire.send(bytes);
    let most = 0;
    for (const { words, ours, theirs } of trials) {
      const own = await kept(ours);
      const captures = new Map<Capture, Set<string>>();
      for (const capture of theirs) {
        if (!captures.has(capture)) captures.set(capture, await kept(capture));
      }
      const expected = SPECIMENS.filter(({ name, tags }) => captures.get(theirs[tags]!)!.has(name));
      assertEquals([...own], expected.map(({ name }) => name), words);
      assert(own.size < SPECIMENS.length || words === "net 0.0.0.0/0", words);
      if (own.size > 0) most++;
    }
    assert(most > trials.length - 3, `only ${most} of ${trials.length} keep anything`);
  });
}

test("Filters have the same meaning on a TUN, whose packets begin with IP", async () => {
  using netns = NetNs.create();
  const loud = { name: "nl-tun", netns, up: true, addrGenMode: "none" } as const;
  using tun = Tun.create(loud);
  const { link } = tun;
  const packets = SPECIMENS.filter(({ bytes, tags }) => tags === 0 && IP_TYPES.has(typeOf(bytes)))
    .map(({ bytes }) => bytes.slice(14)).filter((bytes) => bytes.length > 1);
  assert(packets.length > 12);
  const open = (filter: Filter | Instruction[]) => link.capture({ ...SMALL, filter });
  const trials = FILTERS.filter(([, words]) => !words.startsWith("ether "));
  const captures = await Promise.all(trials.map(async ([filter, words]) => ({
    words,
    ours: open(filter),
    theirs: open(await tcpdump(netns, link, words)),
  })));
  using none = open({ mac: "02:00:00:00:aa:01" });
  using all = open({ not: { vlan: true } });
  for (const packet of packets) tun.writeSync(packet);
  for (const { words, ours, theirs } of captures) {
    const [own, expected] = [await rest(ours), await rest(theirs)];
    assertEquals(own.map(({ data }) => data), expected.map(({ data }) => data), words);
  }
  const seen = await rest(all);
  assertEquals(seen.map(({ data }) => data), packets);
  assertEquals(seen[0]!.interface.linkType, LINKTYPE.RAW);
  assertEquals(await rest(none), []);
});

const IP_TYPES: ReadonlySet<string> = new Set(["0800", "86dd"]);

/** The EtherType of a frame. */
function typeOf(bytes: Uint8Array): string {
  return bytes.subarray(12, 14).toHex();
}

test("Filters of many conditions jump to far labels", async () => {
  using pair = await Pair.open();
  const hosts = Array.from(
    { length: 30 }, // Linux before 6.7 has 20 kB for a socket's filter
    (_, i): Filter => ({ host: `10.1.${i >> 8}.${i & 255}` }),
  );
  const all = compileFilter({ or: [...hosts, { protocol: "arp" }] });
  assert(all.length > 500);
  const some = pair.peer.capture({ ...SMALL, filter: { or: [...hosts, { protocol: "arp" }] } });
  const none = pair.peer.capture({ ...SMALL, filter: { and: [...hosts, { protocol: "arp" }] } });
  const others = pair.peer.capture({
    ...SMALL,
    filter: { not: { or: [...hosts, { vlan: true }] } },
  });
  const plain = pair.peer.capture({ ...SMALL, filter: { vlan: false } });
  const arp = pair.peer.capture({ ...SMALL, filter: { protocol: "arp" } });
  using wire = new Wire(pair.a, pair.link);
  for (const { bytes } of SPECIMENS) wire.send(bytes);
  assertEquals(await kept(some), await kept(arp));
  assertEquals(await kept(none), new Set());
  // One that is too short to look at is dropped, whatever the condition.
  const expected = [...await kept(plain)].filter((name) => !name.endsWith("short ip"));
  assertEquals([...await kept(others)], expected);
});

test("The error for a filter that needs too much memory names the setting", async () => {
  using pair = await Pair.open();
  const setting = "net.core.optmem_max";
  // Before Linux 6.7 it is 20 kB, and the machine's alone.
  if (pair.b.run(() => existsSync(`/proc/sys/${setting.replaceAll(".", "/")}`))) {
    pair.b.sysctl(setting, 20_480);
  }
  const filter = { and: Array.from({ length: 100 }, (_, i): Filter => ({ host: `10.1.0.${i}` })) };
  const error = assertThrows(() => pair.peer.capture({ ...SMALL, filter }), SyscallError);
  assertEquals(error.code, "ENOMEM");
  assertStringIncludes(error.message, setting);
});

test("compileFilter() refuses a program that is longer than the kernel allows", () => {
  const or = Array.from(
    { length: 1000 },
    (_, i): Filter => ({ host: `10.1.${i >> 8}.${i & 255}` }),
  );
  assertThrows(() => compileFilter({ or }), RangeError, "instructions: the kernel allows 4096");
});

test("Jumps of any distance lead to their labels", () => {
  for (const distance of [0, 1, 253, 254, 255, 256, 257, 1000]) {
    const [far, near] = [new Label(), new Label()];
    const filler = Array.from({ length: distance }, () => ({ code: BPF.LD | BPF.LEN, k: 0 }));
    const program = assemble([
      { code: BPF.JMP | BPF.JEQ, k: 1, jt: far, jf: near },
      near,
      ...filler,
      far,
      { code: BPF.RET, k: 7 },
    ]);
    checkProgram(program);
    const follow = (holds: boolean) => {
      const [first] = program;
      let at = 1 + (holds ? first!.jt : first!.jf);
      while (program[at]!.code === BPF.JMP) at += 1 + program[at]!.k;
      return at;
    };
    assertEquals(follow(true), program.length - 1);
    assertEquals(follow(false), program.length - 1 - distance);
  }
});

const BAD: [filter: unknown, error: typeof TypeError | typeof RangeError, message: string][] = [
  [{ protcol: "tcp" }, TypeError, 'Unknown option "protcol": did you mean "protocol"'],
  [{ and: [{}, { not: { dstprot: 1 } }] }, TypeError, 'Unknown option "and[1].not.dstprot"'],
  [{ protocol: "icmp4" }, TypeError, 'did you mean "icmp"?'],
  [{ innerVlan: 4095 }, RangeError, "innerVlan must be in 0..4094: got 4095"],
  [{ protocol: "ipx" }, TypeError, 'got "ipx"'],
  [{ host: "10.0.0" }, TypeError, '"10.0.0" is not an IP address'],
  [{ host: 7 }, TypeError, "7 is not an IP address"],
  [{ net: "10.0.0.0/33" }, TypeError, '"10.0.0.0/33"'],
  [
    { net: "10.0.0.1/8" },
    TypeError,
    'net has host bits: got "10.0.0.1/8"; did you mean "10.0.0.0/8"?',
  ],
  [{ port: 65536 }, RangeError, "port must be in 0..65535: got 65536"],
  [{ port: "80" }, TypeError, 'port must be an integer: got "80"'],
  [{ srcPort: [9, 1] }, RangeError, "srcPort must go from the lower to the higher port"],
  [{ vlan: 4095 }, RangeError, "vlan must be in 0..4094: got 4095"],
  [{ etherType: -1 }, RangeError, "etherType must be in 0..65535: got -1"],
  [{ mac: "02:00" }, TypeError, '"02:00" is not an Ethernet address'],
  [{ or: [] }, TypeError, "or must be an array of one or more filters: got []"],
  [{ not: "tcp" }, TypeError, 'got "tcp"'],
  [{ and: [{ or: [{ port: NaN }] }] }, TypeError, "and[0].or[0].port must be an integer"],
  ["tcp", TypeError, 'A filter must be an object such as { protocol: "tcp" }'],
  [null, TypeError, "A filter must be an object"],
];

test("compileFilter() refuses bad filters with the wrong value", () => {
  for (const [filter, error, message] of BAD) {
    assertThrows(() => compileFilter(filter as Filter), error, message);
  }
});

test("checkProgram() refuses bad programs with the wrong instruction", () => {
  const good = { code: BPF.RET, jt: 0, jf: 0, k: 1 };
  assertThrows(() => checkProgram([]), RangeError, "1..4096 instructions: got 0");
  assertThrows(() => checkProgram([{ ...good, k: -1 }]), TypeError, "Instruction 0 must be");
  assertThrows(
    () => checkProgram([good, { ...good, jt: 256 }]),
    TypeError,
    "Instruction 1 must be",
  );
  assertThrows(
    () => checkProgram([{ code: BPF.JMP | BPF.JEQ, jt: 0, jf: 1, k: 0 }, good]),
    RangeError,
    "Instruction 0 jumps to 2",
  );
  assertThrows(() => checkProgram([{ code: 0, jt: 0, jf: 0, k: 1 }]), RangeError, "return");
  assertThrows(
    () => parseProgram("2\n6 0 0 1\n"),
    TypeError,
    'number of lines behind it, 1: got "2"',
  );
  assertThrows(() => parseProgram("1\n6 0 0\n"), TypeError, 'four numbers: got "6 0 0"');
});

test("compileFilter() checks its options", () => {
  const of = (options: object) => () => compileFilter({}, options);
  assertThrows(of({ snaplen: 0 }), RangeError, "snaplen must be in 1..524032 bytes: got 0");
  assertThrows(of({ direction: "inn" }), TypeError, 'did you mean "in"?');
  assertThrows(of({ snaplem: 9 }), TypeError, 'Unknown option "snaplem": did you mean "snaplen"');
});

test("A program that the kernel refuses is an EINVAL", async () => {
  using pair = await Pair.open();
  const unknown = [{ code: 0xffff, jt: 0, jf: 0, k: 0 }, { code: BPF.RET, jt: 0, jf: 0, k: 1 }];
  const error = assertThrows(() => pair.link.capture({ filter: unknown }));
  assertEquals((error as { code?: string }).code, "EINVAL");
});
