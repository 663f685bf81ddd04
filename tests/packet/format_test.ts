import { assertEquals } from "@std/assert";
import { format } from "../../src/packet/mod.ts";
import { test } from "../leaks.ts";
import { SAMPLES } from "./samples.ts";
import { tcpdump } from "./tcpdump.ts";

/** tcpdump's lines without its double spaces, and with a tunnel's packet on the same line. */
function lineOf(frame: Uint8Array): string {
  const text = tcpdump([frame], "ethernet");
  return text.replace("\n", ": ").replace(/: {2}|, {2}/g, (gap) => gap.slice(0, 2));
}

/** What format() says beyond tcpdump: a DHCP message's type and the address given. */
const BEYOND: Readonly<Record<string, string>> = {
  "DHCP discover": ", DISCOVER",
  "DHCP offer": ", OFFER, 10.0.0.50",
};

for (const [name, frame] of Object.entries(SAMPLES)) {
  test(`format() prints what tcpdump prints: ${name}`, () => {
    assertEquals(format(frame), lineOf(frame) + (BEYOND[name] ?? ""));
  });
}

test("tcpdump finds every checksum that buildPacket() writes correct", () => {
  const text = tcpdump(Object.values(SAMPLES), "ethernet", "-vv");
  assertEquals(text.match(/\[(wrong|bad)[^\]]*\]|\((incorrect|bad)[^)]*\)/g), null);
  const verified = text.match(/\(correct\)|udp sum ok|icmp6 sum ok/g)!;
  // Those in fragments, tunnels and ICMP errors aside.
  assertEquals(verified.length > 30, true);
});

test("format() prints IP packets as on a TUN", () => {
  const packet = SAMPLES["TCP SYN"]!.subarray(14);
  assertEquals(format(packet, { layer: "ip" }), format(SAMPLES["TCP SYN"]!));
  assertEquals(format(packet, { layer: "ip" }), tcpdump([packet], "ip"));
});

test("format() says where a packet is cut off", () => {
  const frame = SAMPLES["TCP SYN"]!;
  const lines = new Set(Array.from(frame, (_, i) => format(frame.subarray(0, i))));
  assertEquals([...lines], [
    "[|ether]",
    "[|ip]",
    "IP [|ip]",
    "IP 10.0.0.1 > 10.0.0.2: [|tcp]",
  ]);
});
