/**
 * A frame in the ring: reads its header when it is made, and its bytes when they are asked for.
 *
 * @module
 */
import { ETHERTYPE, type VlanTag } from "../packet/ethernet.ts";
import { ARPHRD, PACKET_TYPE, TP_STATUS } from "./constants.ts";
import { type CaptureInterface, type Frame, nanosecondsOf, OwnFrame } from "./frame.ts";

/** `struct tpacket3_hdr`, and the `struct sockaddr_ll` behind it. */
const PACKET = {
  SECONDS: 4,
  NANOSECONDS: 8,
  CAPTURED: 12,
  LENGTH: 16,
  STATUS: 20,
  MAC: 24,
  VLAN_TCI: 32,
  VLAN_TPID: 36,
  IFINDEX: 48 + 4,
  HATYPE: 48 + 8,
  PKTTYPE: 48 + 10,
} as const;

/** Where a VLAN tag is: behind the two Ethernet addresses. */
const ADDRESSES = 12;
const TAG = 4;

/** The frame whose header is at `at`. */
export class RingFrame implements Frame {
  readonly interface: CaptureInterface;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly length: number;
  readonly capturedLength: number;
  readonly #type: number;
  /** Tag control information and protocol of the tag that was put back; -1 without one. */
  readonly #tci: number;
  readonly #tpid: number;
  readonly #block: ArrayBuffer;
  readonly #offset: number;

  constructor(
    view: DataView<ArrayBuffer>,
    bytes: Uint8Array<ArrayBuffer>,
    at: number,
    block: ArrayBuffer,
    start: number,
    options: {
      readonly snaplen: number;
      interfaceOf(index: number, hardwareType: number): CaptureInterface;
    },
  ) {
    const hardwareType = view.getUint16(at + PACKET.HATYPE, true);
    this.interface = options.interfaceOf(view.getInt32(at + PACKET.IFINDEX, true), hardwareType);
    this.seconds = view.getUint32(at + PACKET.SECONDS, true);
    this.nanoseconds = view.getUint32(at + PACKET.NANOSECONDS, true);
    this.#type = view.getUint8(at + PACKET.PKTTYPE);
    this.#block = block;
    let length = view.getUint32(at + PACKET.LENGTH, true);
    let captured = view.getUint32(at + PACKET.CAPTURED, true);
    let data = at + view.getUint16(at + PACKET.MAC, true);
    const status = view.getUint32(at + PACKET.STATUS, true);
    const tagged = (status & TP_STATUS.VLAN_VALID) !== 0 && hardwareType === ARPHRD.ETHER &&
      captured >= ADDRESSES;
    if (tagged) {
      this.#tci = view.getUint16(at + PACKET.VLAN_TCI, true);
      const tpid = view.getUint16(at + PACKET.VLAN_TPID, true);
      this.#tpid = (status & TP_STATUS.VLAN_TPID_VALID) !== 0 ? tpid : ETHERTYPE["8021Q"];
      bytes.copyWithin(data - TAG, data, data + ADDRESSES);
      data -= TAG;
      view.setUint16(data + ADDRESSES, this.#tpid, false);
      view.setUint16(data + ADDRESSES + 2, this.#tci, false);
      captured = Math.min(captured + TAG, options.snaplen);
      length += TAG;
    } else {
      this.#tci = this.#tpid = -1;
    }
    this.length = length;
    this.capturedLength = captured;
    this.#offset = data - start;
  }

  get timestamp(): bigint {
    return nanosecondsOf(this);
  }

  get direction(): "in" | "out" {
    return this.#type === PACKET_TYPE.OUTGOING ? "out" : "in";
  }

  get vlan(): VlanTag | undefined {
    const tci = this.#tci;
    if (tci < 0) return undefined;
    return {
      protocol: this.#tpid,
      vid: tci & 0xfff,
      pcp: tci >> 13,
      dei: (tci >> 12 & 1) === 1,
    };
  }

  get data(): Uint8Array<ArrayBuffer> {
    if (this.#block.detached) {
      throw new TypeError(
        "The frame has left the ring: read data before the next frame is asked for, or keep a copy()",
      );
    }
    return new Uint8Array(this.#block, this.#offset, this.capturedLength);
  }

  copy(): Frame {
    return new OwnFrame({
      interface: this.interface,
      seconds: this.seconds,
      nanoseconds: this.nanoseconds,
      length: this.length,
      data: this.data.slice(),
      direction: this.direction,
      vlan: this.vlan,
    });
  }
}
