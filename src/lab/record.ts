/**
 * The record of a lab with a name: all that a later command needs to change or remove the lab, also after
 * a `kill -9`. Lines of JSON behind their checksums, below /run, which a restart empties like the kernel's
 * tables. A line is written before the act that it describes. Whoever changes the lab holds a lock on the
 * record (flock(2)).
 *
 * @module
 */
import { ARCH, C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import {
  type Fd,
  identify,
  lockHolder,
  open,
  processId,
  readDirectory,
  readText,
  removeFile,
  tryLock,
  write,
} from "../../ffi/file.ts";
import { show } from "../options.ts";
import { exclusively, newGroup } from "../scope/record.ts";
import type { ResolvedTopology } from "./resolved.ts";
import type { TakenLink } from "./steps.ts";
import { LabError } from "./transaction.ts";

/** The directory of the records, beside those of scopes. */
export const LABS = "/run/netloom";
const SUFFIX = ".lab";
/** The version of the lines. */
const VERSION = 1;

/** A line of a record. */
type Line =
  /** The first line. */
  | { readonly netloom: number; readonly lab: string; readonly group: number; readonly pid: number }
  /** A command is about to bring the lab to this topology. */
  | { readonly target: ResolvedTopology; readonly pid: number }
  /** A namespace is about to get its name, or links of the lab. */
  | { readonly netns: string; readonly cookie: string }
  /** A setting is about to be written for the first time. */
  | { readonly setting: string; readonly node: string; readonly before: string }
  /** A link of the machine is about to move into a node. */
  | { readonly taken: TakenLink }
  /** A link of the machine is home again, by its name there. */
  | { readonly returned: string }
  /** Removals are about to begin: from here on there is only forward. */
  | { readonly removing: true }
  /** The lab is as `target` has it. */
  | { readonly reached: true }
  /** The lab is as before `target`. */
  | { readonly undone: true }
  /** The line before this one was torn. */
  | { readonly torn: true };

/** The state of a lab as its record has it. */
export interface RecordState {
  /** The group of its links. */
  readonly group: number;
  /** The topology that it has; absent before the first `up` has ended. */
  settled: ResolvedTopology | undefined;
  /** The topology that an interrupted command was about to reach, and whether it had begun to remove. */
  pending: { readonly target: ResolvedTopology; removing: boolean } | undefined;
  /** The cookies of its namespaces, by node. */
  readonly cookies: Map<string, bigint>;
  /** The values of settings before the lab, in the order of their first writes. */
  readonly settings: { readonly node: string; readonly name: string; readonly before: string }[];
  /** The links of the machine in its nodes, by their names at home. */
  readonly taken: Map<string, TakenLink>;
}

/** Checks the name of a lab: it becomes that of a file, and the beginning of names of namespaces. */
export function checkLabName(name: string): string {
  if (typeof name === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return name;
  throw new TypeError(
    `The name of a lab has 1 to 64 letters, digits, ".", "_" or "-", and begins with a letter or ` +
      `digit: got ${show(name)}`,
  );
}

/** The names of all records, sorted. */
export function recordNames(): string[] {
  return readDirectory(LABS)
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length))
    .sort();
}

function pathOf(name: string): string {
  return `${LABS}/${name}${SUFFIX}`;
}

/**
 * Reads the record of a lab without locking it.
 *
 * @returns `undefined` when there is none.
 * @throws {LabError} When it is malformed.
 */
export function readRecord(name: string): RecordState | undefined {
  try {
    return parse(pathOf(name), readText(pathOf(name))).state;
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ENOENT) return undefined;
    throw error;
  }
}

/** The process that is changing a lab; `undefined` when nobody is. */
export function changerOf(name: string): number | undefined {
  return lockHolder(pathOf(name));
}

/** The record of a lab that this process changes. */
export class LabRecord implements Disposable {
  /** The name of the lab. */
  readonly name: string;
  /** What it says. */
  readonly state: RecordState;
  readonly #fd: Fd;
  /** Whether the last line was not written to its end: by a killed process, or on a full disk. */
  #torn = false;

  private constructor(name: string, fd: Fd, state: RecordState) {
    this.name = name;
    this.#fd = fd;
    this.state = state;
  }

  /**
   * Locks the record of a lab.
   *
   * @param name The name of the lab.
   * @param options Whether to create one where there is none; otherwise the result is `undefined` then.
   * @throws {LabError} When another process changes the lab, or the record is malformed.
   */
  static open(name: string, options: { readonly create: true }): LabRecord;
  static open(name: string, options?: { readonly create?: boolean }): LabRecord | undefined;
  static open(name: string, { create = false } = {}): LabRecord | undefined {
    checkLabName(name);
    const path = pathOf(name);
    if (create) exclusively(() => {}); // creates the directory
    for (;;) {
      const fd = openFile(path, create);
      if (!fd) return undefined;
      try {
        if (!tryLock(fd, `lock ${path}`)) throw busy(name);
        // Between opening and locking, another command may have removed the lab.
        if (identify(path)?.inode !== identify(`/proc/self/fd/${fd.value}`)?.inode) {
          fd.close();
          continue;
        }
        return LabRecord.#read(name, fd);
      } catch (error) {
        fd.close();
        throw error;
      }
    }
  }

