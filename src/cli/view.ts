/**
 * `netloom view`.
 *
 * @module
 */
import { NetNs } from "../netns/netns.ts";
import { NetNsSource, servePage } from "../page/mod.ts";
import { openNetNs } from "./namespace.ts";
import { type Call, numeric, word } from "./verb.ts";

/** Serves the page until Ctrl-C. */
export async function run(call: Call): Promise<number> {
  const namespaces = call.args.length > 0
    ? call.args.map(openNetNs)
    : [NetNs.current(), ...NetNs.list().map((name) => NetNs.open(name))];
  const stop = new AbortController();
  const onInterrupt = () => stop.abort();
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    const title = word(call, "title");
    const port = numeric(call, "port");
    const page = servePage(
      new NetNsSource(namespaces, title === undefined ? {} : { title }),
      { signal: stop.signal, ...port === undefined ? {} : { port } },
    );
    call.out.result({ url: page.url }, `${page.url}\n`);
    call.out.say("The page shows the network as it is; Ctrl-C ends it");
    await page.finished;
    return 130;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
    for (const netns of namespaces) netns[Symbol.dispose]();
  }
}
