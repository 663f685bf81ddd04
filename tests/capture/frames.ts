// Frames of many kinds, each with its number in the source address.
import { parseIp } from "../../src/packet/address.ts";

/** A frame, and how many VLAN tags it has. */
export interface Specimen {
  readonly name: string;
  readonly tags: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

function u16(...values: number[]): number[] {
  return values.flatMap((value) => [value >> 8 & 0xff, value & 0xff]);
}

function ipv4(protocol: number, from: string, to: string, payload: number[], more: {
  fragment?: number;
  options?: number[];
} = {}): number[] {
  const { fragment = 0, options = [] } = more;
  const words = 5 + options.length / 4;
  return [
    0x40 | words,
    0,
    ...u16(words * 4 + payload.length, 0x1234, fragment),
    64,
    protocol,
    ...u16(0),
    ...parseIp(from),
    ...parseIp(to),
    ...options,
    ...payload,
  ];
}

function ipv6(next: number, from: string, to: string, payload: number[]): number[] {
  return [
    0x60,
    0,
    0,
    0,
    ...u16(payload.length),
    next,
    64,
    ...parseIp(from),
    ...parseIp(to),
    ...payload,
  ];
}

function arp(from: string, to: string): number[] {
  const mac = [2, 0, 0, 0, 9, 9];
  return [
    ...u16(1, 0x0800),
    6,
    4,
    ...u16(1),
    ...mac,
    ...parseIp(from),
    0,
    0,
    0,
    0,
    0,
    0,
    ...parseIp(to),
  ];
}

function ports(from: number, to: number): number[] {
  return [...u16(from, to), 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0];
}

const fragmentHeader = (next: number) => [next, 0, 0, 0, 0, 0, 0, 1];

/** Layer 3 of the specimens, by EtherType. */
const PAYLOADS: Record<string, [type: number, bytes: number[]]> = {
  "tcp 80": [0x0800, ipv4(6, "10.0.0.1", "10.0.0.2", ports(40000, 80))],
  "tcp from 80": [0x0800, ipv4(6, "10.0.0.2", "10.0.0.1", ports(80, 40000))],
  "udp 53": [0x0800, ipv4(17, "10.0.0.1", "10.9.0.2", ports(5353, 53))],
  "udp 8080 with IP options": [
    0x0800,
    ipv4(17, "192.168.1.1", "10.0.0.1", ports(1, 8080), { options: [7, 4, 4, 0] }),
  ],
  "sctp 80": [0x0800, ipv4(132, "10.0.0.1", "10.0.0.2", ports(9, 80))],
  "first fragment": [0x0800, ipv4(17, "10.0.0.1", "10.0.0.2", ports(7, 80), { fragment: 0x2000 })],
  "later fragment": [0x0800, ipv4(17, "10.0.0.1", "10.0.0.2", ports(7, 80), { fragment: 0x2064 })],
  "icmp": [0x0800, ipv4(1, "10.0.0.3", "172.16.5.1", [8, 0, 0, 0, 0, 1, 0, 80])],
  "ospf": [0x0800, ipv4(89, "10.0.0.3", "224.0.0.5", [2, 1, 0, 0, 0, 80, 0, 80])],
  "arp": [0x0806, arp("10.0.0.1", "10.0.0.2")],
  "arp of others": [0x0806, arp("10.7.0.1", "192.168.1.1")],
  "rarp": [0x8035, arp("10.0.0.1", "10.0.0.9")],
  "tcp6 80": [0x86dd, ipv6(6, "2001:db8::1", "2001:db8:0:1::2", ports(40000, 80))],
  "udp6 53": [0x86dd, ipv6(17, "fe80::1", "ff02::fb", ports(5353, 53))],
  "icmp6": [0x86dd, ipv6(58, "fe80::1", "ff02::1", [128, 0, 0, 0, 0, 0, 0, 80])],
  "fragment of icmp6": [
    0x86dd,
    ipv6(44, "fe80::1", "fe80::2", [...fragmentHeader(58), 0, 80, 0, 80]),
  ],
  "fragment of tcp6": [
    0x86dd,
    ipv6(44, "fe80::1", "fe80::2", [...fragmentHeader(6), 0, 80, 0, 80]),
  ],
  "lldp": [0x88cc, [2, 7, 4, 2, 0, 0, 0, 0, 1, 4, 2, 5]],
  "test": [0x88b5, [1, 2, 3, 4]],
  "short ip": [0x0800, [0x45]],
  "nothing": [0x88b6, []],
};

const TAGS: number[][] = [
  [],
  u16(0x8100, 5),
  u16(0x8100, 0x6007),
  [...u16(0x8100, 5), ...u16(0x8100, 7)],
  [...u16(0x88a8, 7), ...u16(0x8100, 5)],
];

/** Each payload untagged, tagged, and tagged twice. */
export const SPECIMENS: readonly Specimen[] = TAGS.flatMap((tag) =>
  Object.entries(PAYLOADS).map(([name, [type, payload]]) => ({ name, tag, type, payload }))
).map(({ name, tag, type, payload }, number) => {
  const head = [2, 0, 0, 0, 0xaa, number % 3, 2, 0, 0, 0, ...u16(number), ...tag, ...u16(type)];
  return {
    name: `${number} ${name}${"+tag".repeat(tag.length / 4)}`,
    tags: tag.length / 4,
    bytes: new Uint8Array([...head, ...payload]),
  };
});

/** The specimen a frame is. */
export function specimenOf(data: Uint8Array): Specimen | undefined {
  return data[6] === 2 ? SPECIMENS[data[10]! << 8 | data[11]!] : undefined;
}
