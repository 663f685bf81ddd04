/**
 * The slot of nftables, which `@netloom/netloom/nftables` fills: what namespaces use of it.
 *
 * @module
 */
import { Slot } from "../slot.ts";
import type { Nftables } from "./nftables.ts";
import type { drop, masquerade } from "./own_table.ts";

/** The parts of nftables that layers above it use. */
export interface NftablesPart {
  readonly Nftables: typeof Nftables;
  readonly masquerade: typeof masquerade;
  readonly drop: typeof drop;
}

/** nftables, once its entry point is loaded. */
export const nftables: Slot<NftablesPart> = new Slot({
  part: "nftables",
  entry: "@netloom/netloom/nftables",
});