  static #read(name: string, fd: Fd): LabRecord {
    const text = readText(`/proc/self/fd/${fd.value}`);
    const { state, torn } = parse(pathOf(name), text);
    if (state) {
      const record = new LabRecord(name, fd, state);
      record.#torn = torn;
      return record;
    }
    const group = newGroup();
    const fresh = emptyState(group);
    const record = new LabRecord(name, fd, fresh);
    record.#torn = torn;
    record.#append({ netloom: VERSION, lab: name, group, pid: processId() });
    return record;
  }

  /** A command is about to bring the lab to a topology. */
  begin(target: ResolvedTopology): void {
    this.#append({ target, pid: processId() });
    this.state.pending = { target, removing: false };
  }

  /** A namespace is about to get its name, or links of the lab. */
  namespace(node: string, cookie: bigint): void {
    if (this.state.cookies.get(node) === cookie) return;
    this.#append({ netns: node, cookie: `${cookie}` });
    this.state.cookies.set(node, cookie);
  }

  /** A setting is about to be written for the first time. */
  setting(node: string, name: string, before: string): void {
    this.#append({ setting: name, node, before });
    this.state.settings.push({ node, name, before });
  }

  /** A link of the machine is about to move into a node. */
  taken(link: TakenLink): void {
    this.#append({ taken: link });
    this.state.taken.set(link.from, link);
  }

  /** A link of the machine is home again. */
  returned({ from }: TakenLink): void {
    this.#append({ returned: from });
    this.state.taken.delete(from);
  }

  /** Removals are about to begin. */
  removing(): void {
    this.#append({ removing: true });
    this.state.pending!.removing = true;
  }

  /** The topology of {@link LabRecord.begin} is reached. */
  reached(): void {
    this.#append({ reached: true });
    this.state.settled = this.state.pending!.target;
    this.state.pending = undefined;
  }

  /** The lab is as before {@link LabRecord.begin}. */
  undone(): void {
    this.#append({ undone: true });
    this.state.pending = undefined;
  }

  /** Removes the record: the lab is gone. */
  remove(): void {
    removeFile(pathOf(this.name));
  }

  /** Unlocks it. */
  [Symbol.dispose](): void {
    this.#fd.close();
  }

  #append(line: Line): void {
    const text = (this.#torn ? `\n${lineOf({ torn: true })}` : "") + lineOf(line);
    this.#torn = true;
    write(this.#fd, new TextEncoder().encode(text), `write ${pathOf(this.name)}`);
    this.#torn = false;
  }
}

function lineOf(line: Line): string {
  const text = JSON.stringify(line);
  return `${checksum(text)} ${text}\n`;
}

function openFile(path: string, create: boolean): Fd | undefined {
  const flags = ARCH.O_NOFOLLOW | C.O_APPEND | C.O_WRONLY | (create ? C.O_CREAT : 0);
  try {
    return open(path, flags, `open ${path}`, 0o600);
  } catch (error) {
    if (!create && error instanceof SyscallError && error.errno === ERRNO.ENOENT) return undefined;
    throw error;
  }
}

function busy(name: string): LabError {
  const pid = changerOf(name);
  const who = pid === undefined ? "a process of another pid namespace" : `process ${pid}`;
  return new LabError(`Lab ${show(name)} is being changed by ${who}: wait until that has ended`);
}

function emptyState(group: number): RecordState {
  return {
    group,
    settled: undefined,
    pending: undefined,
    cookies: new Map(),
    settings: [],
    taken: new Map(),
  };
}

/** FNV-1a with 32 bits, over UTF-16 units: it finds a line that was not written to its end. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** Reads the lines of a record. `torn`: what follows the last whole line is to be skipped. */
function parse(
  path: string,
  text: string,
): { readonly state: RecordState | undefined; readonly torn: boolean } {
  const rows = text.split("\n");
  const rest = rows.pop()!;
  const lines = rows.map(parseLine);
  const isTorn = (line: Line | undefined) => line !== undefined && "torn" in line;
  let torn = rest !== "";
  let state: RecordState | undefined;
  for (const [i, line] of lines.entries()) {
    if (line === undefined) {
      // Only the last line that a killed process wrote may be unreadable.
      if (i === lines.length - 1) torn = true;
      else if (!isTorn(lines[i + 1])) throw malformed(path, i + 1, "the checksum is wrong");
    } else if (isTorn(line)) continue;
    else if ("netloom" in line) {
      if (line.netloom !== VERSION) {
        throw malformed(path, i + 1, `it has version ${show(line.netloom)}, this is ${VERSION}`);
      }
      state = emptyState(line.group);
    } else if (state) follow(state, line);
    else throw malformed(path, i + 1, "the first line is missing");
  }
  return { state, torn };
}

function parseLine(row: string): Line | undefined {
  const text = row.slice(9);
  return row.slice(0, 8) === checksum(text) ? JSON.parse(text) as Line : undefined;
}

function follow(state: RecordState, line: Line): void {
  if ("target" in line) state.pending = { target: line.target, removing: false };
  else if ("netns" in line) state.cookies.set(line.netns, BigInt(line.cookie));
  else if ("setting" in line) {
    state.settings.push({ node: line.node, name: line.setting, before: line.before });
  } else if ("taken" in line) state.taken.set(line.taken.from, line.taken);
  else if ("returned" in line) state.taken.delete(line.returned);
  else if ("removing" in line) {
    if (state.pending) state.pending.removing = true;
  } else if ("reached" in line) {
    state.settled = state.pending?.target ?? state.settled;
    state.pending = undefined;
  } else if ("undone" in line) state.pending = undefined;
}

function malformed(path: string, line: number, flaw: string): LabError {
  return new LabError(
    `Cannot read ${path}, line ${line}: ${flaw}; look at it, then remove the file`,
  );
}
