// The gallery: docs/gallery.md, with a picture of each lab in examples/labs, drawn by `draw()`.
import { graphOf } from "../../src/lab/graph.ts";
import { load, resolve } from "../../src/lab/mod.ts";
import { draw } from "../../src/view/mod.ts";
import { ROOT } from "../script.ts";

const LABS = "examples/labs";
const PICTURES = `${ROOT}docs/pictures`;

const HEAD = `---
editLink: false
---

# Gallery of labs

Each lab is one file, here with the picture that \`netloom draw FILE\` makes of it. Bring one up with
the line below its picture, as root or inside \`unshare -Urmn\`, and take it down with
\`netloom down\`. [Labs](./guides/labs) explains the files, [the format](./guides/lab-format) has all
that can be in them.
`;

/** Draws the labs and writes the page. */
export async function writePictures(): Promise<void> {
  Deno.mkdirSync(PICTURES, { recursive: true });
  const files = [...Deno.readDirSync(ROOT + LABS)].map(({ name }) => name)
    .filter((name) => name.endsWith(".lab.yml")).sort();
  const parts: string[] = [];
  for (const file of files) {
    const name = file.replace(".lab.yml", "");
    const topology = resolve(await load(`${ROOT}${LABS}/${file}`));
    const svg = await draw(graphOf(topology), { direction: "LR", title: name });
    Deno.writeTextFileSync(`${PICTURES}/${name}.svg`, svg);
    const text = Deno.readTextFileSync(`${ROOT}${LABS}/${file}`);
    const [, comment = ""] = /^# (.*)$/m.exec(text) ?? [];
    const { nodes, wires } = topology;
    parts.push(`## ${name}

${comment} It has ${nodes.length} nodes and ${wires.length} wires.

<Diagram name="${name}" alt="The lab ${name}: ${nodes.length} nodes, ${wires.length} wires" wide />

\`\`\`sh
deno run -A cli.ts up ${LABS}/${file}
\`\`\`

::: details ${file}
\`\`\`yaml
${text.replace(/^# .*\n/, "").trimEnd()}
\`\`\`
:::
`);
  }
  Deno.writeTextFileSync(`${ROOT}docs/gallery.md`, `${HEAD}\n${parts.join("\n")}`);
}
