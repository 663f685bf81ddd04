/**
 * `netloom logs`: the output of a node's commands.
 *
 * @module
 */
import { logs } from "../lab/mod.ts";
import { labNameOf } from "./lab_choice.ts";
import type { Call } from "./verb.ts";

/** Prints the output so far, or follows it until Ctrl-C or the end of the lab. */
export async function run(call: Call): Promise<number> {
  const [node = ""] = call.args;
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  Deno.addSignalListener("SIGINT", interrupt);
  const follow = call.options.follow === true;
  const pieces = logs(await labNameOf(call), node, { follow, signal: stop.signal });
  let output = "";
  try {
    for await (const piece of pieces) {
      if (follow) call.out.event({ node, output: piece }, piece);
      else output += piece;
    }
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
  }
  if (!follow) call.out.result({ node, output }, output);
  return stop.signal.aborted ? 130 : 0;
}
