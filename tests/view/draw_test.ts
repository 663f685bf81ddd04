import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Graphviz } from "npm:@hpcc-js/wasm-graphviz@^1.29.2";
import { XMLValidator } from "npm:fast-xml-parser@^5";
import { draw, type DrawFormat, type NetworkGraph, pngOf } from "../../src/view/mod.ts";
import { type BoxPlace, placesOf } from "../../src/view/layout.ts";
import { clos, graphOf, grid, ring } from "./graphs.ts";

const NETWORKS: Readonly<Record<string, NetworkGraph>> = {
  "one link": graphOf([["a:eth0", "b:eth0"]]),
  "a ring of 5": ring(5),
  "a ring of 50": ring(50),
  "a Clos fabric of 51 nodes": clos(3, 8, 5),
  "a Clos fabric of 198 nodes": clos(6, 16, 11),
  "a grid of 49 nodes": grid(7),
  "a grid of 196 nodes": grid(14),
};

const overlap = (a: BoxPlace, b: BoxPlace): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

for (const [name, graph] of Object.entries(NETWORKS)) {
  Deno.test(`draw() gives each node of ${name} a place of its own`, async () => {
    const { boxes, lines, blocks, width, height } = await placesOf(graph);
    assertEquals(boxes.map(({ node }) => node.id).sort(), graph.nodes.map(({ id }) => id).sort());
    boxes.forEach((box, i) => {
      assert(box.x >= 0 && box.y >= 0, `${box.node.id} is outside`);
      assert(
        box.x + box.width <= width && box.y + box.height <= height,
        `${box.node.id} is outside`,
      );
      for (const other of boxes.slice(i + 1)) {
        assert(!overlap(box, other), `${box.node.id} and ${other.node.id} overlap`);
      }
    });
    const alone = boxes.filter(({ edge }) => edge).length;
    assertEquals(lines.length, graph.edges.length - alone);
    assertEquals(alone > 0, blocks.length > 0);
  });
}

Deno.test("draw() draws a line from one box to the other", async () => {
  const graph = clos(2, 4, 2);
  const { boxes, lines } = await placesOf(graph);
  const near = ([x, y]: readonly number[], { x: left, y: top, width, height }: BoxPlace) =>
    x! > left - 3 && x! < left + width + 3 && y! > top - 3 && y! < top + height + 3;
  for (const { edge, path } of lines) {
    const points = path.slice(1).split(/[ C]/).map(Number);
    const ends = [points.slice(0, 2), points.slice(-2)];
    const [from, to] = [edge.from, edge.to].map(({ node }) =>
      boxes.find((box) => box.node.id === node)!
    );
    assert(
      near(ends[0]!, from!) && near(ends[1]!, to!) || near(ends[0]!, to!) && near(ends[1]!, from!),
      `${path} does not join ${edge.from.node} and ${edge.to.node}`,
    );
  }
});

Deno.test("draw() turns the arrows of a label where the first end stands to the right", async () => {
  const graph: NetworkGraph = {
    ...graphOf([["a:eth0", "b:eth0"]]),
    edges: [
      { from: { node: "a" }, to: { node: "b" }, label: ["→ rate 1mbit", "← rate 4mbit"] },
    ],
  };
  for (const ends of [["a", "b"], ["b", "a"]] as const) {
    const [edge] = graph.edges;
    const [from, to] = ends.map((node) => ({ node })) as [{ node: string }, { node: string }];
    const { boxes, lines } = await placesOf({ ...graph, edges: [{ ...edge!, from, to }] }, {
      direction: "LR",
    });
    const left = boxes.reduce((a, b) => a.x < b.x ? a : b).node.id;
    const [first] = lines[0]!.label;
    assertEquals(first, left === from.node ? "→ rate 1mbit" : "← rate 1mbit");
  }
});

Deno.test("draw() stays in the shape of a screen for 200 nodes", async () => {
  for (const graph of [clos(6, 16, 11), grid(14)]) {
    const { width, height } = await placesOf(graph);
    assert(width < 4200 && height < 3200, `${width} x ${height}`);
  }
});

const ODD: NetworkGraph = {
  title: `"odd" <names> & \\more`,
  nodes: [
    {
      id: "a b",
      name: `<b>&"quoted"\\`,
      interfaces: [{ name: "br0", kind: "bridge" }, {
        name: "büro|{x}",
        under: "br0",
        addresses: ["fd00::1/64"],
        up: false,
        note: "VLAN 5",
      }],
    },
    { id: "c", name: "c", kind: "outside", interfaces: [] },
  ],
  edges: [{
    from: { node: "a b", interface: "büro|{x}" },
    to: { node: "c" },
    state: "impaired",
    label: ["20ms ±2ms", `loss "0.5%"`],
  }],
};

