/**
 * The classes of a link's queueing disciplines.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import {
  addAll,
  convert,
  deleteAll,
  flushAll,
  type Inspect,
  inspectList,
  type Many,
  replaceAll,
  setOne,
  type Undo,
} from "../netlink/collection.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import type { Request } from "../netlink/message.ts";
import { checkNoArguments, show } from "../options.ts";
import { describeLink, type NamedLink, titleOf } from "../rtnetlink/link_target.ts";
import {
  type ClassInfo,
  classMessage,
  type ClassOptions,
  deleteClass,
  dumpClasses,
  getClass,
  newClass,
} from "../rtnetlink/qdisc_class.ts";
import {
  type Handle,
  parseHandle,
  type TcMessage,
  type TcMode,
} from "../rtnetlink/traffic_control.ts";
import { formatHandle } from "../rtnetlink/fields.ts";
import { explainRefusal } from "./supports.ts";

const EXPLAIN = { explain: explainRefusal };

/** Which class: its handle `1:10`, or an entry of `list()`. */
export type ClassTarget = Handle | ClassInfo;

/**
 * The classes of a link's queueing disciplines: `link.classes`. Follows the link's handle when the link moves.
 *
 * @example Two classes that share a rate
 * ```ts
 * import { Link, NetNs } from "@netloom/netloom";
 * import "@netloom/netloom/tc";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const lo = Link.get("lo", { netns });
 * lo.qdiscs.add({ kind: "htb", handle: "1:", options: { default: "20" } });
 * lo.classes.add([
 *   { kind: "htb", classid: "1:1", options: { rate: "100mbit" } },
 *   { kind: "htb", classid: "1:10", parent: "1:1", options: { rate: "80mbit", ceil: "100mbit" } },
 *   { kind: "htb", classid: "1:20", parent: "1:1", options: { rate: "20mbit", ceil: "100mbit" } },
 * ]);
 * assertEquals(lo.classes.get("1:20").parent, "1:1");
 * ```
 */
export class LinkClasses {
  readonly #link: NamedLink;

  /** For links. */
  constructor(link: NamedLink) {
    this.#link = link;
  }

  /** Reads the classes of the link. */
  list(): ClassInfo[] {
    checkNoArguments(arguments, "list");
    return this.#connection.dump(dumpClasses({ index: this.#link.index }));
  }

  /**
   * Reads one class.
   *
   * @param target Its handle.
   * @throws {NetlinkError} ENOENT when there is none.
   */
  get(target: ClassTarget): ClassInfo {
    return this.#connection.request(this.#named(getClass(this.#selector(target)), "get"));
  }

  /**
   * Adds classes, all or none, in this order.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when there is one already, ENOENT without the queueing discipline.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For malformed options; none is added then.
   * @throws {RangeError} For values out of range; none is added then.
   */
  add(entries: Many<ClassOptions | ClassInfo>): void {
    addAll(this.#connection, this.#messages(entries), (it) => this.#new(it, "add"), undo, EXPLAIN);
  }

  /** Adds classes, or changes those that are there. Otherwise as {@link LinkClasses.add}. */
  replace(entries: Many<ClassOptions | ClassInfo>): void {
    const request = (it: TcMessage, replace: boolean) => this.#new(it, replace ? "replace" : "add");
    replaceAll(this.#connection, this.#messages(entries), request, undo, EXPLAIN);
  }

  /**
   * Changes the options of a class. Its packets stay in it. `options` are a whole statement.
   *
   * @param entry Its place, its kind, and the options.
   * @throws {NetlinkError} ENOENT when there is none.
   */
  change(entry: ClassOptions | ClassInfo): void {
    const [message] = this.#messages(entry);
    setOne(this.#connection, message!, (it) => this.#new(it, "change"), explainRefusal);
  }

  /**
   * Deletes classes, and the packets in them.
   *
   * @param targets One or many: a handle, or an entry of `list()`.
   * @throws {NetlinkError} ENOENT when there is none, EBUSY when it has classes below or filters to it.
   */
  delete(targets: Many<ClassTarget>): void {
    const selectors = convert(targets, (target) => this.#selector(target));
    deleteAll(this.#connection, selectors, (it) => this.#named(deleteClass(it), "delete"));
  }

  /** Deletes all classes, those at the bottom first. */
  flush(): void {
    checkNoArguments(arguments, "flush");
    const level = ({ options }: ClassInfo) => "level" in options ? options.level : 0;
    const all = this.list().filter(({ kind }) => kind !== "unknown");
    const order = all.sort((a, b) => level(a) - level(b)).map((it) => this.#selector(it));
    flushAll(this.#connection, order, deleteClass, [ERRNO.ENOENT, ERRNO.ENODEV]);
  }

  get #connection(): Connection {
    return connectionTo(this.#link.ref);
  }

  #selector(target: ClassTarget): { index: number; handle: number } {
    const classid = typeof target === "object" && target !== null ? target.classid : target;
    return { index: this.#link.index, handle: parseHandle(classid, { path: "classid" }) };
  }

  #named<T>(request: Request<T>, verb: string): Request<T> {
    const classid = show(formatHandle((request.message as TcMessage).handle ?? 0));
    return { ...request, operation: `${verb} class ${classid} of ${describeLink(this.#link)}` };
  }

  #messages(entries: Many<ClassOptions | ClassInfo>): TcMessage[] {
    const { index } = this.#link;
    return convert(entries, (entry) => classMessage(entry, index));
  }

  #new(message: TcMessage, mode: TcMode): Request<undefined> {
    return this.#named(newClass(message, mode), mode);
  }

  /** Prints the classes. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    return inspectList(titleOf("classes", this.#link), () => this.list(), inspect, options);
  }
}

/** The last first: one may be below the one before. */
const undo: Undo<TcMessage> = (done) =>
  done.toReversed().map(({ index, handle }) => deleteClass({ index, handle: handle ?? 0 }));
