// Load: many events in a short time.
import { type NetNsRef, within } from "../../ffi/namespace.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { setLink } from "../../src/rtnetlink/link.ts";
import { deleteRoute, newRoute } from "../../src/rtnetlink/route.ts";

/** Adds `count` routes and deletes them: two events each. */
export function changeRoutes(ref: NetNsRef, count: number): void {
  const connection = connectionTo(ref);
  const destinations = Array.from({ length: count }, (_, i) => `10.99.${i >> 8}.${i & 255}/32`);
  const route = (destination: string) => ({ destination, oif: 1 });
  for (const make of [newRoute, deleteRoute]) {
    for (const result of connection.batch(destinations.map((to) => make(route(to))))) {
      if (!result.ok) throw result.error;
    }
  }
}

/** Changes a link that is up `count` times: one event each. */
export function changeLink(ref: NetNsRef, index: number, count: number): void {
  const requests = Array.from({ length: count }, (_, i) => setLink({ index, alias: `${i}` }));
  for (const result of connectionTo(ref).batch(requests)) if (!result.ok) throw result.error;
}

/** Starts a process that creates, changes and deletes links, addresses, routes and neighbors. */
export function startChurn(ref: NetNsRef, rounds: number): Deno.ChildProcess {
  const lines = ["link add br0 up type bridge"];
  for (let i = 0; i < rounds; i++) {
    const n = i % 7; // never reuse names: ip remembers their indexes
    if (i >= 7) lines.push(`link delete c${i - 7}`);
    lines.push(
      `link add c${i} type veth peer name d${i}`,
      `link set c${i} up`,
      `link set d${i} up master br0`,
      `address add 10.${n}.0.1/24 dev c${i}`,
      `address add 10.${n}.1.1/24 dev c${i}`,
      `route add 10.${100 + n}.0.0/16 via 10.${n}.0.2`,
      `route add 10.${110 + n}.0.0/16 via 10.${n}.0.2 src 10.${n}.1.1`,
      `neigh add 10.${n}.0.2 lladdr 02:00:00:00:00:02 dev c${i}`,
      `route replace 10.${100 + n}.0.0/16 via 10.${n}.0.3`,
      `link set c${i} mtu ${1300 + i % 100}`,
      `address delete 10.${n}.1.1/24 dev c${i}`,
    );
    if (i % 3 === 0) lines.push(`link set c${i} down`);
  }
  const child = within(
    ref,
    () => new Deno.Command("ip", { args: ["-batch", "-"], stdin: "piped" }).spawn(),
  );
  const writer = child.stdin.getWriter();
  writer.write(new TextEncoder().encode(lines.join("\n") + "\n")).then(() => writer.close());
  return child;
}
