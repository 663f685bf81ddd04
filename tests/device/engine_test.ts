import { assertEquals } from "@std/assert";
import { batchEngineName, useEngine } from "../../mod.ts";
import { ERRNO } from "../../ffi/errno.ts";
import { threadRing } from "../../ffi/packet_io.ts";
import { test } from "../leaks.ts";
import { script } from "../script.ts";
import { withoutRing } from "./lab.ts";

const ROUND_TRIP = `
  import { batchEngineName, NetNs, PacketBatch, Tun } from "./mod.ts";
  using netns = NetNs.create();
  using tun = Tun.create({ name: "t0", netns, up: true, addresses: ["10.9.0.1/24"] });
  const batch = new PacketBatch({ packets: 8, size: 2048 });
  const ping = netns.ping("10.9.0.2", { timeout: 30_000 });
  const isEcho = (i) => batch.packet(i)[0] === 0x45 && batch.packet(i)[20] === 8;
  for (let answered = false; !answered;) {
    await tun.readBatch(batch);
    for (let i = 0; i < batch.count; i++) {
      if (!isEcho(i)) { batch.lengths[i] = 0; continue; }
      const packet = batch.packet(i);
      packet.set([10, 9, 0, 2, 10, 9, 0, 1], 12);
      packet[20] = 0;
      const sum = packet[22] * 256 + packet[23] + 0x800;
      packet.set([(sum + (sum >> 16)) >> 8 & 255, sum + (sum >> 16) & 255], 22);
      answered = true;
    }
    // What is empty is refused, and the others are written.
    await tun.writeBatch(batch).catch(() => {});
  }
  console.log(batchEngineName(), (await ping).received);
`;

/** Descriptors and mappings of rings in this process. */
const OPEN_RINGS = `
  const openRings = () =>
    [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
      try {
        return Deno.readLinkSync("/proc/self/fd/" + name).includes("io_uring");
      } catch {
        return false;
      }
    }).length + Deno.readTextFileSync("/proc/self/maps").split("io_uring").length - 1;
`;

test("Batches go through io_uring where the kernel has it and allows it", () => {
  assertEquals(batchEngineName(), threadRing() ? "io_uring" : "loop");
  useEngine("loop");
  assertEquals(batchEngineName(), "loop");
  useEngine(undefined);
  assertEquals(batchEngineName(), threadRing() ? "io_uring" : "loop");
});

for (const [errno, name] of [[1, "EPERM"], [38, "ENOSYS"]] as const) {
  test(`Where io_uring is forbidden with ${name}, batches go packet by packet`, async () => {
    // As containers do it: a seccomp filter on io_uring_setup(2), of this program only.
    const forbid = `
      const { symbols } = Deno.dlopen("libc.so.6", {
        prctl: { parameters: ["i32", "u64", "buffer", "u64", "u64"], result: "i32" },
      });
      // struct sock_filter: u16 code, u8 jt, u8 jf, u32 k
      const filter = new Uint8Array(32), view = new DataView(filter.buffer);
      [[0x20, 0, 0, 0], [0x15, 0, 1, 425], [0x06, 0, 0, 0x50000 | ${errno}],
        [0x06, 0, 0, 0x7fff0000]].forEach(([code, jt, jf, k], i) => {
        view.setUint16(8 * i, code, true);
        filter.set([jt, jf], 8 * i + 2);
        view.setUint32(8 * i + 4, k, true);
      });
      // struct sock_fprog: u16 len, struct sock_filter *filter
      const program = new BigUint64Array([4n, Deno.UnsafePointer.value(Deno.UnsafePointer.of(filter))]);
      const [PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER] = [38, 22, 2n];
      symbols.prctl(PR_SET_NO_NEW_PRIVS, 1n, null, 0n, 0n);
      console.log(symbols.prctl(PR_SET_SECCOMP, MODE_FILTER, new Uint8Array(program.buffer), 0n, 0n));
    `;
    const { stdout, stderr } = await script(
      ROUND_TRIP.replace("using netns", `${forbid} using netns`),
    );
    assertEquals([stderr, stdout], ["", "0\nloop 1\n"]);
  });
}

test("Each thread has a ring of its own", { lacks: withoutRing() }, async () => {
  const { stdout, stderr } = await script(`
    const source = ${
    JSON.stringify(ROUND_TRIP)
  }.replace("./mod.ts", import.meta.resolve("./mod.ts"))
      .replace(/console.log\\((.*)\\);/, "postMessage([$1]);");
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const workers = Array.from({ length: 3 }, () => new Worker(url, { type: "module" }));
    const answers = workers.map((worker) => new Promise((resolve) => worker.onmessage = resolve));
    for (const { data } of await Promise.all(answers)) console.log(data.join(" "));
    Deno.exit();
  `);
  assertEquals([stderr, stdout], ["", "io_uring 1\n".repeat(3)]);
});

for (const code of ["EPERM", "EAGAIN", "EBUSY"] as const) {
  const lacks = withoutRing();
  test(`Where io_uring_enter(2) fails with ${code} from now on, batches go packet by packet`, {
    lacks,
  }, async () => {
    const { stdout, stderr } = await script(
      ROUND_TRIP.replace(
        "const ping",
        `
          const { interceptCalls } = await import("./ffi/libc.ts");
          const engine = batchEngineName();
          interceptCalls((call) => call === "enter" ? ${ERRNO[code]} : undefined);
          const ping`,
      ).replace("console.log(", `${OPEN_RINGS} console.log(engine, openRings(), `),
    );
    assertEquals([stderr, stdout], ["", "io_uring 0 loop 1\n"]);
  });
}

for (const n of [1, 2]) {
  test(`A ring whose mapping ${n} of 2 fails leaves nothing, and batches go packet by packet`, {
    lacks: withoutRing(),
  }, async () => {
    const { stdout, stderr } = await script(`
      import { interceptCalls } from "./ffi/libc.ts";
      let maps = 0;
      interceptCalls((call) => call === "mmap" && ++maps === ${n} ? ${ERRNO.ENOMEM} : undefined);
      ${ROUND_TRIP}
      ${OPEN_RINGS}
      console.log(openRings());
    `);
    assertEquals([stderr, stdout], ["", "loop 1\n0\n"]);
  });
}

test("A reactor that cannot start leaves nothing, and starts when it can", async () => {
  const { stdout, stderr } = await script(`
    import { interceptCalls } from "./ffi/libc.ts";
    import { NetNs, Tun } from "./mod.ts";
    using netns = NetNs.create();
    using tun = Tun.create({ name: "t0", netns, up: true });
    const buffer = new Uint8Array(2048);
    const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
    while (tun.tryRead(buffer) > 0);
    const before = open();
    for (const call of ["epoll_create1", "eventfd", "epoll_ctl"]) {
      using _faults = interceptCalls((name) => name === call ? ${ERRNO.EMFILE} : undefined);
      console.log(await tun.read(buffer).catch((error) => error.message), open() - before);
    }
    console.log(await tun.read(buffer, { signal: AbortSignal.timeout(1) }).catch(({ name }) => name));
  `);
  assertEquals(stderr, "");
  assertEquals(stdout.replace(/descriptor \d+/, "descriptor").trimEnd().split("\n"), [
    "start the reactor: Too many open files (EMFILE, epoll_create1) 0",
    "start the reactor: Too many open files (EMFILE, eventfd) 0",
    "wait for descriptor: Too many open files (EMFILE, epoll_ctl) 0",
    "TimeoutError",
  ]);
});
