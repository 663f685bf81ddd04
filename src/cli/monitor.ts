/**
 * `netloom monitor`.
 *
 * @module
 */
import type { MonitorOptions } from "../observe/mod.ts";
import { netnsOf } from "./namespace.ts";
import { type Call, numeric } from "./verb.ts";

/** Prints events until Ctrl-C, or until as many as asked for have come. */
export async function run(call: Call): Promise<number> {
  using netns = netnsOf(call);
  const tables = Object.fromEntries(call.args.map((table) => [table, true])) as MonitorOptions;
  const stop = new AbortController();
  let interrupted = false;
  const onInterrupt = () => {
    interrupted = true;
    stop.abort();
  };
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    await using events = netns.monitor({ ...tables, signal: stop.signal });
    let left = numeric(call, "count") ?? Infinity;
    for await (const event of events) {
      if (event.type === "snapshot") {
        if (!call.out.json) call.out.say("Watching; Ctrl-C ends it");
        continue;
      }
      call.out.event(event, `${lineOf(event)}\n`);
      if (--left <= 0) break;
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
  return interrupted ? 130 : 0;
}

/** An event as a line: `link add v0`. */
export function lineOf(event: { readonly type: string }): string {
  const { type, action, changed, ...rest } = event as Record<string, unknown> & { type: string };
  const subject = rest[type] as Record<string, unknown> | undefined;
  const name = subject?.name ?? subject?.destination ?? subject?.address ?? subject?.mac ?? "";
  const details = (changed as string[] | undefined)?.map((key) =>
    `${key} ${JSON.stringify(subject?.[key])}`
  );
  return [type, action, name, ...details ?? []].filter(Boolean).join(" ");
}
