/**
 * Pictures as PNG, by a program that is installed.
 *
 * @module
 */
import { show } from "../options.ts";

/** Pixels of the PNG for each pixel of the SVG: sharp on screens and in print. */
const ZOOM = 2;

/** A program that makes a PNG of an SVG. */
interface Rasterizer {
  readonly program: string;
  /** Its arguments. */
  readonly args: (files: Files) => readonly string[];
}

/** The files of a run, and the size of the picture. */
interface Files {
  readonly svg: string;
  readonly html: string;
  readonly png: string;
  readonly width: number;
  readonly height: number;
}

const chromium = (program: string): Rasterizer => ({
  program,
  args: ({ html, png, width, height }) => [
    "--headless",
    "--disable-gpu",
    "--hide-scrollbars",
    `--force-device-scale-factor=${ZOOM}`,
    `--window-size=${width},${height}`,
    `--screenshot=${png}`,
    // Root's browser cannot have its sandbox; it shows this picture only.
    ...Deno.uid() === 0 ? ["--no-sandbox"] : [],
    html,
  ],
});

/** The programs, the fastest first. */
const RASTERIZERS: readonly Rasterizer[] = [
  {
    program: "rsvg-convert",
    args: ({ svg, png }) => [`--zoom=${ZOOM}`, `--output=${png}`, svg],
  },
  { program: "resvg", args: ({ svg, png }) => [`--zoom=${ZOOM}`, svg, png] },
  ...["chromium", "chromium-browser", "google-chrome"].map(chromium),
];

/**
 * Turns an SVG of `draw()` into a PNG of twice its size, by `rsvg-convert`, `resvg` or Chromium, the first
 * that is installed. Takes `--allow-run`, `--allow-read` and `--allow-write`.
 *
 * @param svg The SVG, with the theme `light` or `dark`: not all of these programs know a reader's system.
 * @returns The bytes of the PNG.
 * @throws {TypeError} When the text is not an SVG with a size.
 * @throws {Error} When none of the programs is installed, or the one that is fails, with its own words.
 */
export async function pngOf(svg: string): Promise<Uint8Array<ArrayBuffer>> {
  const [, width, height] = /^<svg [^>]*width="([\d.]+)" height="([\d.]+)"/.exec(svg) ?? [];
  if (width === undefined) {
    throw new TypeError(`svg must be a picture of draw(): got ${show(svg.slice(0, 40))}`);
  }
  const folder = await Deno.makeTempDir({ prefix: "netloom-png-" });
  const files: Files = {
    svg: `${folder}/picture.svg`,
    html: `${folder}/picture.html`,
    png: `${folder}/picture.png`,
    width: Math.ceil(Number(width)),
    height: Math.ceil(Number(height)),
  };
  try {
    await Deno.writeTextFile(files.svg, svg);
    await Deno.writeTextFile(files.html, `<!doctype html><body style="margin:0">${svg}`);
    for (const rasterizer of RASTERIZERS) {
      if (await ran(rasterizer, files)) return await Deno.readFile(files.png);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  throw new Error(
    "A PNG needs rsvg-convert, resvg or Chromium: apt-get install -y librsvg2-bin, or write an SVG",
  );
}

/** Runs a program; `false` when it is not installed. */
async function ran({ program, args }: Rasterizer, files: Files): Promise<boolean> {
  const command = new Deno.Command(program, {
    args: [...args(files)],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
  try {
    const { success, stderr } = await command.output();
    if (success) return true;
    throw new Error(`${program} fails: ${new TextDecoder().decode(stderr).trim()}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
