/**
 * Waiting for namespaces to disappear. Dropping the last reference only queues the removal.
 *
 * @module
 */
import { homeNetNs, type NetNsRef } from "../../ffi/namespace.ts";
import { Subscription } from "../netlink/subscription.ts";
import { RTM, RTNLGRP } from "../rtnetlink/constants.ts";
import { readNsid } from "../rtnetlink/nsid.ts";
import { ScopeError } from "./error.ts";
import { holders, openHere } from "./holders.ts";
import { nsidOf } from "./nsid.ts";

/** After this many milliseconds it is worth asking who holds a namespace. */
const ASK = 1000;
/** A namespace that nobody holds is gone after this many milliseconds, or something is wrong. */
const GIVE_UP = 10_000;

interface Expected {
  readonly inode: number;
  readonly description: string;
}

/** Sees namespaces go. The kernel reports that for those that have an id in the watching namespace. */
export class RemovalWatch implements Disposable {
  readonly #expected = new Map<number, Expected>();
  #subscription: Subscription | undefined;

  /** Watches a namespace that is about to be dropped. */
  add(ref: NetNsRef): void {
    const home = homeNetNs();
    this.#subscription ??= new Subscription(home, [RTNLGRP.NSID]);
    this.#expected.set(nsidOf(home, ref), { inode: ref.inode, description: ref.description });
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

  /** Reads notifications and returns how many namespaces are still there. */
  #drain(): number {
    this.#subscription?.drain((header, source) => {
      if (header.type !== RTM.DELNSID) return;
      const { nsid } = readNsid(source, header.start, header.end);
      if (nsid !== undefined) this.#expected.delete(nsid);
    });
    return this.#expected.size;
  }

  #complain(late: boolean): void {
    for (const { inode, description } of this.#expected.values()) {
      const who = holders(inode).map((pid) => `process ${pid}`);
      if (openHere(inode)) who.push("a descriptor of this process");
      if (who.length > 0) {
        throw new ScopeError(`Cannot remove ${description}: held by ${who.join(", ")}`);
      }
      if (late) throw new ScopeError(`${description} is still there after ${GIVE_UP} ms`);
    }
  }
}
