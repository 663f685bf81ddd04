/**
 * Results on standard output, as tables or JSON, and words on standard error.
 *
 * @module
 */

/** Version of the JSON form. */
export const JSON_VERSION = 1;

/** A cell of a table. */
export type Cell = string | number | boolean | undefined | readonly string[];

/** A row of a table: the cells by their headings. */
export type Row = Readonly<Record<string, Cell>>;

/** A stream of text. */
export interface Sink {
  /** Writes text. */
  write(text: string): void;
  /** Columns of the terminal; absent when it is none. */
  readonly columns?: number;
}

/** Colours of words that tell a state. */
const COLORS: Readonly<Record<string, number>> = {
  up: 32,
  ok: 32,
  running: 32,
  down: 31,
  fail: 31,
  dead: 31,
  left: 33,
  warn: 33,
  impaired: 33,
};

/** The output of a verb. */
export class Out {
  /** Whether programs read it. */
  readonly json: boolean;
  /** Whether words have colours. */
  readonly color: boolean;
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  readonly #verb: string;

  constructor(options: {
    readonly verb: string;
    readonly json: boolean;
    readonly stdout?: Sink;
    readonly stderr?: Sink;
  }) {
    this.#verb = options.verb;
    this.json = options.json;
    this.#stdout = options.stdout ?? sinkOf(Deno.stdout);
    this.#stderr = options.stderr ?? sinkOf(Deno.stderr);
    this.color = this.#stdout.columns !== undefined && !Deno.noColor && !this.json;
  }

  /**
   * Prints a result: the value as JSON, or rows as a table.
   *
   * @param value The result, for programs.
   * @param rows The result, for people: rows, or text. Default: none.
   */
  result(value: unknown, rows: readonly Row[] | string = []): void {
    if (this.json) {
      const form = { netloom: JSON_VERSION, verb: this.#verb, result: value };
      this.#stdout.write(JSON.stringify(form, jsonValue, 2) + "\n");
    } else if (typeof rows === "string") this.#stdout.write(rows);
    else this.#stdout.write(this.#table(rows));
  }

  /** Prints one event of many: a line of JSON, or text with the end of its line. */
  event(value: unknown, text: string): void {
    const form = { netloom: JSON_VERSION, verb: this.#verb, event: value };
    this.#stdout.write(this.json ? JSON.stringify(form, jsonValue) + "\n" : text);
  }

  /** Says something on standard error. */
  say(line: string): void {
    this.#stderr.write(line + "\n");
  }

  /** Shows the progress of long work, in place, where standard error is a terminal. */
  progress(line: string): void {
    if (this.#stderr.columns !== undefined) this.#stderr.write(`\r\x1b[K${line}`);
  }

  /** A word in the colour of its state. */
  paint(text: string): string {
    const color = COLORS[text.trim()];
    return this.color && color !== undefined ? `\x1b[${color}m${text}\x1b[0m` : text;
  }

  #table(rows: readonly Row[]): string {
    if (rows.length === 0) return "";
    const headings = [...new Set(rows.flatMap(Object.keys))]
      .filter((heading) => rows.some((row) => textOf(row[heading]) !== ""));
    const columns = headings.map((heading) => {
      const cells = rows.map((row) => textOf(row[heading]));
      const right = rows.every((row) =>
        typeof row[heading] === "number" || row[heading] === undefined
      );
      return { heading, cells, right, width: Math.max(heading.length, ...cells.map(widthOf)) };
    });
    narrow(columns, this.#stdout.columns);
    const lineOf = (texts: readonly string[], paint: (text: string) => string) =>
      columns.map(({ width, right }, i) => {
        const text = cut(texts[i]!, width);
        const pad = " ".repeat(width - widthOf(text));
        return right ? pad + paint(text) : paint(text) + pad;
      }).join("  ").trimEnd();
    const bold = (text: string) => this.color ? `\x1b[1m${text}\x1b[0m` : text;
    const lines = [
      lineOf(columns.map(({ heading }) => heading), bold),
      ...rows.map((_, i) =>
        lineOf(columns.map(({ cells }) => cells[i]!), (text) => this.paint(text))
      ),
    ];
    return lines.join("\n") + "\n";
  }
}

function textOf(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell === "boolean") return cell ? "yes" : "no";
  return Array.isArray(cell) ? cell.join(" ") : String(cell);
}

/** Columns in a terminal, as far as names of links and people need it. */
const widthOf = (text: string): number => [...text].length;

function cut(text: string, width: number): string {
  const letters = [...text];
  return letters.length <= width ? text : letters.slice(0, width - 1).join("") + "…";
}

/** Makes the widest columns narrower until the table fits the terminal. */
function narrow(columns: { width: number; heading: string }[], room: number | undefined): void {
  if (room === undefined) return;
  const total = () => columns.reduce((sum, { width }) => sum + width + 2, -2);
  while (total() > room) {
    const widest = columns.reduce((a, b) => b.width > a.width ? b : a);
    if (widest.width <= 8) return;
    widest.width = Math.max(8, widest.width - (total() - room));
  }
}

/** Values that JSON lacks: large integers are numbers or text, bytes are hexadecimal. */
function jsonValue(_: string, value: unknown): unknown {
  if (typeof value === "bigint") {
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value.toString();
  }
  if (value instanceof Uint8Array) {
    return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  if (value instanceof Error) return { name: value.name, message: value.message };
  return value === Infinity ? "infinity" : value;
}

function sinkOf(stream: typeof Deno.stdout | typeof Deno.stderr): Sink {
  const encoder = new TextEncoder();
  const columns = stream.isTerminal() ? consoleColumns() : undefined;
  return {
    ...columns === undefined ? {} : { columns },
    write(text: string) {
      let bytes = encoder.encode(text);
      while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
    },
  };
}

function consoleColumns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80; // a terminal that does not tell its size
  }
}
