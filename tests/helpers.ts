// What tests of more than one directory need: iproute2 in a namespace, and messages as hexadecimal.
import type { NetNsRef } from "../ffi/namespace.ts";
import { within } from "../ffi/namespace.ts";
import { source, Writer } from "../src/netlink/bytes.ts";
import type { Request } from "../src/netlink/message.ts";

/** An object in iproute2's JSON. */
export type Json = Record<string, unknown>;

const decoder = new TextDecoder();

/**
 * Runs a command line in a namespace.
 *
 * @throws When it fails; with what it wrote to standard error.
 */
export function run(netns: NetNsRef, line: string): string {
  // A shell costs a millisecond: only where there is something to unquote.
  const [command, ...args] = line.includes("'") ? ["sh", "-c", line] : line.trim().split(/\s+/);
  const output = within(netns, () => new Deno.Command(command!, { args }).outputSync());
  if (output.success) return decoder.decode(output.stdout);
  throw new Error(`${line}: ${decoder.decode(output.stderr).trim()}`);
}

/** Runs `ip` in a namespace; with `-j` among the words its JSON, without the empty objects in it. */
export function ip(netns: NetNsRef, words: string): Json[] {
  const text = run(netns, `ip ${words}`);
  if (!/(^| )-j /.test(words) || text.trim() === "") return [];
  return (JSON.parse(text) as Json[]).filter((entry) => Object.keys(entry).length > 0);
}

/** Runs `bridge` in a namespace; with `-j` among the words its JSON. */
export function bridge(netns: NetNsRef, words: string): Json[] {
  const text = run(netns, `bridge ${words}`);
  return /(^| )-j /.test(words) && text.trim() !== "" ? JSON.parse(text) : [];
}

/** Sets a variable below /proc/sys in a namespace. */
export function sysctl(netns: NetNsRef, name: string, value: string): void {
  within(netns, () => Deno.writeTextFileSync(`/proc/sys/${name}`, value));
}

/** The bytes of a hexadecimal text; white space in it does not count. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replace(/\s+/g, "");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Bytes as hexadecimal, four in a group. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte, i) => (i > 0 && i % 4 === 0 ? " " : "") + hex(byte)).join("");
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** What a request sends after the netlink header, as {@link toHex} has it. */
export function bodyOf(request: Request): string {
  const writer = new Writer(16);
  request.format.write(writer, request.message);
  writer.align();
  return toHex(writer.bytes.subarray(0, writer.length));
}

/** Reads a message body, given in hexadecimal, as the answer to a request. */
export function readReply<T>(request: Request<T>, body: string): T {
  const bytes = fromHex(body);
  // Not at the start of its memory, as messages never are.
  const memory = new Uint8Array(bytes.length + 24).fill(0xee);
  memory.set(bytes, 16);
  return request.reply!(source(memory), 16, 16 + bytes.length);
}
