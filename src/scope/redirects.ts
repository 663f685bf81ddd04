/**
 * Redirects of a link's frames to a program: removing the filters that do it. It also works when the program
 * has been killed: its TAPs are gone then, and the filters drop every frame.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { Connection } from "../netlink/connection.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import {
  deleteFilter,
  dumpFilters,
  FILTER_PARENTS,
  type FilterInfo,
  filterSelector,
} from "../rtnetlink/filter.ts";
import { getLink, kindOf } from "../rtnetlink/link.ts";
import { deleteQdisc, dumpQdiscs } from "../rtnetlink/qdisc.ts";
import { parseHandle, QDISC_PARENTS } from "../rtnetlink/traffic_control.ts";
import type { RedirectedLink } from "./record.ts";

/** The major number of the classes that mark filters of netloom: `nl`. */
const MARK = 0x6e6c;

/** Set in the class of a filter when netloom has added the queueing discipline that it is at. */
const HOOK = 0x8000;

/** What netloom notes in a filter of its own, as the number of a class that does not exist. */
export interface RedirectTag {
  /** Which redirect of the link and direction it is, from 1 on: frames pass them in this order. */
  readonly level: number;
  /** Whether netloom has added the link's clsact. */
  readonly hook: boolean;
}

/** The class that a tag is written as. */
export function tagClass({ level, hook }: RedirectTag): string {
  return `${MARK.toString(16)}:${((hook ? HOOK : 0) | level).toString(16)}`;
}

/** The tag of a filter; `undefined` for a filter of somebody else. */
export function tagOf(filter: FilterInfo): RedirectTag | undefined {
  if (filter.kind !== "bpf" || filter.options.classid === undefined) return undefined;
  const classid = parseHandle(filter.options.classid, { path: "classid" });
  if (classid >>> 16 !== MARK) return undefined;
  return { level: classid & ~HOOK & 0xffff, hook: (classid & HOOK) !== 0 };
}

/** The handle of the filter of an impairment that came with its clsact (`src/traffic/impair_kernel.ts`). */
export const IMPAIRMENT_WITH_HOOK = 0x6e6c0001;

/** Whether a filter says that netloom has added the clsact that it is at. */
export function isHookOurs(filter: FilterInfo): boolean {
  return tagOf(filter)?.hook ?? (filter.kind === "bpf" && filter.handle === IMPAIRMENT_WITH_HOOK);
}

/** Queueing discipline and filters at the places of clsact. */
export interface Hooks {
  /** `clsact` or `ingress`; `undefined` when the link has neither. */
  readonly kind: "clsact" | "ingress" | undefined;
  /** The filters, in the order in which frames meet them. */
  readonly filters: readonly FilterInfo[];
}

/** Reads what is at the places of clsact. */
export function readHooks(connection: Connection, index: number): Hooks {
  const hook = connection.dump(dumpQdiscs({ index })).find(({ kind }) =>
    kind === "clsact" || kind === "ingress"
  );
  if (!hook) return { kind: undefined, filters: [] };
  const places = hook.kind === "clsact" ? ["ingress", "egress"] : ["ingress"];
  const filters = places.flatMap((place) =>
    connection.dump(dumpFilters({ index, parent: FILTER_PARENTS[place]! }))
  );
  return { kind: hook.kind as "clsact" | "ingress", filters };
}

/** The link that a filter redirects to: its index, 0 when it is gone. */
function targetOf({ options }: FilterInfo): number | undefined {
  const [action] = "actions" in options ? options.actions ?? [] : [];
  return action?.kind === "mirred" ? action.dev as number : undefined;
}

/** Which filters to remove. */
export interface RemoveOptions {
  /** The TAPs that the filters redirect to. Default: those that are gone. */
  readonly taps?: readonly number[];
  /** The clsact is netloom's, even if no filter says so any more. */
  readonly hook?: boolean;
}

/**
 * Removes filters of netloom from a link, and the clsact that netloom has added when nothing else is in it. A
 * link that is gone, or another one by now, is left alone.
 *
 * @throws {NetlinkError} When the kernel refuses.
 */
export function removeRedirects(
  connection: Connection,
  link: RedirectedLink,
  { taps = [0], hook = false }: RemoveOptions = {},
): void {
  const { index, kind } = link;
  try {
    if (kindOf(connection.request(getLink(index, { stats: false }))) !== kind) return;
    const hooks = readHooks(connection, index);
    const own = hooks.filters.filter((it) => tagOf(it) && taps.includes(targetOf(it)!));
    const empty = hooks.kind === "clsact" && own.length === hooks.filters.length &&
      (hook || own.some((it) => tagOf(it)!.hook));
    // One message that removes all at once, where there is one.
    const requests: Request[] = empty
      ? [deleteQdisc({ index, parent: QDISC_PARENTS.ingress! })]
      : own.map((it) => deleteFilter(filterSelector(it)));
    const results = connection.batch(requests);
    for (const result of results) if (!result.ok) throw result.error;
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== ERRNO.ENODEV) throw error;
  }
}
