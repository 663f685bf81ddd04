// Inputs for the fuzzer: each is made from the seed and its number alone.
import { TCP_FLAG } from "../../src/packet/mod.ts";
import { type Flow, gsoPacketOf, payloadOf } from "./flows.ts";
import { SAMPLES } from "./samples.ts";

/** Longest input. */
export const LONGEST = 4096;

const flow = (version: 4 | 6, protocol: "tcp" | "udp"): Flow => ({
  version,
  protocol,
  number: 1,
  ttl: 64,
  trafficClass: 0,
  dontFragment: true,
  acknowledgment: 1,
  window: 1,
  options: [],
  framed: false,
});
const position = { sequence: 0xfffffff0, identification: 0xfff0, flags: TCP_FLAG.PSH };
const gsoPackets = [4, 6].flatMap((version) =>
  ["tcp", "udp"].flatMap((protocol) =>
    [0, 100, 2500].map((length) =>
      gsoPacketOf(flow(version as 4, protocol as "tcp"), position, payloadOf(length), 1000)
    )
  )
);

/** Frames, IP packets, their payloads, and GSO packets. */
const seeds: readonly Uint8Array[] = [
  ...Object.values(SAMPLES).flatMap((frame) => [0, 14, 34, 42, 54].map((at) => frame.subarray(at))),
  ...gsoPackets,
  ...gsoPackets,
];

const INTERESTING = [0, 1, 2, 3, 4, 5, 8, 15, 16, 20, 40, 0x45, 0x60, 0x7f, 0x80, 0xf0, 0xfe, 0xff];

/** Random numbers from a seed and an input's number (mulberry32). */
export function random(seed: number, index: number): (below: number) => number {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  return (below) => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, state | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) % below;
  };
}

/** Writes an input into `bytes` from `at`, and returns its length. */
export function makeInput(pick: (below: number) => number, bytes: Uint8Array, at: number): number {
  if (pick(8) === 0) {
    const length = pick(160);
    for (let i = 0; i < length; i++) bytes[at + i] = pick(256);
    return length;
  }
  const packet = seeds[pick(seeds.length)]!;
  bytes.set(packet, at);
  const length = pick(3) === 0 ? pick(packet.length + 1) : packet.length;
  // Most changes go to the headers.
  const reach = Math.min(length, pick(3) === 0 ? length : 80);
  if (reach > 0) {
    for (let n = pick(6); n > 0; n--) {
      const place = at + pick(reach);
      const kind = pick(3);
      bytes[place] = kind === 0
        ? bytes[place]! ^ 1 << pick(8)
        : kind === 1
        ? INTERESTING[pick(INTERESTING.length)]!
        : pick(256);
    }
  }
  return length;
}
