/**
 * Pictures of networks: of namespaces as they are, or of any graph.
 *
 * @example A picture of a bridge and its ports
 * ```ts
 * import { Bridge, NetNs, Veth } from "@netloom/netloom";
 * import { draw } from "@netloom/netloom/view";
 * import { assertStringIncludes } from "@std/assert";
 *
 * using lan = NetNs.create();
 * using host = NetNs.create();
 * const bridge = Bridge.create({ name: "br0", netns: lan, up: true });
 * Veth.create({ name: "port1", netns: lan, master: bridge, peer: { name: "eth0", netns: host } });
 * const svg = await draw([lan, host], { title: "One host at a bridge" });
 * assertStringIncludes(svg, "port1");
 * ```
 *
 * @module
 */
import { draw } from "./draw.ts";
import { pictures } from "../slot.ts";

pictures.fill({ draw });

export { draw };
export type {
  GraphEdge,
  GraphEdgeState,
  GraphEnd,
  GraphInterface,
  GraphNode,
  GraphNodeKind,
  NetworkGraph,
} from "./graph.ts";
export { readGraph } from "./live.ts";
export type * from "./options.ts";
export { pngOf } from "./png.ts";
