/**
 * The queueing disciplines of a link.
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
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { checkNoArguments, checkOptions, hasKey, type OptionNames, show } from "../options.ts";
import { describeLink, type NamedLink, titleOf } from "../rtnetlink/link_target.ts";
import {
  deleteQdisc,
  dumpQdiscs,
  getQdisc,
  newQdisc,
  type QdiscInfo,
  qdiscMessage,
  type QdiscOptions,
  type QdiscSelector,
} from "../rtnetlink/qdisc.ts";
import {
  type Handle,
  parseHandle,
  type TcMessage,
  type TcMode,
} from "../rtnetlink/traffic_control.ts";
import { formatHandle, QDISC_PARENTS } from "../rtnetlink/fields.ts";
import { checkSupport, explainRefusal } from "./supports.ts";

const EXPLAIN = { explain: explainRefusal };

/** A place: `root`, `ingress`, or a class that a queueing discipline sits on. */
export interface QdiscParent {
  /** `root`, `ingress`, or a class: `1:10`. */
  readonly parent: Handle;
}

/** Which queueing discipline: `root`, `ingress`, its handle `1:`, its place, or an entry of `list()`. */
export type QdiscTarget = Handle | QdiscParent | QdiscInfo;

const PLACE: OptionNames<QdiscParent> = { parent: true };

/**
 * The queueing disciplines of a link: `link.qdiscs`. Follows the link's handle when the link moves.
 *
 * @example A rate limit
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import "@netloom/netloom/tc";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const link = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
 * link.qdiscs.add({
 *   kind: "tbf",
 *   handle: "1:",
 *   options: { rate: "10mbit", burst: "32kb", latency: "50ms" },
 * });
 * const tbf = link.qdiscs.get("root");
 * assertEquals([tbf.kind, tbf.handle, tbf.stats.drops], ["tbf", "1:", 0]);
 * link.qdiscs.flush();
 * ```
 */
export class LinkQdiscs {
  readonly #link: NamedLink;

  /** For links. */
  constructor(link: NamedLink) {
    this.#link = link;
  }

  /** Reads the queueing disciplines of the link, with those that the kernel creates by default. */
  list(): QdiscInfo[] {
    checkNoArguments(arguments, "list");
    return this.#connection.dump(dumpQdiscs({ index: this.#link.index }));
  }

  /**
   * Reads one queueing discipline.
   *
   * @param target `root`, `ingress`, its handle, or its place.
   * @throws {NetlinkError} ENOENT when there is none.
   */
  get(target: QdiscTarget): QdiscInfo {
    if (typeof target === "string" && !Object.hasOwn(QDISC_PARENTS, target)) {
      return this.#withHandle(target);
    }
    const selector = this.#selector(target);
    return this.#connection.request(this.#named(getQdisc(selector), "get"));
  }

  /**
   * Adds queueing disciplines, all or none, in this order.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when there is one already.
   * @throws {UnsupportedError} When the kernel lacks the kind, or an option of it.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For malformed options; none is added then.
   * @throws {RangeError} For values out of range; none is added then.
   */
  add(entries: Many<QdiscOptions | QdiscInfo>): void {
    addAll(
      this.#connection,
      this.#messages(entries, "add"),
      (it) => this.#new(it, "add"),
      undo,
      EXPLAIN,
    );
  }

