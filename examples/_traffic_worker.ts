/**
 * One end of a TCP connection, on a thread and in a namespace of its own: sends as fast as it can, or
 * counts what comes.
 *
 * @module
 */
/// <reference lib="deno.worker" />
const PORT = 5201;

/** What {@link self} is sent: where to send for how many milliseconds; without, it counts. */
export interface Job {
  readonly hostname: string;
  readonly milliseconds?: number;
}

async function send(hostname: string, milliseconds: number): Promise<void> {
  const connection = await Deno.connect({ hostname, port: PORT });
  const bytes = new Uint8Array(1 << 17);
  const end = performance.now() + milliseconds;
  while (performance.now() < end) await connection.write(bytes);
  await connection.closeWrite();
  // The other end closes when it has everything.
  await connection.read(bytes);
  connection.close();
  self.postMessage("sent");
}

async function count(hostname: string): Promise<void> {
  using listener = Deno.listen({ hostname, port: PORT });
  self.postMessage("listening");
  using connection = await listener.accept();
  const buffer = new Uint8Array(1 << 18);
  const start = performance.now();
  let bytes = 0;
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
    bytes += n;
  }
  self.postMessage(bytes / (performance.now() - start) * 8 / 1e6);
}

self.onmessage = ({ data: { hostname, milliseconds } }: MessageEvent<Job>) =>
  milliseconds === undefined ? count(hostname) : send(hostname, milliseconds);
