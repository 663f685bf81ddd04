/**
 * A link's counters, `struct rtnl_link_stats64` (`linux/if_link.h`).
 *
 * @module
 */
import { type Field, struct } from "../netlink/attribute.ts";

/** Counters since the link was made. Packets and bytes; numbers, exact to 2^53. */
export interface LinkStats {
  /** Packets received. */
  rxPackets: number;
  /** Packets sent. */
  txPackets: number;
  /** Bytes received. */
  rxBytes: number;
  /** Bytes sent. */
  txBytes: number;
  /** Bad packets received. */
  rxErrors: number;
  /** Packets that could not be sent. */
  txErrors: number;
  /** Packets received and dropped for want of memory. */
  rxDropped: number;
  /** Packets dropped on their way out. */
  txDropped: number;
  /** Multicast packets received. */
  multicast: number;
  /** Collisions while sending. */
  collisions: number;
  /** Received with a wrong length. */
  rxLengthErrors: number;
  /** Received when the ring was full. */
  rxOverErrors: number;
  /** Received with a wrong checksum. */
  rxCrcErrors: number;
  /** Received misaligned. */
  rxFrameErrors: number;
  /** Received when the FIFO was full. */
  rxFifoErrors: number;
  /** Missed by the device. */
  rxMissedErrors: number;
  /** Given up while sending. */
  txAbortedErrors: number;
  /** Lost for want of a carrier. */
  txCarrierErrors: number;
  /** Lost because the FIFO ran empty. */
  txFifoErrors: number;
  /** Sent without a heartbeat. */
  txHeartbeatErrors: number;
  /** Lost to a late collision. */
  txWindowErrors: number;
  /** Compressed packets received. */
  rxCompressed: number;
  /** Compressed packets sent. */
  txCompressed: number;
  /** Received and wanted by nobody. */
  rxNohandler: number;
  /** Received for another host; Linux 5.19, 0 before. */
  rxOtherhostDropped: number;
}

/** Small counters stay small integers in V8: others take 16 bytes more each. */
function counter(view: DataView, at: number): number {
  const low = view.getUint32(at, true);
  const high = view.getUint32(at + 4, true);
  return high === 0 ? low : low + high * 0x100000000;
}

/** The codec of IFLA_STATS64. Read-only: the kernel takes no counters. */
export function stats64(type: number): Field<LinkStats> {
  return struct<LinkStats>(type, 200, () => {
    throw new TypeError("Link statistics cannot be set");
  }, (v, at) => ({
    rxPackets: counter(v, at),
    txPackets: counter(v, at + 8),
    rxBytes: counter(v, at + 16),
    txBytes: counter(v, at + 24),
    rxErrors: counter(v, at + 32),
    txErrors: counter(v, at + 40),
    rxDropped: counter(v, at + 48),
    txDropped: counter(v, at + 56),
    multicast: counter(v, at + 64),
    collisions: counter(v, at + 72),
    rxLengthErrors: counter(v, at + 80),
    rxOverErrors: counter(v, at + 88),
    rxCrcErrors: counter(v, at + 96),
    rxFrameErrors: counter(v, at + 104),
    rxFifoErrors: counter(v, at + 112),
    rxMissedErrors: counter(v, at + 120),
    txAbortedErrors: counter(v, at + 128),
    txCarrierErrors: counter(v, at + 136),
    txFifoErrors: counter(v, at + 144),
    txHeartbeatErrors: counter(v, at + 152),
    txWindowErrors: counter(v, at + 160),
    rxCompressed: counter(v, at + 168),
    txCompressed: counter(v, at + 176),
    rxNohandler: counter(v, at + 184),
    rxOtherhostDropped: counter(v, at + 192),
  }));
}