  /**
   * Adds queueing disciplines. One that is there is changed if it is of the same kind (and handle, where
   * that is given), otherwise another one takes its place; its packets are dropped then.
   *
   * @param entries As for {@link LinkQdiscs.add}.
   */
  replace(entries: Many<QdiscOptions | QdiscInfo>): void {
    const request = (it: TcMessage, replace: boolean) => this.#new(it, replace ? "replace" : "add");
    replaceAll(this.#connection, this.#messages(entries, "replace"), request, undo, EXPLAIN);
  }

  /**
   * Changes the options of a queueing discipline. Its packets stay in it. `options` are a whole statement:
   * an option that is absent has its default then, where the kernel can take it back.
   *
   * @param entry Its place, its kind, and the options.
   * @throws {NetlinkError} ENOENT when there is none, EINVAL when it is of another kind.
   */
  change(entry: QdiscOptions | QdiscInfo): void {
    const [message] = this.#messages(entry, "change");
    setOne(this.#connection, message!, (it) => this.#new(it, "change"), explainRefusal);
  }

  /**
   * Deletes queueing disciplines, and the packets in them.
   *
   * @param targets One or many: `root`, `ingress`, a handle, a place, or entries of `list()`.
   * @throws {NetlinkError} ENOENT when there is none.
   */
  delete(targets: Many<QdiscTarget>): void {
    const selectors = convert(targets, (target) => this.#selector(target));
    deleteAll(this.#connection, selectors, (it) => this.#named(deleteQdisc(it), "delete"));
  }

  /** Deletes those at the root and at ingress, and all below them; the kernel's default takes the place. */
  flush(): void {
    checkNoArguments(arguments, "flush");
    const tops = this.list()
      .filter(({ parent, handle }) => Object.hasOwn(QDISC_PARENTS, parent) && handle !== "0:")
      .map((info) => this.#selector(info));
    flushAll(this.#connection, tops, deleteQdisc, [ERRNO.ENOENT, ERRNO.ENODEV]);
  }

  get #connection(): Connection {
    return connectionTo(this.#link.ref);
  }

  #selector(target: QdiscTarget): QdiscSelector {
    const { index } = this.#link;
    if (typeof target !== "string" && !hasKey(target, "refcnt")) checkOptions(target, PLACE);
    const parent = typeof target === "string"
      ? (Object.hasOwn(QDISC_PARENTS, target) ? target : this.#withHandle(target).parent)
      : target.parent;
    return { index, parent: parseHandle(parent, { path: "parent", words: QDISC_PARENTS }) };
  }

  /** Asked for by its handle alone, the kernel does not tell the parent. */
  #withHandle(handle: Handle): QdiscInfo {
    const number = parseHandle(handle, { path: "target", words: QDISC_PARENTS });
    const found = this.list().find((it) => parseHandle(it.handle, { path: "handle" }) === number);
    if (found) return found;
    throw new NetlinkError({
      operation: `get qdisc ${show(handle)} of ${describeLink(this.#link)}`,
      netns: this.#link.ref.description,
      errno: ERRNO.ENOENT,
    });
  }

  #named<T>(request: Request<T>, verb: string): Request<T> {
    const { parent = 0 } = request.message as TcMessage;
    const at = show(formatHandle(parent, QDISC_PARENTS));
    return { ...request, operation: `${verb} qdisc at ${at} of ${describeLink(this.#link)}` };
  }

  #messages(entries: Many<QdiscOptions | QdiscInfo>, mode: TcMode): TcMessage[] {
    const { index, ref } = this.#link;
    return convert(entries, (entry) => {
      const message = qdiscMessage(entry, index);
      const { operation } = this.#new(message, mode);
      checkSupport(message, { operation, netns: ref.description });
      return message;
    });
  }

  #new(message: TcMessage, mode: TcMode): Request<undefined> {
    const at = show(formatHandle(message.parent ?? 0, QDISC_PARENTS));
    return {
      ...newQdisc(message, mode),
      operation: `${mode} qdisc ${message.kind} at ${at} of ${describeLink(this.#link)}`,
    };
  }

  /** Prints the queueing disciplines. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    return inspectList(titleOf("qdiscs", this.#link), () => this.list(), inspect, options);
  }
}

/** The last first: one may sit on the one before. */
const undo: Undo<TcMessage> = (done) =>
  done.toReversed().map(({ index, parent }) => deleteQdisc({ index, parent: parent ?? 0 }));
