/**
 * The state of scopes on disk. A record holds all that a later run needs to clear up after a killed one, as
 * lines of JSON below /run, which a restart empties like the kernel's tables. The program that has the
 * scope open holds a lock on its record (flock(2)), which ends with the program however that ends.
 *
 * @module
 */
import { ARCH, C } from "../../ffi/libc.ts";
import { ERRNO, errno, SyscallError } from "../../ffi/errno.ts";
import {
  exists,
  Fd,
  identify,
  lock,
  lockHolder,
  open,
  processId,
  readDirectory,
  readText,
  removeFile,
  setMode,
  tryLock,
  write,
} from "../../ffi/file.ts";
import { isNetNsName } from "../netlink/connections.ts";
import { show } from "../options.ts";
import { undone, withRunDirectory } from "./namespaces.ts";

const DIRECTORY = "/run/netloom";
const SUFFIX = ".jsonl";
/** The version of the lines. */
const VERSION = 1;

/** A scope cannot be opened, does not get ready, or cannot remove what it owns. */
export class ScopeError extends Error {
  /** The class: `ScopeError`. */
  override readonly name = "ScopeError";
}

/** The first byte of the group number of a scope; the others are random. */
const GROUP_MARK = 0x4e;

/** A group number for the links of a scope, by which netloom knows its own. */
export function newGroup(): number {
  return GROUP_MARK << 24 | crypto.getRandomValues(new Uint32Array(1))[0]! & 0xffffff;
}

/** Whether a group is that of a scope. */
export function isScopeGroup(group: number): boolean {
  return Number.isInteger(group) && group >>> 24 === GROUP_MARK && group <= 0x7fffffff;
}

/** A namespace that a scope has given a name. */
interface CreatedLine {
  readonly created: string;
  readonly cookie: string;
}

/** A namespace of others in which a scope creates links. */
interface VisitedLine {
  readonly visited: string;
  readonly cookie: string;
}

/** A link that a program changes, and does not own. */
export interface ChangedLink {
  /** Its index. */
  readonly index: number;
  /** Its kind; absent for loopback and physical links. */
  readonly kind?: string | undefined;
}

/** How to undo a redirect of frames to the program. */
export interface RedirectLine extends ChangedLink {
  /** The link's name. */
  readonly redirected: string;
  /** The cookie of its namespace. */
  readonly cookie: string;
  /** Whether the redirect adds the link's clsact. */
  readonly hook: boolean;
}

/** A link that the kernel impairs, one of those of an impairment. */
export interface ImpairedLine extends ChangedLink {
  /** The link's name. */
  readonly impaired: string;
  /** The cookie of its namespace. */
  readonly cookie: string;
}

/** The first line. */
interface HeaderLine {
  /** The version of the lines. */
  readonly netloom: number;
  readonly group: number;
  /** For messages, and to find the end of a worker in this process: never to tell whether it lives. */
  readonly pid: number;
  readonly thread: number;
  /** When the thread started, in clock ticks since the machine started. */
  readonly started: number;
  /** The descriptor that holds the lock. */
  readonly fd: number;
}

/** A line after the first. */
export type RecordLine = CreatedLine | VisitedLine | RedirectLine | ImpairedLine;

/** What a record says. */
export interface ScopeContent {
  /** The process that has opened the scope. */
  readonly pid: number;
  /** The group of its links. */
  readonly group: number;
  /** Namespaces it has given names. */
  readonly created: { readonly name: string; readonly cookie: bigint }[];
  /** Namespaces of others in which it may have links. */
  readonly visited: { readonly label: string; readonly cookie: bigint }[];
  /** Links whose frames it redirects to its program. */
  readonly redirects: RedirectLine[];
  /** Links that the kernel impairs until the scope ends. */
  readonly impaired: ImpairedLine[];
}

/** The name of a scope's record: that of the scope, or its group. */
export function recordName(name: string | undefined, group: number): string {
  return name ?? `@${group.toString(16)}`;
}

/** The end of the names of records of changed links: a look at the names shows whether there are any. */
const LINK = "-link";

/** The name of the record of a redirect or an impairment. */
export function linkRecordName(group: number): string {
  return recordName(undefined, group) + LINK;
}

/** Whether a name is that of the record of a redirect or an impairment. */
export function isLinkRecord(name: string): boolean {
  return name.startsWith("@") && name.endsWith(LINK);
}

/** Whether there are records of changed links that this user may read. */
export function hasLinkRecords(): boolean {
  if (!exists(DIRECTORY)) return false;
  try {
    return readDirectory(DIRECTORY).some((file) => file.endsWith(LINK + SUFFIX));
  } catch (error) {
    // Another user's, or no directory: whoever needs a record there says so.
    if (error instanceof SyscallError) return false;
    throw error;
  }
}

