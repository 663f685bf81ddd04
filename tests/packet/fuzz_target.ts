// Everything that reads packets from outside, on one input.
import {
  Arp,
  checksum,
  Coalescer,
  completeChecksum,
  Dhcp,
  Dns,
  Ethernet,
  format,
  FrameHeaders,
  Icmp,
  Icmpv6,
  IPPROTO,
  Ipv4,
  Ipv6,
  Ipv6Extension,
  NeighborDiscovery,
  segment,
  Tcp,
  Udp,
  type View,
  VirtioNetHeader,
  Vxlan,
} from "../../src/packet/mod.ts";
import { slots } from "./flows.ts";
import { LONGEST, makeInput, random } from "./fuzz_input.ts";
import { naiveChecksum } from "./naive.ts";

type Parse = (bytes: Uint8Array, start: number, end: number) => View | undefined;

const PARSERS: readonly Parse[] = [
  Ethernet.parse,
  Arp.parse,
  Ipv4.parse,
  Ipv6.parse,
  Icmp.parse,
  Icmpv6.parse,
  NeighborDiscovery.parse,
  Udp.parse,
  Tcp.parse,
  Dhcp.parse,
  Dns.parse,
  Vxlan.parse,
  VirtioNetHeader.parse,
  ...[0, 43, 44, 51, 60].map((type): Parse => (bytes, start, end) =>
    Ipv6Extension.parse(bytes, start, end, type)
  ),
];

/** The properties of each class that can be read, and those that can be written. */
const properties = new Map<object, { readonly read: string[]; readonly write: string[] }>();

function propertiesOf(view: View): { readonly read: string[]; readonly write: string[] } {
  const prototype = Object.getPrototypeOf(view);
  let found = properties.get(prototype);
  if (!found) {
    found = { read: [], write: [] };
    for (let it = prototype; it !== Object.prototype; it = Object.getPrototypeOf(it)) {
      for (const [name, { get, set }] of Object.entries(Object.getOwnPropertyDescriptors(it))) {
        if (get) found.read.push(name);
        if (set) found.write.push(name);
      }
    }
    properties.set(prototype, found);
  }
  return found;
}

const BEFORE = 64;
const SIZE = BEFORE + LONGEST + 64;

/** The same input in two memories that differ around it: who reads outside sees different things. */
const arenas = [0x00, 0xff].map((fill) => ({ fill, bytes: new Uint8Array(SIZE).fill(fill) }));

const wire = slots(8, 65_700);
const output = slots(64, LONGEST + 10);
const coalescer = new Coalescer(output);

/**
 * Runs one input through everything.
 *
 * @throws {Error} When something threw, or read or wrote outside of it.
 */
export function fuzz(seed: number, index: number): void {
  const seen = arenas.map(({ bytes, fill }) => {
    const pick = random(seed, index);
    const start = BEFORE + pick(4) * (1 + pick(16));
    const length = makeInput(pick, bytes, start);
    // A sample is written whole before it is cut.
    bytes.fill(fill, start + length);
    const result = exercise(bytes, start, start + length, pick);
    for (let i = 0; i < SIZE; i++) {
      if (bytes[i] !== fill && (i < start || i >= start + length)) {
        throw new Error(`wrote byte ${i - start} of ${length}`);
      }
    }
    bytes.fill(fill, start, start + length);
    return result;
  });
  const [a, b] = seen as [string, string];
  if (a === b) return;
  let at = 0;
  while (a[at] === b[at]) at++;
  const [one, other] = seen.map((text) => text.slice(Math.max(0, at - 60), at + 60));
  throw new Error(`read outside: "...${one}..." and "...${other}..."`);
}

/** The results of all readers. */
function exercise(
  bytes: Uint8Array,
  start: number,
  end: number,
  pick: (below: number) => number,
): string {
  const packet = bytes.subarray(start, end);
  let seen = `${format(packet)}|${format(packet, { layer: "ip" })}|`;
  for (const parse of PARSERS) {
    const view = parse(bytes, start, end);
    if (view) seen += readAll(view);
  }
  seen += frameHeaders(packet) + offloads(bytes, start, end);
  // Last, because it changes them.
  const view = PARSERS[pick(PARSERS.length)]!(bytes, start, end);
  if (view) writeAll(view, pick);
  return seen;
}

function readAll(view: View): string {
  let seen = "";
  for (const name of propertiesOf(view).read) {
    const value = view[name as keyof View] as unknown;
    if (typeof value !== "object") seen += `${value} `;
    else if (name === "extensions") seen += (value as View[]).map(readAll).join();
    else seen += JSON.stringify(value);
  }
  if (view instanceof Icmpv6 || view instanceof Udp || view instanceof Tcp) {
    seen += view.checksumValid(1);
  }
  if (view instanceof Dhcp) seen += view.addresses(3);
  return seen;
}

