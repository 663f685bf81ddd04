// Measures the events per second that a monitor reports: while iproute2 processes change things without a
// pause, and from a full queue.
//
//     deno run -A tests/observe/rate.ts [SECONDS]
import { newNetNs, within } from "../../ffi/namespace.ts";
import { ip } from "../helpers.ts";
import { monitor } from "../../src/observe/monitor.ts";
import { changeLink, changeRoutes } from "./load.ts";
import "../../src/link/mod.ts";

const seconds = Number(Deno.args[0] ?? 5);
using ref = newNetNs("the measured netns");
ip(ref, "link add br0 up type bridge");
ip(ref, "link set lo up");

async function sustained(name: string, commands: (n: number) => string[]): Promise<void> {
  await using events = monitor({ netns: { ref } });
  await events.next();
  const processes = [0, 1].map((n) =>
    within(ref, () => {
      const line = commands(n).map((command) => command + "\n").join("");
      const lines = new TextEncoder().encode(line.repeat(1000));
      const child = new Deno.Command("ip", { args: ["-batch", "-"], stdin: "piped" }).spawn();
      const writer = child.stdin.getWriter();
      const feed = async () => {
        while (performance.now() < until) await writer.write(lines);
        await writer.close();
        await child.status;
      };
      const until = performance.now() + seconds * 1000;
      return feed();
    })
  );
  let running = true;
  Promise.all(processes).then(() => running = false);
  const started = performance.now();
  let [count, overruns] = [0, 0];
  for await (const event of events) {
    count++;
    if (event.type === "overrun") overruns++;
    if (!running || performance.now() - started > seconds * 1000) break;
  }
  const rate = Math.round(count / (performance.now() - started) * 1000);
  console.log(`${name}, as they come: ${rate} events/s for ${seconds} s, ${overruns} overruns`);
  await Promise.all(processes);
}

async function queued(name: string, make: () => void, each: number): Promise<void> {
  await using events = monitor({ netns: { ref } });
  await events.next();
  let [count, time] = [0, 0];
  while (time < seconds * 500) {
    make();
    const started = performance.now();
    for (let i = 0; i < each; i++, count++) {
      if ((await events.next()).value?.type === "overrun") throw new Error("overrun");
    }
    time += performance.now() - started;
  }
  console.log(`${name}, queued: ${Math.round(count / time * 1000)} events/s`);
}

const address = (n: number) => `10.${n}.0.0/16 dev lo`;
await sustained("routes", (n) => [`route add ${address(n)}`, `route delete ${address(n)}`]);
await sustained("links", (n) => [`link set br0 mtu 14${n}0`, `link set br0 mtu 14${n}1`]);
await queued("routes", () => changeRoutes(ref, 500), 1000);
await queued("links", () => changeLink(ref, 2, 500), 500);
