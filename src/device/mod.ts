/**
 * Packets in and out of a program: TUN, TAP and macvtap devices, packet and IP sockets.
 *
 * `read` and `write` wait without blocking, `readSync` and `writeSync` block, `tryRead` and `tryWrite` do
 * neither, `readBatch` and `writeBatch` move many packets with one system call. See
 * {@linkcode PacketDevice} for who owns the bytes.
 *
 * @example Reading from a TUN
 * ```ts
 * import { NetNs, Tun } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * using tun = Tun.create({ netns, up: true, addresses: ["10.9.0.1/24"] });
 * const ping = netns.ping("10.9.0.2", { timeout: 100 });
 * for await (const packet of tun.packets()) {
 *   if (packet[0] !== 0x45) continue; // IPv4 without options
 *   assertEquals(Array.from(packet.subarray(16, 20)), [10, 9, 0, 2]);
 *   break;
 * }
 * await ping;
 * ```
 *
 * @module
 */
export {
  batchEngineName,
  type BlockOptions,
  DeviceClosedError,
  type DeviceTransfer,
  type EngineName,
  MAX_PACKET,
  PacketBatch,
  type PacketBatchOptions,
  type PacketDevice,
  useEngine,
  type WaitOptions,
} from "./packet_device.ts";
export { DevicePoll, FdDevice, receiveDevice } from "./fd_device.ts";
export {
  forward,
  type ForwardOptions,
  type ForwardStats,
  writeSegmented,
  type WriteSegmentedOptions,
} from "./forward.ts";
export {
  type Endpoint,
  type IpProtocol,
  IpSocket,
  type IpSocketOptions,
  type OpenIpSocket,
  RawSocket,
  type RawSocketOptions,
  type Received,
  UdpSocket,
  type UdpSocketOptions,
  type WriteSegmentsOptions,
} from "./ip_socket.ts";
export { PacketSocket, type PacketSocketOptions } from "./packet_socket.ts";
export {
  type Offload,
  type TapDeviceOptions,
  type TunFeatures,
  TunQueue,
  VNET_HDR_SIZE,
} from "./tun_queue.ts";
