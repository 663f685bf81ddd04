// tcpdump as oracle: what it says of packets that are written to a file.
import { tcpdumpCommand } from "../tcpdump.ts";

/** What packets begin with: `DLT_EN10MB` or `DLT_RAW`. */
const LINK_TYPES = { ethernet: 1, ip: 101 } as const;

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

/** What `tcpdump -nnSt` with further arguments prints of packets. */
export function tcpdump(
  packets: readonly Uint8Array[],
  layer: keyof typeof LINK_TYPES,
  ...args: string[]
): string {
  const file = Deno.makeTempFileSync({ suffix: ".pcap" });
  try {
    Deno.writeFileSync(file, pcap(packets, layer));
    const command = tcpdumpCommand("-nnSt", ...args, "-r", file);
    const { success, stdout, stderr } = command.outputSync();
    if (!success) throw new Error(`tcpdump: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout).trimEnd();
  } finally {
    Deno.removeSync(file);
  }
}
