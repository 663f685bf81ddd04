/**
 * What examples/bridge.ts does, with names of its own, one ping and the time of each step.
 *
 * `deno run -A first_ping_child.ts PREFIX` prints one line of JSON. Its processor time is that of the
 * whole process, Deno's start included.
 *
 * @module
 */
import { Bridge, NetNs, Scope, Veth } from "@netloom/netloom";
import { cpuTime } from "./_measure.ts";

/** What the recipe took, in milliseconds. */
export interface FirstPing {
  /** Round trip of the ping. */
  readonly rtt_ms: number;
  /** From the first call of the library to the ping's reply. */
  readonly setup_to_reply_ms: number;
  /** The same until everything was removed again and gone. */
  readonly total_ms: number;
}

/**
 * Runs the recipe once.
 *
 * @param prefix What all names start with, 12 characters at most.
 * @param replied Called when the reply has come, before anything is removed.
 */
export async function recipe(prefix: string, replied = () => {}): Promise<FirstPing> {
  const started = performance.now();
  const reply = await setUpAndPing(prefix, started, replied);
  return { ...reply, total_ms: performance.now() - started };
}

async function setUpAndPing(prefix: string, started: number, replied: () => void) {
  await using lab = Scope.open({ name: prefix, replace: true, signals: true });
  const ns1 = NetNs.create(`${prefix}-ns1`, { scope: lab });
  const ns2 = NetNs.create(`${prefix}-ns2`, { scope: lab });
  const bridge = Bridge.create({ scope: lab, name: `${prefix}br`, stp: false, up: true });
  Veth.create({
    scope: lab,
    name: `${prefix}t1`,
    netns: ns1,
    up: true,
    addresses: ["192.168.123.1/24"],
    peer: { name: `${prefix}p1`, master: bridge, up: true },
  });
  Veth.create({
    scope: lab,
    name: `${prefix}t2`,
    netns: ns2,
    up: true,
    addresses: ["192.168.123.2/24"],
    peer: { name: `${prefix}p2`, master: bridge, up: true },
  });
  await lab.ready();
  const { replies } = await ns1.ping("192.168.123.2", { timeout: 5000 });
  const setup_to_reply_ms = performance.now() - started;
  replied();
  if (!replies[0]) throw new Error("No reply");
  return { rtt_ms: replies[0].time, setup_to_reply_ms };
}

if (import.meta.main) {
  const result = await recipe(Deno.args[0]!);
  console.log(JSON.stringify({ ...result, cpu_ms: cpuTime() }));
}
