/**
 * One end of the traffic: a worker, started in its namespace, that sends or counts.
 *
 * @module
 */
import { type DeviceTransfer, PacketBatch, receiveDevice } from "@netloom/netloom/device";

/** A request of the other thread. */
export type Job =
  | { readonly job: "receive-tcp"; readonly port: number }
  | {
    readonly job: "send-tcp";
    readonly address: string;
    readonly port: number;
    readonly ms: number;
  }
  | { readonly job: "receive-udp"; readonly device: DeviceTransfer }
  | {
    readonly job: "send-udp";
    readonly device: DeviceTransfer;
    readonly ms: number;
    readonly size: number;
  }
  | { readonly job: "stop" };

/** An answer: the worker listens, or it has finished. */
export type Answer =
  | { readonly ready: true }
  | { readonly ready: false; readonly count: number; readonly seconds: number };

const scope = self as unknown as {
  onmessage: (event: { readonly data: Job }) => void;
  postMessage(answer: Answer): void;
};
let stop = new AbortController();

scope.onmessage = async ({ data }) => {
  if (data.job === "stop") return stop.abort();
  stop = new AbortController();
  const { count, seconds } = await run(data);
  scope.postMessage({ ready: false, count, seconds });
};

function run(job: Exclude<Job, { job: "stop" }>): Promise<{ count: number; seconds: number }> {
  switch (job.job) {
    case "receive-tcp":
      return receiveTcp(job.port);
    case "send-tcp":
      return sendTcp(job.address, job.port, job.ms);
    case "receive-udp":
      return receiveUdp(job.device);
    case "send-udp":
      return sendUdp(job.device, job.ms, job.size);
  }
}

/** Counts the bytes of one connection. */
async function receiveTcp(port: number): Promise<{ count: number; seconds: number }> {
  using listener = Deno.listen({ port });
  scope.postMessage({ ready: true });
  using connection = await listener.accept();
  const buffer = new Uint8Array(1 << 20);
  let count = 0;
  const started = performance.now();
  for (let n: number | null; (n = await connection.read(buffer)) !== null;) count += n;
  return { count, seconds: (performance.now() - started) / 1000 };
}

/** Writes to a connection at full speed. */
async function sendTcp(address: string, port: number, ms: number) {
  using connection = await Deno.connect({ hostname: address, port });
  const buffer = new Uint8Array(1 << 20);
  let count = 0;
  const started = performance.now();
  while (performance.now() - started < ms) count += await connection.write(buffer);
  return { count, seconds: (performance.now() - started) / 1000 };
}

/** Counts datagrams until a stop request. */
async function receiveUdp(transfer: DeviceTransfer): Promise<{ count: number; seconds: number }> {
  using device = receiveDevice(transfer);
  const batch = new PacketBatch({ packets: 64, size: 2048 });
  scope.postMessage({ ready: true });
  let count = 0;
  const started = performance.now();
  try {
    for (;;) count += await device.readBatch(batch, { signal: stop.signal });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
  return { count, seconds: (performance.now() - started) / 1000 };
}

/** Sends datagrams at full speed. */
async function sendUdp(transfer: DeviceTransfer, ms: number, size: number) {
  using device = receiveDevice(transfer);
  const batch = new PacketBatch({ packets: 64, size: 2048 });
  const datagram = new Uint8Array(size);
  for (let i = 0; i < 64; i++) batch.add(datagram);
  let count = 0;
  const started = performance.now();
  while (performance.now() - started < ms) {
    await device.writeBatch(batch);
    count += 64;
  }
  return { count, seconds: (performance.now() - started) / 1000 };
}
