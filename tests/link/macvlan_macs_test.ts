import { assert, assertEquals } from "@std/assert";
import { Macvlan, NetlinkError } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { Testbed } from "../rtnetlink/testbed.ts";
import { caught, commandOf, kernelTest, shown } from "./oracle.ts";

const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";
const C = "02:00:00:00:00:0c";

function make(bed: Testbed, macs: string[]): Macvlan {
  return Macvlan.create({
    name: "t0",
    netns: { ref: bed.netns },
    parent: "v0",
    mode: "source",
    macs,
  });
}

/** The list as `ip` shows it. */
function listed(bed: Testbed): string[] {
  const { macaddr_data = [] } = shown(bed.netns).data as { macaddr_data?: string[] };
  return macaddr_data.sort();
}

const STEPS: [name: string, step: (link: Macvlan) => unknown, words: string, left: string[]][] = [
  ["add()", (link) => link.macs.add(C), `macaddr add ${C}`, [A, B, C]],
  [
    "replace() of one that is there",
    (link) => link.macs.replace("02-00-00-00-00-0A"),
    `macaddr add ${A}`,
    [A, B],
  ],
  ["delete()", (link) => link.macs.delete(A), `macaddr del ${A}`, [B]],
  ["flush()", (link) => link.macs.flush(), "macaddr flush", []],
];

for (const [name, step, words, left] of STEPS) {
  kernelTest("macvlan", `Macvlan.macs.${name} does what ip does`, () => {
    using ours = new Testbed();
    const link = make(ours, [A, B]);
    const command = commandOf(() => step(link));
    assertEquals(listed(ours), left);
    assertEquals(link.macs.list(), left);
    assertEquals(link.options().mode, "source");
    for (const line of [`ip link set dev t0 type macvlan ${words}`, command]) {
      link.set({ mode: "source", macs: [A, B] });
      run(ours.netns, line);
      assertEquals(listed(ours), left, line);
    }
  });
}

kernelTest("macvlan", "Macvlan.macs adds and deletes many, all or none", () => {
  using bed = new Testbed();
  const { macs } = make(bed, [A]);
  const code = (call: () => unknown) => {
    const error = caught(call);
    assert(error instanceof NetlinkError, `${error}`);
    return [error.code, macs.list()];
  };
  assertEquals(code(() => macs.add([B, A.toUpperCase()])), ["EEXIST", [A]]);
  assertEquals(code(() => macs.add([B, B])), ["EEXIST", [A]]);
  assertEquals(code(() => macs.delete([A, C])), ["ENOENT", [A]]);
  macs.add([B, C]);
  macs.replace([A, B]);
  macs.delete([A.toUpperCase(), C]);
  assertEquals(macs.list(), [B]);
});

kernelTest("macvlan", "Macvlan.macs refuses what is no sender, and changes nothing then", () => {
  using bed = new Testbed();
  const { macs } = make(bed, [A]);
  const refusals: [() => unknown, string, string][] = [
    [() => macs.add("01:00:5e:00:00:01"), "RangeError", "mac must be a unicast address"],
    [() => macs.delete("00:00:00:00:00:00"), "RangeError", "mac must be a unicast address"],
    [() => macs.add("abc"), "TypeError", 'mac: "abc" is not an Ethernet address'],
    [() => macs.add([B, "abc"]), "TypeError", 'entries[1]: mac: "abc" is not an Ethernet address'],
    [
      () => macs.replace([B, "ff:ff:ff:ff:ff:ff"]),
      "RangeError",
      "entries[1]: mac must be a unicast address",
    ],
  ];
  for (const [step, name, message] of refusals) {
    const error = caught(step);
    assertEquals([error.name, error.message.slice(0, message.length)], [name, message]);
    assertEquals(macs.list(), [A]);
  }
});

kernelTest("macvlan", "Macvlan.macs is refused in other modes", () => {
  using bed = new Testbed();
  const link = make(bed, []);
  link.set({ mode: "bridge" });
  for (
    const step of [
      () => link.macs.add(A),
      () => link.macs.delete(A),
      () => link.macs.replace([A]),
      () => link.macs.flush(),
    ]
  ) {
    const error = caught(step);
    assert(error instanceof NetlinkError && error.code === "EINVAL", `${error}`);
  }
  assertEquals([link.macs.list(), link.options().mode], [[], "bridge"]);
});

kernelTest("macvlan", "A list of thousands of senders comes back whole", () => {
  using bed = new Testbed();
  const all = Array.from(
    { length: 4000 },
    (_, i) => `02:00:00:00:${hex(i >> 8)}:${hex(i & 0xff)}`,
  );
  const link = make(bed, all);
  assertEquals(link.macs.list(), all);
  assertEquals(ip(bed.netns, "-d -j link show dev t0").length, 1);
});

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
