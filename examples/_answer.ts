/**
 * The least that a host does: it answers ARP requests and pings.
 *
 * @module
 */
import {
  Arp,
  ARPOP,
  Ethernet,
  ETHERTYPE,
  ICMP,
  Icmp,
  IPPROTO,
  Ipv4,
} from "@netloom/netloom/packet";

/** Turns a request for an address into its answer, in place; `false` when it is no such request. */
export function answer(bytes: Uint8Array, mac: string, address: string): boolean {
  const frame = Ethernet.parse(bytes);
  if (!frame) return false;
  const { etherType, payloadStart } = frame;
  const answered = etherType === ETHERTYPE.ARP
    ? answerArp(bytes, payloadStart, mac, address)
    : etherType === ETHERTYPE.IP && answerPing(bytes, payloadStart, address);
  if (!answered) return false;
  frame.destination = frame.source;
  frame.source = mac;
  return true;
}

function answerArp(bytes: Uint8Array, start: number, mac: string, address: string): boolean {
  const message = Arp.parse(bytes, start);
  if (message?.operation !== ARPOP.REQUEST || message.targetIp !== address) return false;
  message.swapSenderAndTarget();
  message.operation = ARPOP.REPLY;
  message.senderMac = mac;
  return true;
}

function answerPing(bytes: Uint8Array, start: number, address: string): boolean {
  const packet = Ipv4.parse(bytes, start);
  if (packet?.destination !== address || packet.protocol !== IPPROTO.ICMP) return false;
  const message = Icmp.parse(bytes, packet.payloadStart, packet.payloadEnd);
  if (message?.type !== ICMP.ECHO) return false;
  packet.swapAddresses();
  message.type = ICMP.ECHO_REPLY;
  message.updateChecksum();
  return true;
}
