// Programs that use the library in a process of their own: what a signal, a missing permission or the
// end of a process does cannot be tested inside the tests' process.

/** How a program ended. */
export interface Ended {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
}

/** Options of {@link start}. */
export interface ScriptOptions {
  /** Flags of `deno run`. Default: all permissions. */
  flags?: string[];
  /** Words before `deno`: `["setpriv", "--reuid=65534"]`. */
  through?: string[];
  env?: Record<string, string>;
}

/** The directory of the project. */
export const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname);

/** A running program. */
export class Script implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #stderr: Promise<string>;
  #stdout = "";

  constructor(child: Deno.ChildProcess) {
    this.child = child;
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#stderr = new Response(child.stderr).text();
  }

  /** Resolves when the program has written `text`; throws when it ends before. */
  async writes(text: string): Promise<void> {
    while (!this.#stdout.includes(text)) {
      const { value, done } = await this.#lines.read();
      if (done) throw new Error(`Ended before it wrote ${text}: ${await this.#stderr}`);
      this.#stdout += value;
    }
  }

  /** Whether the program has written `text`, as far as has been read. */
  wrote(text: string): boolean {
    return this.#stdout.includes(text);
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal): void {
    this.child.kill(signal);
  }

  /** Resolves when the program has ended. */
  async end(): Promise<Ended> {
    for (;;) {
      const { value, done } = await this.#lines.read();
      if (done) break;
      this.#stdout += value;
    }
    const { code, signal } = await this.child.status;
    return { code, signal, stdout: this.#stdout, stderr: await this.#stderr };
  }

  /** Kills the program if it is still there. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // Ended already.
    }
    await this.end();
  }
}

/** Starts a TypeScript program given as text; it imports the library as `./mod.ts`. */
export async function start(source: string, options: ScriptOptions = {}): Promise<Script> {
  const script = run(["-"], options, "piped");
  const stdin = script.child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(source));
  await stdin.close();
  return script;
}

/** Runs a TypeScript program given as text to its end. */
export async function script(source: string, options?: ScriptOptions): Promise<Ended> {
  await using running = await start(source, options);
  return await running.end();
}

/** Starts `deno run` with a file and its arguments. */
export function run(
  args: string[],
  options: ScriptOptions = {},
  stdin: "piped" | "null" = "null",
): Script {
  const { flags = ["-A"], through = [], env = {} } = options;
  const [command, ...words] = [...through, Deno.execPath(), "run", "--no-check", ...flags, ...args];
  return new Script(
    new Deno.Command(command!, {
      args: words,
      cwd: ROOT,
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
      stdin,
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}
