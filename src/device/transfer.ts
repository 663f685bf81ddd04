/**
 * Devices that come from another thread.
 *
 * @module
 */
import { Fd } from "../../ffi/fd.ts";
import { FdDevice } from "./fd_device.ts";
import type { DeviceTransfer, PacketDevice } from "./packet_device.ts";
import { show } from "../options.ts";

/**
 * Takes over a device that another thread of this process gave up with {@linkcode
 * PacketDevice.transfer}. Call it once for each transfer: the descriptor has one owner.
 *
 * @param transfer What `transfer()` returned there.
 * @returns The device. Closing it closes the descriptor; a TUN that nobody else keeps is gone then.
 * @throws {TypeError} When it is not a transfer.
 *
 * @example A worker that reads packets
 * ```ts
 * import { type DeviceTransfer, receiveDevice } from "@netloom/netloom";
 *
 * // In the worker: self.onmessage = ({ data }) => count(data);
 * async function count(transfer: DeviceTransfer) {
 *   using device = receiveDevice(transfer);
 *   for await (const packet of device) console.log(packet.length);
 * }
 * console.log(count.name);
 * ```
 */
export function receiveDevice(transfer: DeviceTransfer): PacketDevice {
  if (!Number.isInteger(transfer?.fd) || transfer.fd < 0 || typeof transfer.what !== "string") {
    throw new TypeError(
      `receiveDevice() needs what transfer() returned: got ${show(transfer)}`,
    );
  }
  return new FdDevice(new Fd(transfer.fd), transfer.what);
}
