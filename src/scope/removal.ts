/**
 * Waiting for namespaces to disappear. Dropping the last reference only queues the removal.
 *
 * @module
 */
import { homeNetNs, type NetNsRef } from "../../ffi/namespace.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import type { Request } from "../netlink/message.ts";
import { Subscription } from "../netlink/subscription.ts";
import { RTM, RTNLGRP } from "../rtnetlink/constants.ts";
import { dumpLinks, getLink, type LinkInfo, readLink } from "../rtnetlink/link.ts";
import { getNsid, readNsid } from "../rtnetlink/nsid.ts";
import { ScopeError } from "./error.ts";
import { holders, openers } from "./holders.ts";
import { nsidOf } from "./nsid.ts";

/** After this many milliseconds it is worth asking who holds a namespace. */
const ASK = 1000;
/** A namespace that nobody holds is gone after this many milliseconds, or something is wrong. */
const GIVE_UP = 10_000;

interface Expected {
  readonly inode: number;
  readonly description: string;
}

/**
 * Sees namespaces go. The kernel reports that for those that have an id in the watching namespace, but
 * before their links go: the peers these have here are watched too.
 */
export class RemovalWatch implements Disposable {
  readonly #namespaces = new Map<number, Expected>();
  /** Links of the watching namespace that will go with a watched one. */
  readonly #peers = new Set<number>();
  #subscription: Subscription | undefined;
  /** The links here when the first namespace was added. */
  #links: LinkInfo[] = [];

  /** Watches a namespace that is about to be dropped; none is made between the first one and the last. */
  add(ref: NetNsRef): void {
    const home = homeNetNs();
    const id = nsidOf(home, ref);
    if (!this.#subscription) {
      this.#subscription = new Subscription(home, [RTNLGRP.NSID, RTNLGRP.LINK]);
      this.#links = connectionTo(home).dump(dumpLinks({ stats: false }));
    }
    this.#namespaces.set(id, { inode: ref.inode, description: ref.description });
    for (const link of this.#links) if (link.linkNetnsId === id) this.#peers.add(link.index);
  }

  /** Resolves when all of them are gone. Throws {@link ScopeError} naming who holds one. */
  async wait(): Promise<void> {
    const started = performance.now();
    while (this.#drain() > 0) {
      const waited = performance.now() - started;
      if (waited >= ASK) this.#complain(waited >= GIVE_UP);
      const pause = AbortSignal.timeout(waited < ASK ? ASK - waited : ASK);
      await this.#subscription!.ready(pause).catch((reason) => {
        if (!pause.aborted) throw reason;
      });
    }
  }

  /** Ends the watch. */
  [Symbol.dispose](): void {
    this.#subscription?.close();
  }

  /** Reads notifications and returns how many namespaces and links are still there. */
  #drain(): number {
    const overrun = this.#subscription?.drain(({ type, start, end }, source) => {
      if (type === RTM.DELNSID) {
        this.#namespaces.delete(readNsid(source, start, end).nsid!);
      } else if (type === RTM.DELLINK) {
        const { family, index } = readLink(source, start, end);
        // A bridge reports the end of a port in the same way.
        if (family === 0) this.#peers.delete(index);
      }
    });
    if (overrun) this.#look();
    return this.#namespaces.size + this.#peers.size;
  }

  /** Asks for each whether it is there, after notifications were lost. */
  #look(): void {
    const connection = connectionTo(homeNetNs());
    for (const nsid of this.#namespaces.keys()) {
      if (!there(connection, getNsid({ nsid }))) this.#namespaces.delete(nsid);
    }
    for (const index of this.#peers) {
      if (!there(connection, getLink(index, { stats: false }))) this.#peers.delete(index);
    }
  }

  #complain(late: boolean): void {
    for (const { inode, description } of this.#namespaces.values()) {
      const who = holders(inode).map((pid) => `process ${pid}`);
      for (const pid of openers(inode)) {
        who.push(`a descriptor of ${pid === Deno.pid ? "this process" : `process ${pid}`}`);
      }
      if (who.length > 0) {
        throw new ScopeError(`Cannot remove ${description}: held by ${who.join(", ")}`);
      }
      if (late) throw new ScopeError(`${description} is still there after ${GIVE_UP} ms`);
    }
    if (late) {
      const links = [...this.#peers].join(", ");
      throw new ScopeError(`Links ${links} are still there after ${GIVE_UP} ms`);
    }
  }
}

function there(connection: Connection, request: Request): boolean {
  return connection.batch([request])[0]!.ok;
}