/** Checks a scope's name: it becomes a file name. */
export function checkScopeName(name: string): string {
  if (typeof name !== "string" || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new TypeError(
      `A scope name has 1 to 64 letters, digits, ".", "_" or "-": got ${show(name)}`,
    );
  }
  return name;
}

/** Runs a function while no other process opens a scope; it gets the directory of the records. */
export function exclusively<T>(fn: (directory: RecordDirectory) => T): T {
  return withRunDirectory(DIRECTORY, 0o700, () => {
    // All paths below go through the descriptor: another directory cannot take its place meanwhile.
    using checked = open(
      DIRECTORY,
      C.O_RDONLY | ARCH.O_DIRECTORY | ARCH.O_NOFOLLOW,
      `open ${DIRECTORY}`,
    );
    const path = `/proc/self/fd/${checked.value}`;
    setMode(path, 0o700);
    using _lock = lock(path, DIRECTORY);
    return fn(new RecordDirectory(path));
  });
}

/** The records that are there. */
export class RecordDirectory {
  readonly #path: string;

  /** Use {@link exclusively}. */
  constructor(path: string) {
    this.#path = path;
  }

  /** The names of all records, sorted. */
  names(): string[] {
    return readDirectory(this.#path)
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => name.slice(0, -SUFFIX.length))
      .sort();
  }

