// netloom's side: forwards between two TUNs, or answers pings on one, until it is ended.
//     forward_child.ts NETNS_A NETNS_B OFFLOADS(0|1) MODE
import { DevicePoll, forward, NetNs, PacketBatch, type PacketDevice, Tun } from "../../../mod.ts";
import { useEngine } from "../../../src/device/packet_device.ts";

const [a, b, offloads, mode] = Deno.args as [string, string, string, string];
const MAX = 65_600;

function open(name: string): Tun {
  // Kept open: the TUN's link is looked at later.
  const netns = NetNs.open(name);
  return Tun.create({ name: "t0", netns, ...(offloads === "1" ? { offloads: true } : {}) });
}

/** The same loop as in C. */
function sync(tuns: Tun[]): never {
  const poll = new DevicePoll(tuns);
  const buffer = new Uint8Array(MAX);
  for (;;) {
    poll.wait();
    for (let i = 0; i < tuns.length; i++) {
      if (!poll.ready(i)) continue;
      const from = tuns[i]!;
      const to = tuns[1 - i]!;
      for (let k = 0; k < 64; k++) {
        const n = from.tryRead(buffer);
        if (n < 0) break;
        to.writeSync(buffer, n);
      }
    }
  }
}

/** The same with batches. */
function syncBatch(tuns: Tun[]): never {
  const poll = new DevicePoll(tuns);
  const batch = new PacketBatch({ packets: 128 });
  for (;;) {
    poll.wait();
    for (let i = 0; i < tuns.length; i++) {
      if (poll.ready(i) && tuns[i]!.tryReadBatch(batch) > 0) tuns[1 - i]!.writeBatchSync(batch);
    }
  }
}

async function async_(from: PacketDevice, to: PacketDevice): Promise<never> {
  const buffer = new Uint8Array(MAX);
  for (;;) await to.write(buffer, await from.read(buffer));
}

async function echo(tun: Tun): Promise<never> {
  const p = new Uint8Array(MAX);
  const source = new Uint8Array(4);
  for (;;) {
    const n = await tun.read(p);
    if (n < 28 || p[0] !== 0x45 || p[9] !== 1 || p[20] !== 8) continue;
    for (let i = 0; i < 4; i++) {
      source[i] = p[12 + i]!;
      p[12 + i] = p[16 + i]!;
      p[16 + i] = source[i]!;
    }
    p[20] = 0;
    const sum = p[22]! * 256 + p[23]! + 0x0800;
    const folded = (sum & 0xffff) + (sum >> 16);
    p[22] = folded >> 8;
    p[23] = folded;
    tun.writeSync(p, n);
  }
}

/** How late a timer of 10 ms ever was, in milliseconds; printed at the end. */
function watchTimers(): void {
  let latest = 0;
  let due = performance.now() + 10;
  setInterval(() => {
    const now = performance.now();
    latest = Math.max(latest, now - due);
    due = now + 10;
  }, 10);
  Deno.addSignalListener("SIGTERM", () => {
    console.log(`late ${latest.toFixed(2)}`);
    Deno.exit(0);
  });
}

const IDLE = Number(Deno.env.get("IDLE") ?? 0);
if (IDLE > 0) {
  using netns = NetNs.open(a);
  for (let i = 0; i < IDLE; i++) {
    const tun = Tun.create({ name: `idle${i}`, netns });
    void tun.read(new Uint8Array(2048));
  }
}
if (mode === "echo") {
  const tun = open(a);
  console.log("ready");
  await tun.link.waitFor((link) => link.up);
  await echo(tun);
}
const tuns = [open(a), open(b)] as [Tun, Tun];
console.log("ready");
for (const tun of tuns) await tun.link.waitFor((link) => link.up);
if (mode === "sync") sync(tuns);
else if (mode === "syncbatch") syncBatch(tuns);
else if (mode === "async") {
  if (Deno.env.get("TIMER")) watchTimers();
  await Promise.all([async_(...tuns), async_(tuns[1], tuns[0])]);
} else {
  if (mode === "loop") useEngine("loop");
  const batch = Number(Deno.env.get("BATCH") ?? 64);
  await Promise.all([forward(...tuns, { batch }), forward(tuns[1], tuns[0], { batch })]);
}
