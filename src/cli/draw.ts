/**
 * `netloom draw`.
 *
 * @module
 */
import { NetNs } from "../netns/netns.ts";
import { draw, type DrawOptions } from "../view/mod.ts";
import { graphOf } from "../lab/graph.ts";
import { didYouMean, show } from "../options.ts";
import { isFile, labOf, topologyOf } from "./lab_choice.ts";
import { openNetNs } from "./namespace.ts";
import { type Call, UsageError, word } from "./verb.ts";

/** The formats of files by their endings. */
const ENDINGS: Readonly<Record<string, string>> = {
  svg: "svg",
  png: "png",
  dot: "dot",
  gv: "dot",
  mmd: "mermaid",
  d2: "d2",
  drawio: "drawio",
  json: "json",
};

/** Draws a lab file, a running lab, or namespaces; without arguments those that have a name. */
export async function run(call: Call): Promise<void> {
  const { output: _, lab: _lab, ...options } = call.options;
  const file = word(call, "output");
  if (file === undefined && call.out.json) {
    return call.out.result(JSON.parse(await pictureOf(call, { ...options, format: "json" })));
  }
  const format = word(call, "format") ?? formatOf(file);
  if (format === "png") {
    if (file === undefined) throw new UsageError("A PNG needs a file: draw -o lab.png");
    const { pngOf } = await import("../view/png.ts");
    const theme = word(call, "theme") ?? "light";
    const svg = await pictureOf(call, { ...options, format: "svg", theme } as DrawOptions);
    Deno.writeFileSync(file, await pngOf(svg));
  } else {
    const picture = await pictureOf(call, { ...options, format } as DrawOptions);
    if (file === undefined) return call.out.result(undefined, picture);
    Deno.writeTextFileSync(file, picture);
  }
  call.out.result({ file, format });
  call.out.say(`The picture is in ${file}`);
}

/** The format that the ending of a file names; SVG without an ending. */
function formatOf(file = ""): string {
  const [, ending] = /\.([^./]+)$/.exec(file) ?? [];
  if (ending === undefined) return "svg";
  if (Object.hasOwn(ENDINGS, ending)) return ENDINGS[ending]!;
  const known = Object.keys(ENDINGS);
  throw new UsageError(
    `draw -o takes a file that ends in one of ${known.join(", ")}, or --format: got ${show(file)}` +
      didYouMean(ending, known),
  );
}

async function pictureOf(call: Call, options: DrawOptions): Promise<string> {
  const [argument] = call.args;
  if (argument !== undefined && isFile(argument)) {
    return await draw(graphOf(await topologyOf(argument)), options);
  }
  if (word(call, "lab") !== undefined) {
    await using lab = await labOf(call);
    return await lab.draw(options);
  }
  const namespaces = namespacesOf(call.args);
  try {
    return await draw(namespaces, options);
  } finally {
    for (const netns of namespaces) netns[Symbol.dispose]();
  }
}

/** The namespaces of arguments; without any, the current one and all that have a name. */
export function namespacesOf(args: readonly string[]): NetNs[] {
  if (args.length > 0) return args.map(openNetNs);
  return [NetNs.current(), ...NetNs.list().map((name) => NetNs.open(name))];
}
