/**
 * Waiting until links carry packets.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { dumpAddresses } from "../rtnetlink/address.ts";
import { IFF } from "../rtnetlink/constants.ts";
import { getLink, type LinkInfo } from "../rtnetlink/link.ts";
import { dumpRoutes } from "../rtnetlink/route.ts";
import { ScopeError } from "./error.ts";
import type { ScopedLink } from "./scope.ts";
import { checkOptions } from "../options.ts";

/** Options of waiting for readiness. */
export interface ReadyOptions {
  /** Milliseconds to wait; default 10,000. */
  readonly timeout?: number;
  /** Ends the wait early. */
  readonly signal?: AbortSignal;
}

const OPTIONS = { timeout: true, signal: true };

/** Longest pause between two looks, in milliseconds. */
const PAUSE = 20;

/** Resolves when all links are ready. */
export async function waitReady(
  links: readonly ScopedLink[],
  options: ReadyOptions = {},
): Promise<void> {
  checkOptions(options, OPTIONS);
  const { timeout = 10_000, signal } = options;
  const until = performance.now() + timeout;
  let waiting = links;
  // The first look makes the kernel catch up with carriers: the second one follows at once.
  for (let pause = 0;; pause = Math.min(pause * 2 + 1, PAUSE)) {
    signal?.throwIfAborted();
    const missing = look(waiting);
    if (missing.length === 0) return;
    if (performance.now() > until) {
      const list = missing.map(({ link, why }) => `${link.what} ${why}`).join(", ");
      throw new ScopeError(`Not ready after ${timeout} ms: ${list}`);
    }
    waiting = missing.map(({ link }) => link);
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

interface Missing {
  readonly link: ScopedLink;
  readonly why: string;
}

function look(links: readonly ScopedLink[]): Missing[] {
  const missing: Missing[] = [];
  /** The IPv6 addresses that a namespace delivers to itself. */
  const delivered = new Map<NetNsRef, Set<string>>();
  const byNetNs = Map.groupBy(links.filter(({ ref }) => !ref.fd.closed), ({ ref }) => ref);
  for (const [ref, own] of byNetNs) {
    const results = connectionTo(ref).batch(
      own.map(({ index }) => getLink(index, { stats: false })),
    );
    const infos = results.map((result) => result.ok ? result.value as LinkInfo : undefined);
    own.forEach((link, i) => {
      const info = infos[i];
      // Deleted or moved since: nothing to wait for.
      if (!info) return;
      const carries = info.flags & IFF.UP && info.flags & IFF.LOWER_UP;
      const why = notReady(info, infos) ??
        (link.ipv6 && carries ? unusable(link, localAddresses(ref)) : undefined);
      if (why) missing.push({ link, why });
    });
  }
  return missing;

  function localAddresses(ref: NetNsRef): Set<string> {
    let known = delivered.get(ref);
    if (!known) {
      const routes = connectionTo(ref).dump(dumpRoutes({ family: "inet6", type: "local" }));
      delivered.set(ref, known = new Set(routes.map(({ destination }) => destination)));
    }
    return known;
  }
}

/** Bridge port states that pass: `BR_STATE_DISABLED`, `LISTENING`, `LEARNING`. */
const PASSING_STATES: ReadonlySet<unknown> = new Set(["disabled", "listening", "learning"]);

function notReady(link: LinkInfo, others: readonly (LinkInfo | undefined)[]): string | undefined {
  if (!(link.flags & IFF.UP)) return undefined;
  if (link.flags & IFF.LOWER_UP) {
    // Linux before 6.8 acts on a change of the carrier some time later, and passes no packets until
    // then. Where the carrier is always there, `unknown` is what the state stays.
    const known = link.operstate === "unknown" ? !link.carrierChanges : link.operstate === "up";
    if (!known) {
      return `is operationally ${link.operstate}`;
    }
    const state = (link.linkInfo?.memberData as { state?: unknown } | undefined)?.state;
    if (PASSING_STATES.has(state)) return `is a port in state ${state}`;
    return undefined;
  }
  // A bridge has a carrier once a port forwards; other links may lack one for good.
  const ports = others.some((other) =>
    other?.master === link.index && other.flags & IFF.UP && other.flags & IFF.LOWER_UP
  );
  return ports ? "has no carrier" : undefined;
}

function unusable({ ref, index, what }: ScopedLink, local: Set<string>): string | undefined {
  for (
    const { address, flags } of connectionTo(ref).dump(dumpAddresses({ index, family: "inet6" }))
  ) {
    if (flags.includes("dadfailed")) {
      throw new ScopeError(`${what} cannot use ${address}: another host has this address`);
    }
    if (flags.includes("tentative")) return `is checking that ${address} is unused`;
    // Also where nothing is checked, the kernel takes an address into service some time later.
    if (!local.has(address.replace(/\/.*/, "/128"))) return `does not answer for ${address} yet`;
  }
  return undefined;
}
