// Programs with workers that serve packet devices.
import { assertEquals } from "@std/assert";
import { script } from "../script.ts";

/** Runs a program with workers; it has `worker(source)` that starts one with the library. */
export async function withWorkers(source: string): Promise<string> {
  // In a process of its own: Deno closes nothing that a terminated worker has opened through FFI.
  const { stdout, stderr } = await script(
    `
    import * as netloom from "./mod.ts";
    const { NetNs, Tap, Tun, receiveDevice } = netloom;
    function worker(source) {
      const text = 'import * as netloom from "' + import.meta.resolve("./mod.ts") + '";' +
        "const { receiveDevice } = netloom; " + source;
      return new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })), { type: "module" });
    }
    const next = (worker) => new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
    ${source}
  `,
    { flags: ["-A", "--unstable-net"] },
  );
  assertEquals(stderr, "");
  return stdout;
}