/** What a handler of an interception sees of a frame; mended checksums have to be right. */
function frameHeaders(frame: Uint8Array): string {
  const headers = new FrameHeaders(frame);
  const { ethernet, arp, ip, icmp, icmpv6, tcp, udp, dns, payload } = headers;
  let seen = `${checksum(payload)} `;
  for (const view of [ethernet, arp, ip, icmp, icmpv6, tcp, udp, dns]) {
    if (view) seen += readAll(view);
  }
  const mended = new FrameHeaders(frame.slice());
  if (mended.updateChecksums() !== (ip !== undefined)) throw new Error("mended what is not there");
  const { ip: carrier } = mended;
  const wrong = mended.ipv4?.checksumValid === false || mended.icmp?.checksumValid === false ||
    [mended.tcp, mended.icmpv6, mended.udp].some((it) => it?.checksumValid(carrier!) === false);
  if (wrong) throw new Error("a mended checksum is wrong");
  return seen + checksum(mended.bytes);
}

function writeAll(view: View, pick: (below: number) => number): void {
  for (const name of propertiesOf(view).write) {
    const target = view as unknown as Record<string, unknown>;
    const current = target[name];
    if (typeof current === "string") target[name] = current;
    else if (typeof current === "boolean") target[name] = pick(2) === 1;
    else setNumber(target, name, pick(0xffffffff) >>> pick(32));
  }
  if (view instanceof Icmpv6 || view instanceof Udp || view instanceof Tcp) view.updateChecksum(1);
  else if (view instanceof Ipv4 || view instanceof Icmp) view.updateChecksum();
  if (view instanceof Ipv4 || view instanceof Ipv6) view.swapAddresses();
}

/** A number that the field cannot hold is refused, and then nothing is written. */
function setNumber(target: Record<string, unknown>, name: string, value: number): void {
  const before = target[name];
  try {
    target[name] = value;
  } catch (error) {
    if (error instanceof RangeError && target[name] === before) return;
    throw error;
  }
  // A view without the field ignores it.
  if (before !== undefined && target[name] !== value) {
    throw new Error(`${name} = ${value} reads as ${target[name]}`);
  }
}

function offloads(bytes: Uint8Array, start: number, end: number): string {
  let seen = "";
  const header = VirtioNetHeader.parse(bytes, start, end);
  if (header) {
    for (const linkHeader of [0, 14]) seen += split(header, linkHeader);
    const before = bytes.slice(start, end);
    completeChecksum(header);
    seen += checksum(bytes, start, end);
    bytes.set(before, start);
  }
  coalescer.clear();
  for (let i = 0; i < 3; i++) coalescer.add(bytes, start, end);
  for (let i = 0; i < output.count; i++) {
    const at = output.offsets[i]!;
    const end = at + output.lengths[i]!;
    const merged = VirtioNetHeader.parse(output.bytes, at, end)!;
    seen += split(merged, 0);
    if (merged.gsoType !== 0 && wire.count === 0) throw new Error("merged what cannot be split");
  }
  return seen;
}

/** Splits a packet; every segment has to be right. */
function split(header: VirtioNetHeader, linkHeader: number): string {
  wire.count = 0;
  const left = segment(header, wire, { linkHeader });
  if (left !== undefined && header.gsoType !== 0) {
    for (let i = 0; i < wire.count; i++) checkSegment(i, header, linkHeader);
  }
  let sum = 0;
  for (let i = 0; i < wire.count; i++) {
    sum += checksum(wire.bytes, wire.offsets[i]!, wire.offsets[i]! + wire.lengths[i]!);
  }
  return `${left} ${wire.count} ${sum}|`;
}

function checkSegment(i: number, header: VirtioNetHeader, linkHeader: number): void {
  const at = wire.offsets[i]! + linkHeader;
  const end = wire.offsets[i]! + wire.lengths[i]!;
  const transport = wire.offsets[i]! + header.checksumStart;
  const packet = Ipv4.parse(wire.bytes, at, end);
  if (packet && (packet.payloadEnd !== end || naiveChecksum(wire.bytes.subarray(at, transport)))) {
    throw new Error(`segment ${i} has a wrong IPv4 header`);
  }
  const ip = packet ?? Ipv6.parse(wire.bytes, at, end);
  // The first extension header of IPv6 may be malformed: only the transport header counts here.
  if (!ip || ip.payloadStart !== transport) return;
  if (ip.protocol !== IPPROTO.TCP && ip.protocol !== IPPROTO.UDP) return;
  const part = (ip.protocol === IPPROTO.TCP ? Tcp : Udp).parse(wire.bytes, transport, end);
  if (!part?.checksumValid(ip.pseudoHeaderSum(ip.protocol, end - transport))) {
    throw new Error(`segment ${i} has a wrong checksum`);
  }
}
