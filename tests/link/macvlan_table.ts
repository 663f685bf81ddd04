// The options of macvlan and macvtap: how iproute2 sets and shows them, and what is refused.
import type { Case, Refusal } from "./oracle.ts";

const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";

/** Links to make. */
export const MADE: readonly Case[] = [
  {
    name: "nothing said",
    options: {},
    words: "",
    shown: { mode: "vepa", bcqueuelen: 1000, usedbcqueuelen: 1000 },
    read: {
      mode: "vepa",
      nopromisc: false,
      nodst: false,
      macs: [],
      bcQueueLen: 1000,
      bcQueueLenUsed: 1000,
    },
  },
  ...(["bridge", "vepa", "private", "passthru", "source"] as const).map((mode) => ({
    name: `mode ${mode}`,
    options: { mode },
    words: `mode ${mode}`,
    shown: { mode },
  })),
  {
    name: "passthru without promiscuous mode",
    options: { mode: "passthru", nopromisc: true },
    words: "mode passthru flag nopromisc",
    shown: { mode: "passthru", nopromisc: true },
  },
  {
    name: "passthru with promiscuous mode",
    options: { mode: "passthru", nopromisc: false },
    words: "mode passthru flag null",
    shown: { mode: "passthru" },
  },
  {
    name: "source without delivery to the addressee",
    options: { mode: "source", nodst: true },
    words: "mode source flag nodst",
    shown: { mode: "source", nodst: true },
  },
  {
    name: "source with a list, in any spelling and order",
    options: { mode: "source", macs: [B.toUpperCase(), A.replaceAll(":", "-"), "2:0:0:0:0:b"] },
    words: `mode source macaddr set ${B} ${A}`,
    shown: { mode: "source", macaddr_count: 2 },
    read: { macs: [A, B] },
  },
  {
    name: "source with an empty list",
    options: { mode: "source", macs: [] },
    words: "mode source",
    shown: { mode: "source" },
  },
  {
    name: "the whole list of options",
    options: { mode: "source", macs: [A], nodst: true, bcQueueLen: 7 },
    words: `mode source flag nodst bcqueuelen 7 macaddr set ${A}`,
    shown: { mode: "source", nodst: true, bcqueuelen: 7, macaddr_data: [A] },
  },
  ...[0, 1, 0xffffffff].map((bcQueueLen) => ({
    name: `queue of ${bcQueueLen}`,
    options: { mode: "bridge", bcQueueLen },
    words: `mode bridge bcqueuelen ${bcQueueLen}`,
    shown: { bcqueuelen: bcQueueLen, usedbcqueuelen: bcQueueLen },
    read: { bcQueueLen, bcQueueLenUsed: bcQueueLen },
  })),
];

/** Changes of living links. */
export const CHANGED: readonly Case[] = [
  ...(["bridge", "private", "vepa"] as const).map((mode) => ({
    name: `mode ${mode}`,
    before: { mode: mode === "vepa" ? "bridge" : "vepa" },
    options: { mode },
    words: `mode ${mode}`,
    shown: { mode },
  })),
  {
    name: "to source with a list",
    before: { mode: "bridge" },
    options: { mode: "source", macs: [A, B] },
    words: `mode source macaddr set ${A} ${B}`,
    shown: { mode: "source", macaddr_count: 2 },
  },
  {
    name: "another list",
    before: { mode: "source", macs: [A] },
    options: { mode: "source", macs: [B] },
    words: `mode source macaddr set ${B}`,
    shown: { macaddr_data: [B] },
  },
  {
    name: "no list any more",
    before: { mode: "source", macs: [A] },
    options: { mode: "source", macs: [] },
    words: "mode source macaddr flush",
    shown: { mode: "source" },
  },
  {
    name: "from source, which empties the list",
    before: { mode: "source", macs: [A] },
    options: { mode: "bridge" },
    words: "mode bridge",
    shown: { mode: "bridge" },
    read: { mode: "bridge", macs: [] },
  },
  {
    name: "promiscuous mode on",
    before: { mode: "passthru", nopromisc: true },
    options: { mode: "passthru", nopromisc: false },
    words: "mode passthru flag null",
    shown: { mode: "passthru" },
  },
  {
    name: "promiscuous mode off",
    before: { mode: "passthru" },
    options: { mode: "passthru", nopromisc: true },
    words: "mode passthru flag nopromisc",
    shown: { nopromisc: true },
  },
  {
    name: "delivery to the addressee",
    before: { mode: "source", nodst: true },
    options: { mode: "source", nodst: false },
    words: "mode source flag null",
    shown: { mode: "source" },
  },
  {
    name: "a queue's length",
    before: { mode: "bridge", bcQueueLen: 9 },
    options: { bcQueueLen: 11 },
    words: "bcqueuelen 11",
    shown: { mode: "bridge", bcqueuelen: 11, usedbcqueuelen: 11 },
  },
];

/** What is refused at any time. */
export const REFUSED: readonly Refusal[] = [
  [{ mode: "routed" }, "TypeError", 'mode must be one of "private", "vepa", "bridge", "passthru"'],
  [{ mode: null }, "TypeError", "mode must be one of"],
  [{ mode: 3 }, "NetlinkError", "(EINVAL)"],
  [{ mode: "bridge", nopromisc: true }, "TypeError", 'nopromisc needs mode: "passthru"'],
  [{ nopromisc: true }, "TypeError", 'nopromisc needs mode: "passthru"'],
  [{ mode: "passthru", nodst: true }, "TypeError", 'nodst needs mode: "source"'],
  [{ mode: "bridge", macs: [A] }, "TypeError", 'macs needs mode: "source": got "b'],
  [{ mode: "source", nodst: 1 }, "TypeError", "nodst must be a boolean: got 1"],
  [{ mode: "source", macs: A }, "TypeError", "macs must be a list of addresses"],
  [{ mode: "source", macs: [A, "02:00"] }, "TypeError", 'macs[1]: "02:00" is not an Ethernet'],
  [{ mode: "source", macs: [A, 5] }, "TypeError", "macs[1]: 5 is not an Ethernet address"],
  [{ mode: "source", macs: ["01:00:5e:00:00:01"] }, "RangeError", "macs[0] must be a unicast"],
  [{ mode: "source", macs: ["00:00:00:00:00:00"] }, "RangeError", "macs[0] must be a unicast"],
  [{ mode: "source", macs: Array(6000).fill(A) }, "RangeError", "exceeds 65535"],
  [{ bcQueueLen: -1 }, "RangeError", "bcQueueLen must be in 0..4294967295 packets"],
  [{ bcQueueLen: 2 ** 32 }, "RangeError", "bcQueueLen must be in 0..4294967295 packets"],
  [{ bcQueueLen: 1.5 }, "TypeError", "bcQueueLen must be an integer"],
  [
    { bcQueueLenUsed: 5 },
    "TypeError",
    'Unknown option "bcQueueLenUsed": did you mean "bcQueueLen"?',
  ],
  [{ bcCutoff: 2 ** 31 }, "RangeError", "bcCutoff must be in -2147483648..2147483647"],
  [{ bcCutoff: -(2 ** 31) - 1 }, "RangeError", "bcCutoff must be in"],
  [{ colour: "red" }, "TypeError", 'Unknown option "colour"'],
];
