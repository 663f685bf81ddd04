import { assert, assertEquals, assertObjectMatch, assertThrows } from "@std/assert";
import { BatchError, Fd, NetlinkError, trace } from "../../mod.ts";
import "../../src/traffic/mod.ts";
import { source } from "../../src/netlink/bytes.ts";
import { filterMessage, newFilter, readFilter } from "../../src/rtnetlink/filter.ts";
import type { FilterInfo, FilterOptions } from "../../src/traffic/mod.ts";
import { bodyOf, fromHex, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { CAPTURED } from "./captured.ts";
import { FILTER_CASES } from "./cases.ts";
import { FLOWER_CASES } from "./flower_cases.ts";
import { kernelTest, kindsOf, lacksOf, Pair, tc, tcOrText } from "./oracle.ts";

function read(body: string): FilterInfo {
  const bytes = fromHex(body);
  return readFilter(source(bytes), 0, bytes.length);
}

for (const { entry, words, info } of [...FILTER_CASES, ...FLOWER_CASES]) {
  Deno.test(`The message is that of: ${words}`, () => {
    assert(CAPTURED[words] !== undefined, "not captured");
    const ours = read(bodyOf(newFilter(filterMessage(entry, 10))));
    assertEquals(ours, read(CAPTURED[words]));
    assertObjectMatch(ours as unknown as Json, info as Json);
  });
}

/** The number of an action is another one each time, and its age appears after a tick. */
const plain = (value: unknown) =>
  JSON.stringify(value).replace(/"(index|bytes|packets|installed|last_used)":\d+,?/g, "");

for (const { entry, words, info } of [...FILTER_CASES, ...FLOWER_CASES]) {
  const lacks = lacksOf({ qdisc: "clsact" }, { qdisc: "htb" }, ...kindsOf(entry));
  test(`It is the same in the kernel, set here and by: ${words}`, { lacks }, () => {
    using pair = new Pair();
    const { link, netns } = pair;
    link.qdiscs.add([{ kind: "clsact" }, { kind: "htb", handle: "1:" }]);
    const look = () =>
      plain([
        link.filters.list(),
        ...["egress", "ingress", "parent 1:"].map((at) =>
          tcOrText(netns.ref, `filter show dev v0 ${at}`)
        ),
      ]);
    const lines: string[] = [];
    {
      using _trace = trace(({ command }) => lines.push(command));
      link.filters.add(entry);
    }
    const [read] = link.filters.list();
    assertObjectMatch(read as unknown as Json, info as Json);
    const ours = look();
    for (const line of [words.replaceAll(/(?<=\d)_(?=\d)/g, " "), lines[0]!]) {
      link.filters.flush();
      assertEquals(link.filters.list(), []);
      const quoted = line.replace(/bytecode (4,[\d ,]+\d) /, "bytecode '$1' ");
      const shell = quoted.replaceAll("if10", "v0").replaceAll("if11", "v1");
      run(netns.ref, shell);
      assertEquals(look(), ours, line);
    }
    link.filters.flush();
    link.filters.add(read!); // what list() gave
    assertEquals(look(), ours);
    link.filters.delete(link.filters.list());
    assertEquals(link.filters.list(), []);
  });
}

kernelTest("clsact", "add() adds all or none, and leaves the filters that were there", () => {
  using pair = new Pair();
  const { link } = pair;
  link.qdiscs.add({ kind: "clsact" });
  const one: FilterOptions = { kind: "u32", parent: "egress", priority: 1 };
  link.filters.add(one);
  const before = link.filters.list();
  const error = assertThrows(
    () => link.filters.add([one, { ...one, parent: "9:" }, { ...one, priority: 2 }]),
    BatchError,
  );
  assertEquals([error.index, error.refused, error.total], [1, 1, 3]);
  assertEquals(link.filters.list(), before);
});

kernelTest("clsact", "No filter that is deleted leaves its priority to one protocol", () => {
  using pair = new Pair();
  const { link, netns } = pair;
  link.qdiscs.add({ kind: "clsact" });
  const one: FilterOptions = { kind: "u32", parent: "egress", priority: 1, protocol: "ip" };
  const other: FilterOptions = { ...one, protocol: "ipv6" };
  const remove: Record<string, () => void> = {
    delete: () => link.filters.delete(link.filters.list()),
    flush: () => link.filters.flush(),
    undo: () => assertThrows(() => link.filters.add([one, { ...one, parent: "9:" }]), BatchError),
  };
  for (const [what, fn] of Object.entries(remove)) {
    if (what !== "undo") link.filters.add([one, one]);
    fn();
    assertEquals(tc(netns.ref, "filter show dev v0 egress"), [], what);
    link.filters.add(other);
    link.filters.flush({ parent: "egress" });
  }
  link.filters.add([one, one]);
  link.filters.delete(link.filters.list()[0]!);
  assertEquals(link.filters.list().length, 1);
});

kernelTest("clsact", "delete() of many says how many are refused, and deletes the others", () => {
  using pair = new Pair();
  const { link, netns } = pair;
  link.qdiscs.add({ kind: "clsact" });
  const one: FilterOptions = { kind: "u32", parent: "egress", priority: 1, protocol: "ip" };
  link.filters.add([one, { ...one, priority: 2 }, { ...one, priority: 3, protocol: "ipv6" }]);
  const [first, second, third] = link.filters.list();
  link.filters.delete(second!);
  const error = assertThrows(() => link.filters.delete([first!, second!, third!]), BatchError);
  assertEquals([error.code, error.index, error.refused, error.total], ["ENOENT", 1, 1, 3]);
  assert(error.message.endsWith("; 1 of 3 were refused, the others are deleted"), error.message);
  assertEquals(tc(netns.ref, "filter show dev v0 egress"), []);
  link.filters.add({ ...one, priority: 1, protocol: "arp" });
  assertEquals(assertThrows(() => link.filters.delete(third!), NetlinkError).code, "ENOENT");
});

/** Loads the eBPF program `return 1` for filters. */
function loadProgram(): Fd {
  const pointerTo = (bytes: Uint8Array<ArrayBuffer>) =>
    Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
  const program = new Uint8Array([0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
  const license = new TextEncoder().encode("GPL\0");
  const attr = new DataView(new ArrayBuffer(128)); // union bpf_attr of BPF_PROG_LOAD
  attr.setUint32(0, 3, true); // BPF_PROG_TYPE_SCHED_CLS
  attr.setUint32(4, program.length / 8, true);
  attr.setBigUint64(8, BigInt(pointerTo(program)), true);
  attr.setBigUint64(16, BigInt(pointerTo(license)), true);
  const libc = Deno.dlopen("libc.so.6", {
    syscall: { parameters: ["i64", "i32", "buffer", "u32"], result: "i64" },
  });
  const number = Deno.build.arch === "x86_64" ? 321n : 280n;
  const fd = Number(libc.symbols.syscall(number, 5, new Uint8Array(attr.buffer), 128));
  libc.close();
  assert(fd >= 0, "the kernel does not load the program");
  return new Fd(fd);
}

kernelTest("clsact", "A bpf filter has an eBPF program by its descriptor", () => {
  using program = loadProgram();
  using pair = new Pair();
  const { link, netns } = pair;
  link.qdiscs.add({ kind: "clsact" });
  const options = { fd: program.value, name: "one", classid: "1:1" };
  link.filters.add({ kind: "bpf", parent: "egress", priority: 1, options });
  const [info] = link.filters.list();
  assert(info?.kind === "bpf");
  const { id, tag, ...rest } = info.options;
  assertEquals(rest, { name: "one", classid: "1:1" });
  const shown = tc(netns.ref, "filter show dev v0 egress").at(-1)!.options as Json;
  assertEquals(shown.bpf_name, "one");
  assertObjectMatch(shown.prog as Json, { id: id!, tag: tag! });
  const again = () => link.filters.add(info);
  assertThrows(again, TypeError, "options must have one of program and fd");
});

/** Options of flower that are refused; the protocol of the filter is `ip`, or the one at the end. */
const FLOWER_ERRORS: readonly [object, typeof TypeError | typeof RangeError, string, string?][] = [
  [{ dstPrt: 80 }, TypeError, 'Unknown option "options.dstPrt": did you mean "options.dstPort"?'],
  [{ dstPort: 80 }, TypeError, 'options.dstPort needs ipProto "tcp", "udp" or "sctp"'],
  [{ ipProto: "tcp" }, TypeError, 'options.ipProto needs the protocol "ip" or "ipv6"', "all"],
  [
    { vlanId: 5, ipProto: "tcp" },
    TypeError,
    'options.ipProto needs the protocol "ip" or "ipv6"',
    "802.1Q",
  ],
  [{ vlanId: 5 }, TypeError, 'options.vlanId needs the protocol "802.1Q" or "802.1ad"'],
  [{ cvlanId: 5, vlanEthtype: "ip" }, TypeError, "options.cvlanId needs vlanEthtype", "802.1Q"],
  [{ vlanId: 4096 }, RangeError, "options.vlanId must be in 0..4095: got 4096", "802.1Q"],
  [{ ipProto: "tpc" }, TypeError, 'options.ipProto must be one of "tcp", "udp"'],
  [{ ipProto: "tcp", icmpType: 8 }, TypeError, 'options.icmpType needs ipProto "icmp"'],
  [{ ipProto: "udp", tcpFlags: 2 }, TypeError, 'options.tcpFlags needs ipProto "tcp"'],
  [
    { ipProto: "tcp", tcpFlags: { value: 2, mask: 0x1000 } },
    RangeError,
    "options.tcpFlags.mask must be in 0..4095: got 4096",
  ],
  [
    { ipProto: "tcp", dstPort: { min: 5, max: 70000 } },
    RangeError,
    "options.dstPort.max must be in 0..65535: got 70000",
  ],
  [
    { ipProto: "tcp", dstPort: { min: 5, max: 4 } },
    RangeError,
    "options.dstPort.max must be above min: got 4",
  ],
  [{ ipProto: { value: 6, mask: 7 } }, TypeError, "options.ipProto has no mask"],
  [{ srcIp: "10.0.0.0/33" }, TypeError, "options.srcIp must be an address, also with a prefix"],
  [{ srcIp: "fd00::1" }, TypeError, 'options.srcIp is an address of the protocol "ipv6"'],
  [{ arpSip: "fd00::1" }, TypeError, "options.arpSip must be an IPv4 address", "arp"],
  [{ dstMac: "02:00" }, TypeError, "options.dstMac: "],
  [{ ipFlags: ["fragg"] }, TypeError, 'options.ipFlags must be one of "frag", "firstfrag"'],
  [
    { ctState: "trk" },
    TypeError,
    'options.ctState must be flags such as "+trk+est-new": got "trk"',
  ],
  [{ ctState: "+track" }, TypeError, 'options.ctState must be one of "new", "est"'],
  [{ ctLabel: "12" }, TypeError, "options.ctLabel must have 32 hexadecimal digits"],
  [{ geneveOpts: "1:2" }, TypeError, 'options.geneveOpts must be as in tc, "0102:34:05060708"'],
  [
    { vxlanOpts: "1", gtpOpts: "1:2" },
    TypeError,
    "options must have options of one kind of tunnel",
  ],
  [{ mpls: [{ label: 5 }] }, TypeError, "options.mpls[0].depth", "mpls_uc"],
  [{ mpls: [{ depth: 1 }] }, TypeError, 'options.mpls needs the protocol "mpls_uc"'],
];

Deno.test("A filter that is refused names the option", () => {
  using pair = new Pair();
  const filter = { kind: "u32", parent: "egress", priority: 1 };
  const mirred = { kind: "mirred", action: "mirror", dev: "v1" };
  for (
    const [entry, Class, message] of [
      [{ ...filter, kind: "u33" }, TypeError, 'kind must be one of "bpf", "flower", "fw"'],
      [{ ...filter, kind: "flwer" }, TypeError, 'got "flwer"; did you mean "flower"?'],
      [{ ...filter, classid: "1:1" }, TypeError, 'did you mean "options.classid"? Allowed are'],
      [
        { ...filter, parent: "egres" },
        TypeError,
        'parent must be a handle such as "1:", "1:10", "root", "ingress", "egress": got "egres"',
      ],
      [{ ...filter, priority: 0 }, RangeError, "priority must be in 1..65535: got 0"],
      [{ ...filter, protocol: "ipv5" }, TypeError, 'protocol must be one of "all", "ip"'],
      [
        { ...filter, handle: "800" },
        TypeError,
        'handle must be a number, or text such as "800::5": got "800"',
      ],
      [
        { ...filter, options: { match: [{ offset: 2, value: 0, mask: 0 }] } },
        RangeError,
        "options.match[0].offset must be a multiple of 4: got 2",
      ],
      [
        { ...filter, options: { classid: "x" } },
        TypeError,
        'options.classid must be a handle such as "1:", "1:10": got "x"',
      ],
      [
        { ...filter, options: { actions: [{ ...mirred, action: "copy" }] } },
        TypeError,
        'options.actions[0].action must be one of "redirect", "mirror": got "copy"',
      ],
      [
        { ...filter, options: { actions: [{ ...mirred, dir: "egress" }] } },
        TypeError,
        'Unknown option "options.actions[0].dir"',
      ],
      [
        { ...filter, options: { actions: [{ kind: "gacd" }] } },
        TypeError,
        'options.actions[0].kind must be one of "gact", "mirred"',
      ],
      [{ ...filter, kind: "bpf" }, TypeError, "options must have one of program and fd"],
      ...FLOWER_ERRORS.map(([options, Class, message, protocol = "ip"]) =>
        [{ ...filter, kind: "flower", protocol, options }, Class, message] as const
      ),
    ] as const
  ) {
    assertThrows(() => pair.link.filters.add(entry as unknown as FilterOptions), Class, message);
  }
});
