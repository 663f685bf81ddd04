// The state of a lab's namespaces as iproute2 tells it, without what may differ between two labs.
import { assertEquals } from "@std/assert";
import { openNamed } from "../../src/netlink/connections.ts";
import { ip, type Json } from "../helpers.ts";

/** Indexes, counters, timers and the group of the owner. */
const VOLATILE =
  /^(ifindex|link_index|link_netnsid|group|stats.*|.*_timer|.*_life_time|tentative|operstate|carrier_.*|root_id|bridge_id|num_._queues|qdisc|netns-immutable|parentbus|parentdev)$/;

/** Links, addresses, routes and rules of named namespaces, as text. */
export function dump(names: readonly string[]): string {
  return names.map((name) => {
    using ref = openNamed(name);
    const links = ip(ref, "-d -j address").map(stable).sort();
    const routes = [...ip(ref, "-j route show table all"), ...ip(ref, "-6 -j route show table all")]
      .filter(({ type }) => type !== "multicast" && type !== "anycast").map(stable).sort();
    const rules = ip(ref, "-j rule").map(stable);
    return [`${name.replace(/^.*?\./, "")}:`, ...links, ...routes, ...rules].join("\n");
  }).join("\n");
}

function stable(entry: Json): string {
  return JSON.stringify(entry, (key, value) => VOLATILE.test(key) ? undefined : value);
}

/** Milliseconds in which the kernel puts an IPv6 address of a link without a carrier into its table `local`. */
const LATE = 3000;

/** Asserts that namespaces have an expected state, or reach it soon. */
export async function assertDump(
  names: () => readonly string[],
  expected: string,
  message: string,
): Promise<void> {
  const until = performance.now() + LATE;
  while (performance.now() < until && dump(names()) !== expected) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assertEquals(dump(names()), expected, message);
}
