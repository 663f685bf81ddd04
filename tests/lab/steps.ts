// Faults at steps: a sample of the steps in the suite, all with ALL_STEPS=1 (`deno task test:faults`).
import { assertEquals } from "@std/assert";
import { interceptSends } from "../../src/netlink/socket.ts";

/** Whether all steps are tested. */
export const ALL_STEPS: boolean = Deno.env.get("ALL_STEPS") === "1";

/** One in so many steps is tested in the suite. */
const SAMPLE = 5;

/** Some of the numbers 1 to `count`, others each time; or all. */
export function stepsUpTo(count: number): number[] {
  const all = Array.from({ length: count }, (_, i) => i + 1);
  if (ALL_STEPS) return all;
  const first = Math.floor(Math.random() * SAMPLE);
  return all.filter((_, i) => i % SAMPLE === first);
}

/** Above the last message type of rtnetlink: the kernel answers EOPNOTSUPP. */
const NO_SUCH_TYPE = 0x7f0;

/** Counts the messages sent until `hook` is disposed, and breaks the n-th of them. */
export function faulty(n: number): Disposable & { count: number } {
  const hook = interceptSends((bytes, length) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    for (let at = 0; at < length; at += (view.getUint32(at, true) + 3) & ~3) {
      if (++state.count === n) view.setUint16(at + 4, NO_SUCH_TYPE, true);
    }
  });
  const state = { count: 0, [Symbol.dispose]: () => hook[Symbol.dispose]() };
  return state;
}

/**
 * Brings a lab to a topology, or down, in a process of its own, which kills itself before its n-th send that
 * changes something.
 *
 * @returns Whether it came to that.
 */
export async function killedAt(
  n: number,
  job: { readonly name: string; readonly up?: object },
): Promise<boolean> {
  const { name, up } = job;
  const code = `
    import { interceptSends } from "./src/netlink/socket.ts";
    import { down, up } from "./src/lab/mod.ts";
    let count = 0;
    interceptSends((bytes) => {
      const type = new DataView(bytes.buffer, bytes.byteOffset).getUint16(4, true);
      if ((type & 3) === 2 || ++count !== ${n}) return;
      Deno.kill(Deno.pid, "SIGKILL");
    });
    ${
    up === undefined
      ? `await down("${name}");`
      : `(await up(${JSON.stringify(up)}, { name: "${name}" })).persist();`
  }
    Deno.exit(0);
  `;
  const { signal, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    cwd: new URL("../../", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  return signal === "SIGKILL";
}
