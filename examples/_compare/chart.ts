/**
 * The comparison as an SVG. Vega-Lite draws it, and is fetched from npm on request.
 *
 * @module
 */
import { openFile } from "../_options.ts";
import type { Row } from "../_table.ts";

// Not literals in the import: Deno would fetch them also when nobody wants a chart.
export const PACKAGES: readonly string[] = ["npm:vega-lite@6.5.0", "npm:vega@6.4.0"];

/** Draws a panel of bars for each column of numbers, and writes the file. */
export type WriteChart = (rows: readonly Row[], note: string) => Promise<void>;

/**
 * Prepares a chart before the long work of measuring, which must not turn out to be in vain.
 *
 * @throws When the file cannot be written, or the packages that draw it cannot be fetched.
 */
export async function chartWriter(file: string): Promise<WriteChart> {
  openFile("--svg", file, (path) => Deno.openSync(path, { write: true, create: true }).close());
  try {
    const [vegaLite, vega] = await Promise.all(PACKAGES.map((name) => import(name)));
    return async (rows, note) => {
      const { spec } = vegaLite.compile(chart(rows, note));
      const view = new vega.View(vega.parse(spec), { renderer: "none" });
      await Deno.writeTextFile(file, await view.toSVG());
    };
  } catch (cause) {
    const fetch = `where there is a network: deno cache ${PACKAGES.join(" ")}`;
    throw new Error(`--svg needs Vega-Lite from npm. To fetch it ${fetch}`, { cause });
  }
}

function chart(rows: readonly Row[], note: string): object {
  const [label, ...panels] = Object.keys(rows[0]!);
  return {
    title: { text: "Two namespaces, connected", subtitle: note, anchor: "start" },
    background: "white",
    data: { values: rows },
    hconcat: panels.map((field, i) => ({
      width: 180,
      height: { step: 26 },
      encoding: {
        y: {
          field: label,
          type: "nominal",
          sort: null,
          title: null,
          axis: i === 0 ? { labelLimit: 200 } : null,
        },
        x: {
          field,
          type: "quantitative",
          // Room for the number behind the longest bar.
          scale: { domainMax: 1.3 * Math.max(...rows.map((row) => Number(row[field]))) },
          axis: { title: field, tickCount: 4, format: "~s" },
        },
      },
      layer: [
        { mark: { type: "bar", color: "#4c78a8" } },
        {
          mark: { type: "text", align: "left", dx: 4 },
          encoding: { text: { field, type: "quantitative", format: ",.3~r" } },
        },
      ],
    })),
    config: { view: { stroke: null }, font: "sans-serif" },
  };
}
