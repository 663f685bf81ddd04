// Impairments that are set, changed and cleared while iperf3 runs, against the losses on the link.
import { assert, assertEquals } from "@std/assert";
import { capabilities } from "../../mod.ts";
import "../../src/traffic/mod.ts";
import type { EngineName, ImpairOptions } from "../../src/traffic/mod.ts";
import { test } from "../leaks.ts";
import { sleep, Wire } from "./meter.ts";

const HERE: Readonly<Record<EngineName, ImpairOptions>> = {
  kernel: { rate: "1gbit", engine: "kernel" },
  user: { delay: 5, rate: "1gbit", engine: "user" },
};

const UNCOUNTED = capabilities().kernel.startsWith("6.1.")
  ? "this kernel does not count the packets that it drops"
  : undefined;

/** Runs iperf3 across the wire while `fn` runs: the packets that reached the link, and those that are lost on it. */
async function iperf(
  wire: Wire,
  fn: () => Promise<void>,
): Promise<{ readonly packets: number; readonly lost: number }> {
  const [a, b] = wire.hosts;
  const quiet = { mounts: false, stdin: "null", stdout: "piped", stderr: "piped" } as const;
  const server = b.command("iperf3", { args: ["-s", "-1"], ...quiet }).spawn();
  try {
    const report = server.output();
    await sleep(300);
    // Not by its own report: packets that come all at once overflow its socket.
    const { entered, left } = await wire.counting(async () => {
      const args = ["-c", "10.0.0.2", "-u", "-b", "400k", "-l", "200", "-t", "6"];
      const client = a.command("iperf3", { args, ...quiet }).output();
      await sleep(500);
      await fn();
      const { stderr, success } = await client;
      assert(success, new TextDecoder().decode(stderr));
      await report;
    });
    return { packets: entered, lost: entered - left };
  } finally {
    try {
      server.kill("SIGKILL");
    } catch {
      // It has ended.
    }
  }
}

for (const engine of ["kernel", "user"] as const) {
  test(`iperf3 loses nothing by a merge (${engine})`, async () => {
    using wire = new Wire();
    await wire.ready();
    wire.link.impair(HERE[engine]);
    const { packets, lost } = await iperf(wire, async () => {
      for (let i = 1; i <= 20; i++) {
        wire.link.impair({ out: { rate: `${500 + i}mbit` }, in: { limit: 500 + i } });
        await sleep(100);
      }
    });
    assert(packets > 500, `${packets} were sent`);
    assertEquals(lost, 0);
    assertEquals(wire.link.impairment()?.values.out?.rate, 520e6);
  });

  test(
    `iperf3 loses by setting and clearing what they state (${engine})`,
    { lacks: UNCOUNTED },
    async () => {
      using wire = new Wire();
      await wire.ready();
      let stated = 0;
      const { packets, lost } = await iperf(wire, async () => {
        for (let i = 0; i < 5; i++) {
          stated += wire.link.impair(HERE[engine]).lost;
          await sleep(150);
          stated += wire.link.impair(null);
          await sleep(150);
        }
      });
      assert(packets > 500, `${packets} were sent`);
      assertEquals(lost, stated);
    },
  );
}

test(
  "iperf3 loses what is stated when a link goes from one engine to the other and back",
  { lacks: UNCOUNTED },
  async () => {
    using wire = new Wire();
    await wire.ready();
    let stated = 0;
    const { packets, lost } = await iperf(wire, async () => {
      for (const engine of ["kernel", "user", "kernel", "user", "kernel"] as const) {
        const impairment = wire.link.impair({ rate: "1gbit", engine });
        assertEquals([impairment.engine, wire.link.impairment()?.engine], [engine, engine]);
        stated += impairment.lost;
        await sleep(200);
      }
      stated += wire.link.impair(null);
    });
    assert(packets > 500, `${packets} were sent`);
    assertEquals(lost, stated);
    assertEquals(wire.link.impairment(), undefined);
  },
);
