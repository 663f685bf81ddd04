/**
 * Scopes that programs have left behind: finding and removing their links and names.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { readDirectory } from "../../ffi/file.ts";
import { homeNetNs, inodeOf, type NetNsRef, openNetNs } from "../../ffi/namespace.ts";
import { connectionTo, NETNS_DIRECTORY, netnsPath } from "../netlink/connections.ts";
import { dumpLinks } from "../rtnetlink/link.ts";
import { descriptors, isNamed, mountedAt, processes, removeNameOf, threads } from "./namespaces.ts";
import {
  exclusively,
  type FoundRecord,
  hasLinkRecords,
  isLinkRecord,
  type RecordDirectory,
  type ScopeContent,
  ScopeError,
} from "./record.ts";
import { removeImpairment, removeRedirects } from "./redirects.ts";
import { deleteGroup } from "./removal.ts";

/** A scope that is open, or was left behind; see {@link Scope.list}. */
export interface ScopeInfo {
  /** Its name; `undefined` when it was opened without one. */
  readonly name: string | undefined;
  /** A program has it open; its program has ended without closing it; its record cannot be read. */
  readonly state: "open" | "left" | "unreadable";
  /** The process that has or had it open; `undefined` when it is in another pid namespace. */
  readonly pid: number | undefined;
  /** The group number of its links, as in `ip link show group 0x4e000001`. */
  readonly group: number | undefined;
  /** Names of its namespaces. */
  readonly netns: readonly string[];
  /** Its links in namespaces of others, each with the namespace. */
  readonly links: readonly { readonly name: string; readonly netns: string }[];
  /** Why its record cannot be read, or which namespaces could not be found again. */
  readonly notes: readonly string[];
}

/** Refuses a name whose scope is open; removes the leftovers of a killed program if `replace` is set. */
export function clearLeftovers(
  directory: RecordDirectory,
  name: string,
  replace: boolean,
): readonly string[] {
  using record = directory.find(name);
  if (!record) return [];
  if (record.isOpen) throw isOpen(record, "end that first, or take another name");
  if (!replace && record.content) {
    throw new ScopeError(
      `Scope "${name}" was left behind by process ${record.content.pid}, which is gone: ` +
        `open it with replace: true to remove its leftovers`,
    );
  }
  return removeLeftovers(record);
}

function isOpen({ name, holder }: FoundRecord, remedy: string): ScopeError {
  const who = holder === undefined ? "another pid namespace" : `process ${holder}`;
  return new ScopeError(`Scope "${name}" is open in ${who}: ${remedy}`);
}

/** Lists scopes, the open ones and those left behind; see {@link Scope.list}. */
export function listScopes(): ScopeInfo[] {
  return exclusively((directory) => {
    const found: ScopeInfo[] = [];
    forEachRecord(directory, (name, record) => found.push(infoOf(name, record)));
    return found;
  });
}

/** Removes scopes that were left behind; see {@link Scope.clean}. */
export function cleanScopes(name?: string): ScopeInfo[] {
  return exclusively((directory) => {
    const removed: ScopeInfo[] = [];
    const errors: unknown[] = [];
    forEachRecord(directory, (it, record) => {
      if (name !== undefined && it !== name) return;
      try {
        if (name !== undefined && record instanceof ScopeError) throw record;
        const info = infoOf(it, record);
        if (name !== undefined && info.state === "open") {
          throw isOpen(record as FoundRecord, "close it there");
        }
        if (info.state !== "left") return;
        removeLeftovers(record as FoundRecord);
        removed.push(info);
      } catch (error) {
        errors.push(error);
      }
    });
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, "Several scopes could not be removed");
    return removed;
  });
}

/**
 * Restores the links that killed programs have redirected or impaired: until then the redirected ones drop all frames.
 * A scope does this when it is opened, and so do a redirect and an impairment with a scope.
 *
 * @returns What could not be done, in sentences.
 */
export function restoreLinks(): string[] {
  if (!hasLinkRecords()) return [];
  const notes: string[] = [];
  exclusively((directory) => {
    for (const name of directory.names().filter(isLinkRecord)) {
      try {
        using record = directory.find(name);
        if (record && !record.isOpen) notes.push(...removeLeftovers(record));
      } catch (error) {
        notes.push(error instanceof Error ? error.message : String(error));
      }
    }
  });
  return notes;
}

