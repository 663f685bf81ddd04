/**
 * `netloom view`.
 *
 * @module
 */
import { list } from "../lab/mod.ts";
import { LabSource, NetNsSource, type PageSource, servePage } from "../page/mod.ts";
import { namespacesOf } from "./draw.ts";
import { labOf } from "./lab_choice.ts";
import { type Call, numeric, word } from "./verb.ts";

/** Serves the page until Ctrl-C. */
export async function run(call: Call): Promise<number> {
  const stop = new AbortController();
  const onInterrupt = () => stop.abort();
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    await using stack = new AsyncDisposableStack();
    const port = numeric(call, "port");
    const page = servePage(await sourceOf(call, stack), {
      signal: stop.signal,
      ...port === undefined ? {} : { port },
    });
    call.out.result({ url: page.url }, `${page.url}\n`);
    call.out.say("The page shows the network as it is; Ctrl-C ends it");
    await page.finished;
    return 130;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

/** The lab that runs, or namespaces. */
async function sourceOf(call: Call, stack: AsyncDisposableStack): Promise<PageSource> {
  const title = word(call, "title");
  if (call.args.length === 0 && (word(call, "lab") !== undefined || list().length === 1)) {
    return new LabSource(stack.use(await labOf(call)));
  }
  const namespaces = namespacesOf(call.args).map((netns) => stack.use(netns));
  return new NetNsSource(namespaces, title === undefined ? {} : { title });
}
