/**
 * The BPF programs of a redirect, and the mark of frames that it has put back.
 *
 * @module
 */
import { BPF, type Filter, type Instruction, SKF_AD } from "../../capture/filter.ts";
import { programOf } from "../../capture/compile.ts";

/** A direction, as the link sees it. */
export type DirectionName = "out" | "in";

/** What the mark of a frame says: who has put it back. */
export interface Mark {
  /** Where it goes. */
  readonly direction: DirectionName;
  /** Index of the link. */
  readonly index: number;
  /** The redirect's place among those of the link and direction, 1..255. */
  readonly level: number;
}

/** The bits of the mark but for the level. */
const WHOSE = 0xffffff00;

/** The mark as a number: `n`, one bit for the direction, 15 bits of the index, 8 of the level. */
export function markOf({ direction, index, level }: Mark): number {
  return 0x6e << 24 | (direction === "in" ? 1 : 0) << 23 | (index & 0x7fff) << 8 | level;
}

const load = (what: number): Instruction => ({
  code: BPF.LD | BPF.W | BPF.ABS,
  jt: 0,
  jf: 0,
  k: SKF_AD.OFF + what >>> 0,
});
const and = (k: number): Instruction => ({ code: BPF.ALU | BPF.AND | BPF.K, jt: 0, jf: 0, k });
const jump = (test: number, k: number, jt: number, jf: number): Instruction => ({
  code: BPF.JMP | test | BPF.K,
  jt,
  jf,
  k: k >>> 0,
});
const result = (k: number): Instruction => ({ code: BPF.RET | BPF.K, jt: 0, jf: 0, k });

/** The result of a match: the filter's own class. */
const MATCH = 0xffffffff;

/**
 * Matches the frames of a filter that have not passed the redirect yet, nor one behind it.
 *
 * @throws {TypeError} For a malformed filter.
 * @throws {RangeError} For a filter with values out of range, or too long.
 */
export function redirectProgram(
  filter: Filter | readonly Instruction[] | undefined,
  mark: Mark,
): Instruction[] {
  const head = [
    load(SKF_AD.MARK),
    and(WHOSE),
    jump(BPF.JEQ, markOf(mark) & WHOSE, 0, 4),
    load(SKF_AD.MARK),
    and(~WHOSE & 0xff),
    jump(BPF.JGE, mark.level, 0, 1),
    result(0),
  ];
  if (filter === undefined) return [...head, result(MATCH)];
  const program = programOf(filter, { direction: "both" });
  return [...head, ...program.map(matching)];
}

/** Captures say how many bytes of a frame they keep, filters the class that they put it in. */
function matching(instruction: Instruction): Instruction {
  const { code, k } = instruction;
  return code === (BPF.RET | BPF.K) && k > 0 ? { ...instruction, k: MATCH } : instruction;
}

/** Matches frames with a mark. */
export function helperProgram(mark: number): Instruction[] {
  return [load(SKF_AD.MARK), jump(BPF.JEQ, mark, 0, 1), result(MATCH), result(0)];
}
