// The options of ipvlan and ipvtap: how iproute2 sets and shows them, and what is refused.
import type { Case, Refusal } from "./oracle.ts";

const FLAGS = ["bridge", "private", "vepa"] as const;
const MODES = ["l2", "l3", "l3s"] as const;

/** What `ip` shows of a flag: a key of its own. */
function flagShown(flag: typeof FLAGS[number]): Record<string, boolean> {
  return { [flag]: true };
}

/** Links to make. */
export const MADE: readonly Case[] = [
  {
    name: "nothing said",
    options: {},
    words: "",
    shown: { mode: "l3", bridge: true },
    read: { mode: "l3", flag: "bridge" },
  },
  ...MODES.flatMap((mode) =>
    FLAGS.map((flag) => ({
      name: `mode ${mode}, flag ${flag}`,
      options: { mode, flag },
      words: `mode ${mode} ${flag}`,
      shown: { mode, ...flagShown(flag) },
    }))
  ),
];

/** Changes of living links. */
export const CHANGED: readonly Case[] = [
  ...MODES.map((mode) => ({
    name: `mode ${mode}`,
    before: { mode: mode === "l2" ? "l3" : "l2", flag: "private" },
    options: { mode },
    // iproute2 sends a flag always: without a word the one of bridge.
    words: `mode ${mode} private`,
    shown: { mode, private: true },
  })),
  ...FLAGS.map((flag) => ({
    name: `flag ${flag}`,
    before: { mode: "l2", flag: flag === "bridge" ? "vepa" : "bridge" },
    options: { flag },
    words: flag,
    shown: { mode: "l2", ...flagShown(flag) },
  })),
];

/** What is refused at any time. */
export const REFUSED: readonly Refusal[] = [
  [{ mode: "l4" }, "TypeError", 'mode must be one of "l2", "l3", "l3s": got "l4"'],
  [{ mode: null }, "TypeError", "mode must be one of"],
  [{ mode: 3 }, "RangeError", "mode must be in 0..2: got 3"],
  [{ flag: "both" }, "TypeError", 'flag must be one of "bridge", "private", "vepa"'],
  [{ flag: 3 }, "RangeError", "flag must be in 0..2"],
  [{ flag: true }, "TypeError", "flag must be one of"],
  [{ mac: "02:00:00:00:00:0a" }, "TypeError", "mac of an ipv"],
  [{ private: true }, "TypeError", 'Unknown option "private"'],
];
