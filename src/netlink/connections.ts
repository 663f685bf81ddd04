/**
 * The connections of a thread: one for each namespace reference and netlink family, opened at first
 * use and closed with the reference.
 *
 * @module
 */
import { currentNetNs, type NetNsRef } from "../../ffi/namespace.ts";
import { Connection } from "./connection.ts";
import { NETLINK } from "./constants.ts";
import { KernelSocket } from "./socket.ts";

const connections = new WeakMap<NetNsRef, Map<number, Connection>>();

/**
 * The connection for a namespace; the caller must not close it.
 *
 * @param netns The namespace; default: the one calls land in now.
 * @param protocol The netlink family; default: rtnetlink.
 */
export function connectionTo(
  netns: NetNsRef = currentNetNs(),
  protocol: number = NETLINK.ROUTE,
): Connection {
  let own = connections.get(netns);
  const known = own?.get(protocol);
  if (known) return known;
  const connection = new Connection(() => new KernelSocket(netns, protocol), netns);
  if (!own) connections.set(netns, own = new Map());
  own.set(protocol, connection);
  netns.onClose(() => {
    own.delete(protocol);
    connection.close();
  });
  return connection;
}
