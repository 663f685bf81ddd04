/**
 * Packet devices as web streams.
 *
 * @module
 */
import { DeviceClosedError, MAX_PACKET, type PacketDevice } from "./packet_device.ts";

/** Packets read one at a time, when the consumer asks for one. */
export function packetStream(device: PacketDevice): ReadableStream<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(MAX_PACKET);
  const stop = new AbortController();
  return new ReadableStream({
    async pull(controller) {
      try {
        const n = await device.read(buffer, { signal: stop.signal });
        controller.enqueue(buffer.slice(0, n));
      } catch (error) {
        if (error instanceof DeviceClosedError) controller.close();
        else if (!stop.signal.aborted) throw error;
      }
    },
    cancel: (reason) => stop.abort(reason),
  }, { highWaterMark: 0 });
}

/** Packets written one at a time. */
export function packetSink(device: PacketDevice): WritableStream<Uint8Array> {
  return new WritableStream({
    // The stream's own abort would wait for a write that waits: this signal does not.
    write: (packet, { signal }) => device.write(packet, packet.length, { signal }),
  });
}
