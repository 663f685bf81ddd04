/**
 * The throughput of TCP between namespaces.
 *
 * @module
 */
import type { NetNs } from "@netloom/netloom";

/** A connection. */
export interface Flow {
  /** Where it starts. */
  readonly from: NetNs;
  /** Where it ends. */
  readonly to: NetNs;
  /** The address there. */
  readonly address: string;
  /** The port there. */
  readonly port: number;
}

/** The first milliseconds do not count: a burst passes at once, and TCP finds its rate. */
const WARM_UP = 300;
/** Milliseconds that count. */
const MEASURED = 1200;

/** Sends as much as passes through all flows at once, and returns the bits per second that arrive. */
export async function throughput(flows: readonly Flow[]): Promise<number[]> {
  return await Promise.all(flows.map(one));
}

async function one({ from, to, address, port }: Flow): Promise<number> {
  using listener = to.listen({ hostname: address, port });
  const accepted = listener.accept();
  const sender = await from.connect({ hostname: address, port });
  const receiver = await accepted;
  // Ends with the connection.
  const sending = (async () => {
    const chunk = new Uint8Array(16 << 10);
    for (;;) await sender.write(chunk);
  })().catch(() => {});
  const buffer = new Uint8Array(256 << 10);
  const start = performance.now();
  let [bytes, first, now] = [0, start, start];
  while (now < start + WARM_UP + MEASURED) {
    const read = await receiver.read(buffer) ?? 0;
    now = performance.now();
    if (now < start + WARM_UP) first = now;
    else bytes += read;
  }
  receiver.close();
  sender.close();
  await sending;
  return bytes * 8000 / (now - first);
}
