// A block of Markdown marked `chart` as a picture: bars of its figures, drawn by ECharts at build time.
import * as echarts from "echarts";

/** Colours follow the page: style.css sets them for light and dark. */
const INK = "var(--chart-ink)";
const GRID = "var(--chart-grid)";
const OWN = "var(--chart-own)";
const OTHER = "var(--chart-other)";

const ROW = 28;
const WIDTH = 640;

/** The lines of a block: `key: value`. */
function rowsOf(text: string): [string, string][] {
  return text.trim().split("\n").map((line) => {
    const at = line.lastIndexOf(": ");
    if (at < 0) throw new Error(`A line of a chart is NAME: NUMBER; got ${line}`);
    return [line.slice(0, at), line.slice(at + 2)];
  });
}

/** The SVG of a block: `title` and `unit`, then a bar a line; those of netloom have its colour. */
export function chart(text: string): string {
  const rows = rowsOf(text);
  const head = new Map(rows.filter(([name]) => ["title", "unit"].includes(name)));
  const bars = rows.filter(([name]) => !head.has(name)).reverse();
  const values = bars.map(([, value]) => Number(value));
  if (values.some(Number.isNaN)) throw new Error(`A figure of a chart is no number:\n${text}`);
  const unit = head.get("unit") ?? "";
  const longest = Math.max(...bars.map(([name]) => name.length));
  const picture = echarts.init(null, null, {
    renderer: "svg",
    ssr: true,
    width: WIDTH,
    height: ROW * bars.length + 48,
  });
  picture.setOption({
    animation: false,
    textStyle: { fontFamily: "inherit", color: INK },
    // The browser's font is not known here: a letter of 13 pixels takes at most 7.2 on average.
    grid: { left: 12 + 7.2 * longest, right: 84, top: 8, bottom: 28 },
    xAxis: {
      type: "value",
      name: unit,
      nameLocation: "end",
      nameTextStyle: { color: INK, align: "left" },
      axisLabel: { color: INK },
      splitLine: { lineStyle: { color: GRID } },
    },
    yAxis: {
      type: "category",
      data: bars.map(([name]) => name),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: GRID } },
      axisLabel: { color: INK, fontSize: 13 },
    },
    series: [{
      type: "bar",
      barWidth: 16,
      data: bars.map(([name], n) => ({
        value: values[n],
        itemStyle: { color: name.startsWith("netloom") ? OWN : OTHER, borderRadius: 2 },
      })),
      label: { show: true, position: "right", color: INK },
    }],
  });
  const svg = picture.renderToSVGString();
  picture.dispose();
  const title = head.get("title") ?? "";
  const label = bars.toReversed().map(([name, value]) => `${name} ${value} ${unit}`).join(", ");
  return `<figure class="chart"><figcaption>${title}</figcaption>` +
    `<div role="img" aria-label="${title}: ${label}" v-pre>${svg}</div></figure>\n`;
}
