/**
 * Classic BPF programs: instructions of the kernel (`linux/filter.h`), and an assembler that resolves labels.
 *
 * @module
 */
import { BPF } from "./constants.ts";
import { show } from "../options.ts";

/** One instruction, `struct sock_filter`. */
export interface Instruction {
  /** The operation, 0..65,535. */
  readonly code: number;
  /** The distance of a conditional jump when its condition holds, 0..255. */
  readonly jt: number;
  /** The distance when the condition does not hold, 0..255. */
  readonly jf: number;
  /** The operand: 0..4,294,967,295. */
  readonly k: number;
}

/** A place in a program. */
export class Label {}

/** An instruction whose jumps lead to labels, or a label at its place. */
export type Line = Label | {
  readonly code: number;
  readonly k: number;
  readonly jt?: Label;
  readonly jf?: Label;
};

/** A jump's distance has 8 bits. */
const FARTHEST = 255;

/**
 * Resolves labels. Jumps lead forward; a far jump leads to an unconditional one.
 *
 * @throws {RangeError} When the program is longer than the kernel allows.
 */
export function assemble(lines: readonly Line[]): Instruction[] {
  const program: Instruction[] = [];
  // From the end to the start: the targets of jumps are then known, as distances from the end.
  const after = new Map<Label, number>();
  for (const line of lines.toReversed()) {
    if (line instanceof Label) {
      after.set(line, program.length);
      continue;
    }
    const { code, k, jt, jf } = line;
    if (!jt || !jf) {
      program.push({ code, jt: 0, jf: 0, k });
      continue;
    }
    const distance = (label: Label) => program.length - after.get(label)!;
    if (jt === jf) {
      if (distance(jt) > 0) program.push({ code: BPF.JMP | BPF.JA, jt: 0, jf: 0, k: distance(jt) });
      continue;
    }
    const detour = (label: Label) => {
      // Another detour may come between this instruction and its target.
      if (distance(label) < FARTHEST) return undefined;
      program.push({ code: BPF.JMP | BPF.JA, jt: 0, jf: 0, k: distance(label) });
      return program.length;
    };
    const [far, away] = [detour(jt), detour(jf)];
    program.push({
      code,
      jt: far === undefined ? distance(jt) : program.length - far,
      jf: away === undefined ? distance(jf) : program.length - away,
      k,
    });
  }
  if (program.length > BPF.MAXINSNS) {
    throw new RangeError(
      `The filter has ${program.length} instructions: the kernel allows ${BPF.MAXINSNS}`,
    );
  }
  return program.reverse();
}

/**
 * Checks a program: numbers in range, jumps inside the program, a return at the end. The kernel checks more.
 *
 * @throws {TypeError} For a malformed instruction.
 * @throws {RangeError} For a program that is empty, too long, or jumps out of itself.
 */
export function checkProgram(program: readonly Instruction[]): void {
  if (program.length < 1 || program.length > BPF.MAXINSNS) {
    throw new RangeError(
      `A filter must have 1..${BPF.MAXINSNS} instructions: got ${program.length}`,
    );
  }
  program.forEach((instruction, at) => {
    const { code, jt, jf, k } = instruction ?? {};
    const good = within(code, 0xffff) && within(jt, 0xff) && within(jf, 0xff) &&
      within(k, 0xffff_ffff);
    if (!good) {
      throw new TypeError(
        `Instruction ${at} must be { code, jt, jf, k }: got ${show(instruction)}`,
      );
    }
    if ((code! & 7) !== BPF.JMP) return;
    const farthest = at + 1 + ((code! & 0xf0) === BPF.JA ? k! : Math.max(jt!, jf!));
    if (farthest < program.length) return;
    throw new RangeError(
      `Instruction ${at} jumps to ${farthest}: the filter has ${program.length} instructions`,
    );
  });
  if ((program.at(-1)!.code & 7) !== BPF.RET) {
    throw new RangeError("A filter must end with a return instruction");
  }
}

/** The program as an array of `struct sock_filter`. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(program.length * 8));
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, jt, jf, k }, i) => {
    view.setUint16(8 * i, code, true);
    bytes[8 * i + 2] = jt;
    bytes[8 * i + 3] = jf;
    view.setUint32(8 * i + 4, k, true);
  });
  return bytes;
}

/**
 * Reads a program that `tcpdump -ddd` printed: the number of instructions, and a line with four decimal numbers
 * for each.
 *
 * @param text The output of tcpdump.
 * @returns The instructions.
 * @throws {TypeError} For a malformed line, or another number of lines.
 * @throws {RangeError} For a program that jumps out of itself or has no end.
 *
 * @example A program of tcpdump
 * ```ts
 * import { parseProgram } from "@netloom/netloom/capture";
 * import { assertEquals } from "@std/assert";
 *
 * // tcpdump -y EN10MB -ddd arp
 * const program = parseProgram("4\n40 0 0 12\n21 0 1 2054\n6 0 0 262144\n6 0 0 0\n");
 * assertEquals(program[1], { code: 21, jt: 0, jf: 1, k: 0x0806 });
 * ```
 */
export function parseProgram(text: string): Instruction[] {
  const [count, ...lines] = text.trim().split("\n");
  const program = lines.map((line): Instruction => {
    const numbers = /^(\d+) (\d+) (\d+) (\d+)$/.exec(line.trim())?.slice(1).map(Number);
    if (!numbers) {
      throw new TypeError(`A line of tcpdump -ddd must have four numbers: got ${show(line)}`);
    }
    const [code, jt, jf, k] = numbers as [number, number, number, number];
    return { code, jt, jf, k };
  });
  if (Number(count) !== program.length) {
    throw new TypeError(
      `The first line must be the number of lines behind it, ${program.length}: got ${show(count)}`,
    );
  }
  checkProgram(program);
  return program;
}

function within(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}
