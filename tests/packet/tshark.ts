// tshark as oracle: its fields of packets in a file.
import { test } from "../leaks.ts";
import { type LINK_TYPES, withPcap } from "./tcpdump.ts";

/** Whether tshark is installed. */
const hasTshark = (() => {
  try {
    return new Deno.Command("tshark", { args: ["--version"] }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
})();

/** A test that needs tshark. */
export function tsharkTest(name: string, fn: () => void | Promise<void>): void {
  test(name, { lacks: hasTshark ? undefined : "tshark is not installed" }, fn);
}

/** Verifies checksums, which tshark leaves out by default. */
const CHECKSUMS = ["ip", "tcp", "udp"].flatMap((name) => ["-o", `${name}.check_checksum:TRUE`]);

/** Runs tshark on a capture file and returns a row of fields for each packet. */
export function tsharkFile(path: string, ...fields: string[]): string[][] {
  const names = fields.flatMap((field) => ["-e", field]);
  const args = ["-r", path, ...CHECKSUMS, "-T", "fields", "-E", "occurrence=l", ...names];
  const { success, stdout, stderr } = new Deno.Command("tshark", { args }).outputSync();
  if (!success) throw new Error(`tshark: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).replace(/\n$/, "").split("\n")
    .map((line) => line.split("\t"));
}

/** The fields that tshark finds in packets. */
export function tshark(
  packets: readonly Uint8Array[],
  layer: keyof typeof LINK_TYPES,
  ...fields: string[]
): string[][] {
  return withPcap(packets, layer, (path) => tsharkFile(path, ...fields));
}

/** The verdict of tshark on the checksum of UDP, TCP or ICMPv6 in each packet. */
export function verdicts(packets: readonly Uint8Array[], layer: keyof typeof LINK_TYPES): string[] {
  const fields = ["udp", "tcp", "icmpv6"].map((name) => `${name}.checksum.status`);
  return tshark(packets, layer, ...fields).map((row) => WORDS[row.join("")] ?? row.join(","));
}

const WORDS: Readonly<Record<string, string>> = {
  0: "bad",
  1: "good",
  3: "not present",
  4: "illegal",
};
