/**
 * Bridge identifiers (IEEE 802.1D): two bytes of priority, six of address.
 *
 * @module
 */
import { type Field, struct } from "../netlink/attribute.ts";
import { readOnly } from "../rtnetlink/fields.ts";
import { formatMac } from "../packet/address.ts";

/** `struct ifla_bridge_id` as `8000.02:00:00:00:00:01`; read only. */
export function bridgeId(type: number): Field<string> {
  return readOnly(struct<string>(type, 8, () => {}, (view, at) => {
    const priority = view.getUint16(at, false).toString(16).padStart(4, "0");
    return `${priority}.${formatMac(new Uint8Array(view.buffer, view.byteOffset + at + 2, 6))}`;
  }));
}
