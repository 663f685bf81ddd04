// tcpdump as oracle: its lines for packets in a file.
import { tcpdumpCommand } from "../tcpdump.ts";

/** Link types: `DLT_EN10MB` and `LINKTYPE_RAW`. */
export const LINK_TYPES = { ethernet: 1, ip: 101 } as const;

/** A pcap file with these packets, a microsecond apart. */
function pcap(packets: readonly Uint8Array[], layer: keyof typeof LINK_TYPES): Uint8Array {
  const bytes = new Uint8Array(packets.reduce((sum, { length }) => sum + 16 + length, 24));
  const view = new DataView(bytes.buffer);
  [0xa1b2c3d4, 4 << 16 | 2, 0, 0, 0x40000, LINK_TYPES[layer]].forEach((word, i) =>
    view.setUint32(i * 4, word, i !== 1)
  );
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  let at = 24;
  for (const [i, packet] of packets.entries()) {
    view.setUint32(at + 4, i, true);
    view.setUint32(at + 8, packet.length, true);
    view.setUint32(at + 12, packet.length, true);
    bytes.set(packet, at + 16);
    at += 16 + packet.length;
  }
  return bytes;
}

/** Calls `fn` with the path of a file with these packets. */
export function withPcap<T>(
  packets: readonly Uint8Array[],
  layer: keyof typeof LINK_TYPES,
  fn: (path: string) => T,
): T {
  const file = Deno.makeTempFileSync({ suffix: ".pcap" });
  try {
    Deno.writeFileSync(file, pcap(packets, layer));
    return fn(file);
  } finally {
    Deno.removeSync(file);
  }
}

/** The lines that `tcpdump -nnSt` with further arguments prints. */
export function tcpdump(
  packets: readonly Uint8Array[],
  layer: keyof typeof LINK_TYPES,
  ...args: string[]
): string {
  return withPcap(packets, layer, (file) => {
    const command = tcpdumpCommand("-nnSt", ...args, "-r", file);
    const { success, stdout, stderr } = command.outputSync();
    if (!success) throw new Error(`tcpdump: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout).trimEnd();
  });
}