  /** Creates the record of a scope that has none. */
  create(name: string, group: number): ScopeRecord {
    const [path, file] = [this.#pathOf(name), shownPath(name)];
    const flags = C.O_WRONLY | C.O_CREAT | C.O_EXCL | C.O_APPEND | ARCH.O_NOFOLLOW;
    const fd = open(path, flags, `create ${file}`, 0o600);
    try {
      tryLock(fd, `lock ${file}`);
      const record = new ScopeRecord(name, fd);
      const { thread, started } = threadNow();
      const header: HeaderLine = {
        netloom: VERSION,
        group,
        pid: processId(),
        thread,
        started,
        fd: fd.value,
      };
      record.append(header);
      return record;
    } catch (error) {
      fd.close();
      throw undone(error, () => removeFile(path));
    }
  }

  /** Opens the record of a scope, if there is one. */
  find(name: string): FoundRecord | undefined {
    const path = this.#pathOf(name);
    let fd: Fd;
    try {
      fd = open(path, C.O_RDONLY | ARCH.O_NOFOLLOW, `open ${shownPath(name)}`);
    } catch (error) {
      if (error instanceof SyscallError && error.errno === ERRNO.ENOENT) return undefined;
      throw error;
    }
    try {
      return new FoundRecord(name, fd, path);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  #pathOf(name: string): string {
    return `${this.#path}/${name}${SUFFIX}`;
  }
}

/** The record of a scope that this thread has open. */
export class ScopeRecord {
  readonly #name: string;
  readonly #fd: Fd;

  /** Takes a locked file over. */
  constructor(name: string, fd: Fd) {
    this.#name = name;
    this.#fd = fd;
  }

  /** Adds a line; in one write, so that a kill leaves it whole or out. */
  append(line: RecordLine | HeaderLine): void {
    const bytes = new TextEncoder().encode(JSON.stringify(line) + "\n");
    write(this.#fd, bytes, `write ${shownPath(this.#name)}`);
  }

  /** Removes the record, and unlocks it. */
  remove(): void {
    if (this.#fd.closed) return;
    const path = shownPath(this.#name);
    const own = identify(`/proc/self/fd/${this.#fd.value}`);
    if (!own) throw new SyscallError(`remove ${path}`, { syscall: "statx", errno: errno() });
    // Another's by now, when somebody has removed it meanwhile.
    if (own.links > 0) removeFile(path);
    this.release();
  }

  /** Unlocks the record, which stays. */
  release(): void {
    this.#fd.close();
  }
}

/** A record that was there, held until it is closed. */
export class FoundRecord implements Disposable {
  /** Its name. */
  readonly name: string;
  /** What it says; `undefined` when it was killed before it said anything. */
  readonly content: ScopeContent | undefined;
  /** Whether a program has the scope open. */
  readonly isOpen: boolean;
  /** The process that has; `undefined` for one of another pid namespace. */
  readonly holder: number | undefined;
  readonly #fd: Fd;
  readonly #path: string;

  /** Takes an open file over. Throws {@link ScopeError} when it is malformed. */
  constructor(name: string, fd: Fd, path: string) {
    this.name = name;
    this.#fd = fd;
    this.#path = path;
    const { header, content } = parseRecord(shownPath(name), readText(`/proc/self/fd/${fd.value}`));
    this.content = content;
    this.isOpen = !tryLock(fd, `lock ${shownPath(name)}`);
    this.holder = this.isOpen ? lockHolder(path) : undefined;
    if (header && this.holder === processId() && this.#takeOver(header)) this.isOpen = false;
  }

  /** Removes the record of a scope that no program has open. */
  remove(): void {
    removeFile(this.#path);
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#fd.close();
  }

  /** Deno closes nothing when a worker ends: closes the descriptor that a worker of this process has left. */
  #takeOver({ thread, started, fd }: HeaderLine): boolean {
    if (startOf(`/proc/self/task/${thread}`) === started) return false;
    const [left, own] = [fd, this.#fd.value].map((number) => identify(`/proc/self/fd/${number}`));
    if (!left || left.inode !== own?.inode || left.device !== own.device) return false;
    new Fd(fd).close();
    return tryLock(this.#fd, `lock ${shownPath(this.name)}`);
  }
}

function shownPath(name: string): string {
  return `${DIRECTORY}/${name}${SUFFIX}`;
}

/** This thread's number, and when it started. */
function threadNow(): { thread: number; started: number } {
  const thread = Number.parseInt(readText("/proc/thread-self/stat"));
  return { thread, started: startOf("/proc/thread-self")! };
}

/** When a process or thread started, in clock ticks; `undefined` when there is none or it has ended. */
function startOf(path: string): number | undefined {
  try {
    const stat = readText(`${path}/stat`);
    // The command in parentheses may contain anything; state is field 3, start time 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : Number(fields[19]);
  } catch (error) {
    // Any other error says nothing about it: a living thread must not count as ended.
    const { ENOENT, ESRCH } = ERRNO;
    if (error instanceof SyscallError && [ENOENT, ESRCH].includes(error.errno as never)) {
      return undefined;
    }
    throw error;
  }
}

/** Reads the lines of a record. Throws {@link ScopeError} rather than guess. */
function parseRecord(
  file: string,
  text: string,
): { header: HeaderLine | undefined; content: ScopeContent | undefined } {
  // What follows the last line break was being written when the program was killed.
  const lines = text.split("\n").slice(0, -1);
  if (lines.length === 0) return { header: undefined, content: undefined };
  const parsed = lines.map((line, i) => parseLine(line, `${file}, line ${i + 1}`));
  const header = checkHeader(parsed[0]!, `${file}, line 1`);
  const content: ScopeContent = {
    pid: header.pid,
    group: header.group,
    created: [],
    visited: [],
    redirects: [],
    impaired: [],
  };
  for (const [i, line] of parsed.entries()) {
    if (i === 0) continue;
    const place = `${file}, line ${i + 1}`;
    const { created, visited, cookie } = line;
    if (typeof cookie !== "string" || !/^[1-9]\d{0,19}$/.test(cookie)) {
      throw malformed(place, `cookie is ${show(cookie)}, not a number as text`);
    }
    if (typeof created === "string") {
      if (!isNetNsName(created)) throw malformed(place, `${show(created)} is no name of a netns`);
      content.created.push({ name: created, cookie: BigInt(cookie) });
    } else if (typeof visited === "string") {
      content.visited.push({ label: visited, cookie: BigInt(cookie) });
    } else {
      const { redirected, impaired } = line;
      const good = isChangedLink(line) && typeof (redirected ?? impaired) === "string" &&
        (redirected === undefined || typeof line.hook === "boolean");
      if (!good) {
        throw malformed(place, "it has none of created, visited, redirected and impaired");
      }
      if (redirected === undefined) content.impaired.push(line as unknown as ImpairedLine);
      else content.redirects.push(line as unknown as RedirectLine);
    }
  }
  return { header, content };
}

function parseLine(line: string, place: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw malformed(place, "it is not JSON");
  }
  if (typeof value !== "object" || value === null) throw malformed(place, "it is no object");
  return value as Record<string, unknown>;
}

function isChangedLink({ index, kind }: Readonly<Record<string, unknown>>): boolean {
  return Number.isSafeInteger(index) && (kind === undefined || typeof kind === "string");
}

function checkHeader(line: Record<string, unknown>, place: string): HeaderLine {
  if (line.netloom !== VERSION) {
    const found = line.netloom === undefined ? "no version" : `version ${show(line.netloom)}`;
    throw malformed(place, `it has ${found}, this is version ${VERSION}`);
  }
  const group = numberOf(line, "group", place);
  if (!isScopeGroup(group)) throw malformed(place, `group ${group} is not that of a scope`);
  return {
    netloom: VERSION,
    group,
    pid: numberOf(line, "pid", place),
    thread: numberOf(line, "thread", place),
    started: numberOf(line, "started", place),
    fd: numberOf(line, "fd", place),
  };
}

function numberOf(line: Record<string, unknown>, key: string, place: string): number {
  const value = line[key];
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw malformed(place, `${key} is ${show(value)}, not a number`);
  }
  return value as number;
}

function malformed(place: string, flaw: string): ScopeError {
  return new ScopeError(`Cannot read ${place}: ${flaw}; look at it, then remove the file`);
}