function forEachRecord(
  directory: RecordDirectory,
  visit: (name: string, record: FoundRecord | ScopeError) => void,
): void {
  for (const name of directory.names()) {
    try {
      using record = directory.find(name);
      if (record) visit(name, record);
    } catch (error) {
      if (!(error instanceof ScopeError)) throw error;
      visit(name, error);
    }
  }
}

function infoOf(record: string, found: FoundRecord | ScopeError): ScopeInfo {
  const name = record.startsWith("@") ? undefined : record;
  if (found instanceof ScopeError) {
    const rest = { pid: undefined, group: undefined, netns: [], links: [] };
    return { name, state: "unreadable", ...rest, notes: [found.message] };
  }
  const { content, isOpen, holder } = found;
  const { created = [], group } = content ?? {};
  const netns = created.filter(({ name, cookie }) => hasName(name, cookie)).map(({ name }) => name);
  using reached = reach(content);
  const links = reached.all.flatMap(({ ref, label }) =>
    connectionTo(ref).dump(dumpLinks({ group: group!, stats: false }))
      .map(({ name }) => ({ name, netns: label }))
  );
  const pid = isOpen ? holder : content?.pid;
  const { redirects = [], impaired = [] } = (isOpen ? undefined : content) ?? {};
  const notes = [
    ...reached.notes,
    ...redirects.map((it) =>
      `link "${it.redirected}" drops the frames that it gave to its program`
    ),
    ...impaired.map((it) => `link "${it.impaired}" is impaired`),
  ];
  return { name, state: isOpen ? "open" : "left", pid, group, netns, links, notes };
}

/** Removes the links and names of a record, and the record; returns the namespaces that were not found. */
function removeLeftovers(record: FoundRecord): readonly string[] {
  const { content } = record;
  using reached = reach(content);
  if (content) {
    for (const { ref } of reached.all) {
      for (const it of content.redirects) {
        if (it.cookie !== `${ref.cookie}`) continue;
        removeRedirects(connectionTo(ref), it, { hook: it.hook });
      }
      for (const it of content.impaired) {
        if (it.cookie === `${ref.cookie}`) removeImpairment(connectionTo(ref), it);
      }
      deleteGroup(connectionTo(ref), content.group);
    }
    for (const { name, cookie } of content.created) removeNameOf(cookie, name);
  }
  record.remove();
  return reached.notes;
}

function hasName(name: string, cookie: bigint): boolean {
  if (!isNamed(name)) return false;
  using ref = openNetNs(netnsPath(name), `netns "${name}"`);
  return ref.cookie === cookie;
}

/** Namespaces that were found again. */
interface Reached extends Disposable {
  readonly all: readonly { readonly ref: NetNsRef; readonly label: string }[];
  /** Those that were not. */
  readonly notes: readonly string[];
}

/** Finds the namespaces again in which a scope may have links. */
function reach(content: ScopeContent | undefined): Reached {
  const wanted = new Map(content?.visited.map(({ cookie, label }) => [cookie, label]));
  const all: { ref: NetNsRef; label: string }[] = [];
  const take = (ref: NetNsRef) => {
    const label = wanted.get(ref.cookie);
    if (label === undefined) return false;
    wanted.delete(ref.cookie);
    all.push({ ref, label });
    return true;
  };
  if (wanted.size > 0) take(homeNetNs());
  const seen = new Set<number>();
  for (const path of paths()) {
    if (wanted.size === 0) break;
    const inode = inodeOf(path);
    if (inode === undefined || seen.has(inode)) continue;
    seen.add(inode);
    const ref = tryOpen(path);
    if (ref && !take(ref)) ref.close();
  }
  return {
    all,
    notes: [...wanted.values()].map((label) =>
      `${label} was not found: it is gone, or out of sight`
    ),
    [Symbol.dispose]: () => {
      for (const { ref } of all) if (ref !== homeNetNs()) ref.close();
    },
  };
}

/** Where namespaces may be found: mounts first, then processes, then descriptors of processes. */
function* paths(): Iterable<string> {
  yield* readDirectory(NETNS_DIRECTORY).map((name) => `${NETNS_DIRECTORY}/${name}`);
  yield* mountedAt("self");
  const pids = processes();
  for (const pid of pids) yield* threads(pid);
  for (const pid of pids) yield* descriptors(pid);
}

/** Opens a namespace that may be gone, or another user's. */
function tryOpen(path: string): NetNsRef | undefined {
  let ref: NetNsRef | undefined;
  try {
    ref = openNetNs(path, `netns "${path}"`);
    return ref.cookie ? ref : undefined;
  } catch (error) {
    ref?.close();
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}
