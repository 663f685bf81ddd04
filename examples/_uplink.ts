/**
 * A host with a link to a switch: what macvlans, ipvlans and their taps are put on.
 *
 * @module
 */
import { Bridge, NetNs, type Scope, Veth } from "@netloom/netloom";
import type { Host } from "./_reach.ts";

/** A host's link, the switch it leads to, and both as hosts with addresses. */
export interface Uplink {
  /** The link to put others on. */
  readonly parent: Veth;
  /** The host it belongs to, 192.168.123.3. */
  readonly host: Host;
  /** The switch, 192.168.123.4. */
  readonly outside: Host;
  /** The switch's MAC. */
  readonly mac: string;
}

/** Makes namespaces `host` and `switch` and the cable between them. */
export function uplink(lab: Scope, { hairpin = false } = {}): Uplink {
  // ip netns add host; ip netns add switch
  const host = { netns: NetNs.create("host", { scope: lab }), address: "192.168.123.3" };
  const outside = { netns: NetNs.create("switch", { scope: lab }), address: "192.168.123.4" };

  // ip -n switch link add br0 up type bridge; ip -n switch address add 192.168.123.4/24 dev br0
  const bridge = Bridge.create({
    scope: lab,
    name: "br0",
    netns: outside.netns,
    mac: "02:00:00:00:00:04",
    up: true,
    addresses: [`${outside.address}/24`],
  });

  // ip -n host link add eth0 type veth peer name port0 netns switch; ip -n host link set eth0 up
  // ip -n host address add 192.168.123.3/24 dev eth0
  // ip -n switch link set port0 master br0 up; bridge -n switch link set dev port0 hairpin on
  const parent = Veth.create({
    scope: lab,
    name: "eth0",
    netns: host.netns,
    mac: "02:00:00:00:00:03",
    up: true,
    addresses: [`${host.address}/24`],
    peer: { name: "port0", master: bridge, up: true, port: { hairpin } },
  });
  return { parent, host, outside, mac: "02:00:00:00:00:04" };
}
