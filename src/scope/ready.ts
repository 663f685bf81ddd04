/**
 * Waiting until links carry packets.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { dumpAddresses } from "../rtnetlink/address.ts";
import { getLink } from "../rtnetlink/link.ts";
import { type LinkInfo, linkKind } from "../rtnetlink/link_info.ts";
import { dumpRoutes } from "../rtnetlink/route.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { ScopeError } from "./record.ts";

/** A link that a scope owns. */
export interface ScopedLink {
  /** Its namespace. */
  readonly ref: NetNsRef;
  /** Its index there. */
  readonly index: number;
  /** For messages: `veth "tap1"`. */
  readonly what: string;
  /** Was given IPv6 addresses, which are usable only some time later. */
  readonly ipv6: boolean;
  /** Closes the descriptor that is joined to the link, and keeps its namespace alive. */
  readonly close?: () => void;
}

/** Options of waiting for readiness. */
export interface ReadyOptions {
  /** Milliseconds to wait; default 10,000. */
  readonly timeout?: number;
  /** Ends the wait early. */
  readonly signal?: AbortSignal;
}

const OPTIONS: OptionNames<ReadyOptions> = { timeout: true, signal: true };

/** The longest pause between two looks, in milliseconds. */
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
  // The first look makes the kernel catch up with carriers, so the second one follows at once.
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
      const why = notReady(info, infos) ??
        (link.ipv6 && carries(info) ? unusable(link, localAddresses(ref)) : undefined);
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

function notReady(link: LinkInfo, others: readonly (LinkInfo | undefined)[]): string | undefined {
  if (!link.up) return undefined;
  if (hasCarrier(link)) {
    // Linux before 6.8 acts on a change of the carrier some time later, and passes no packets until
    // then. A link whose carrier is always there stays `unknown`.
    const known = link.operstate === "unknown" ? !link.carrierChanges : link.operstate === "up";
    if (!known) {
      return `is operationally ${link.operstate}`;
    }
    return link.port && linkKind(link.port.kind)?.port?.waitsFor?.(link.port.options);
  }
  // A bridge has a carrier as soon as a port forwards; other links may lack one for good.
  const ports = others.some((other) => other?.master === link.index && carries(other));
  return ports ? "has no carrier" : undefined;
}

function hasCarrier(link: LinkInfo): boolean {
  return link.flags.includes("LOWER_UP");
}

function carries(link: LinkInfo): boolean {
  return link.up && hasCarrier(link);
}

function unusable({ ref, index, what }: ScopedLink, local: Set<string>): string | undefined {
  for (
    const { address, flags } of connectionTo(ref).dump(dumpAddresses({ index, family: "inet6" }))
  ) {
    if (flags.includes("dadfailed")) {
      throw new ScopeError(`${what} cannot use ${address}: another host has this address`);
    }
    if (flags.includes("tentative")) return `is checking that ${address} is unused`;
    // The kernel takes an address into service some time later, also when nothing is checked.
    if (!local.has(address.replace(/\/.*/, "/128"))) return `does not answer for ${address} yet`;
  }
  return undefined;
}
