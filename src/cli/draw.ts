/**
 * `netloom draw`.
 *
 * @module
 */
import { NetNs } from "../netns/netns.ts";
import { draw, type DrawOptions } from "../view/mod.ts";
import { openNetNs } from "./namespace.ts";
import { type Call, word } from "./verb.ts";

/** Draws the namespaces of the arguments; without any, the current one and all that have a name. */
export async function run(call: Call): Promise<void> {
  const namespaces = call.args.length > 0
    ? call.args.map(openNetNs)
    : [NetNs.current(), ...NetNs.list().map((name) => NetNs.open(name))];
  try {
    const { output: _, ...options } = call.options;
    const format = call.out.json ? { format: "json" } : {};
    const picture = await draw(namespaces, { ...options, ...format } as DrawOptions);
    const file = word(call, "output");
    if (file === undefined) return call.out.text(picture);
    Deno.writeTextFileSync(file, picture);
    call.out.say(`${file} has ${namespaces.length} namespaces`);
  } finally {
    for (const netns of namespaces) netns[Symbol.dispose]();
  }
}