for (const format of ["svg", "drawio"] satisfies DrawFormat[]) {
  Deno.test(`draw() writes ${format} as well-formed XML, also with odd names`, async () => {
    for (const graph of [ODD, NETWORKS["a Clos fabric of 51 nodes"]!]) {
      const text = await draw(graph, { format });
      assertEquals(XMLValidator.validate(text), true);
      for (const { name } of graph.nodes) {
        assertStringIncludes(
          text,
          name.replace(/&/g, "&amp;").replace(/</g, "&lt;")
            .replace(/>/g, "&gt;").replace(/"/g, "&quot;"),
        );
      }
    }
  });
}

Deno.test("draw() writes DOT that Graphviz reads back with all nodes and labels", async () => {
  const graphviz = await Graphviz.load();
  for (const graph of [ODD, NETWORKS["a grid of 49 nodes"]!]) {
    const { objects, edges } = JSON.parse(
      graphviz.layout(await draw(graph, { format: "dot" }), "json"),
    );
    assertEquals(objects.length, graph.nodes.length);
    assertEquals(edges.length, graph.edges.length);
  }
  const text = graphviz.layout(await draw(ODD, { format: "dot" }), "svg");
  assertStringIncludes(text, "büro|{x} VLAN 5 fd00::1/64");
});

Deno.test("draw() writes Mermaid and D2 with entities for their own characters", async () => {
  const mermaid = await draw(ODD, { format: "mermaid" });
  assertStringIncludes(mermaid, "#60;b#62;#38;#34;quoted#34;#92;<br>br0");
  assertStringIncludes(mermaid, '-.-|"büro|{x} – , 20ms ±2ms, loss #34;0.5%#34;"|');
  const d2 = await draw(ODD, { format: "d2" });
  assertStringIncludes(d2, String.raw`n0: "<b>&\"quoted\"\\\nbr0\n  büro|{x} VLAN 5 fd00::1/64"`);
});

Deno.test("draw() writes the graph itself as JSON", async () => {
  assertEquals(JSON.parse(await draw(ODD, { format: "json" })), ODD);
});

Deno.test("draw() writes colours for one theme, or for both", async () => {
  const graph = NETWORKS["one link"]!;
  assertStringIncludes(await draw(graph), "light-dark(");
  for (const theme of ["light", "dark"] as const) {
    const svg = await draw(graph, { theme });
    assertStringIncludes(svg, `color-scheme:${theme}`);
    assert(!svg.includes("light-dark("));
  }
});

Deno.test("draw() draws a network without nodes", async () => {
  assertEquals(XMLValidator.validate(await draw({ nodes: [], edges: [] })), true);
});

Deno.test("draw() refuses unknown options, formats and ends", async () => {
  const graph = NETWORKS["one link"]!;
  await assertRejects(
    () => draw(graph, { fromat: "svg" } as never),
    TypeError,
    'did you mean "format"',
  );
  await assertRejects(() => draw(graph, { format: "mermiad" as never }), TypeError, "mermaid");
  await assertRejects(
    () => draw({ ...graph, edges: [{ from: { node: "a" }, to: { node: "x" } }] }),
    TypeError,
    'edges[0].to.node must be the id of a node: got "x"',
  );
});

Deno.test("pngOf() turns an SVG into a PNG of twice its size, or names the programs that do", async () => {
  const svg = await draw(graphOf([["a:eth0", "b:eth0"]]), { theme: "dark" });
  const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg)!.map(Number);
  const there = ["rsvg-convert", "resvg", "chromium", "chromium-browser", "google-chrome"]
    .some((name) => new Deno.Command("which", { args: [name] }).outputSync().success);
  if (there) {
    const png = await pngOf(svg);
    assertEquals(new TextDecoder("latin1").decode(png.subarray(1, 4)), "PNG");
    const view = new DataView(png.buffer);
    assertEquals([view.getUint32(16), view.getUint32(20)], [2 * width!, 2 * height!]);
  } else await assertRejects(() => pngOf(svg), Error, "apt-get install -y librsvg2-bin");
  await assertRejects(() => pngOf("graph {}"), TypeError, "svg must be a picture of draw()");
});

Deno.test("draw() takes the layout that fits a place best", async () => {
  const sizeOf = async (ratio: number) => {
    const { width, height } = await placesOf(clos(2, 6, 7), { ratio });
    return width / height;
  };
  assert(await sizeOf(3) > await sizeOf(0.5));
  await assertRejects(
    () => draw(ring(3), { ratio: 0 }),
    RangeError,
    "ratio must be a number above 0",
  );
});
