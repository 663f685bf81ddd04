/**
 * The commands of a lab's nodes: started in their order, each when the one before is ready, with their
 * output, and ended with their whole process groups.
 *
 * @module
 */
import { show } from "../options.ts";
import type { LabNode } from "./node.ts";
import type { Readiness, ResolvedCommand } from "./resolved.ts";
import { LabError } from "./transaction.ts";

/** Characters of output that are kept of a node. */
const MOST_OUTPUT = 1 << 20;
/** Milliseconds between two looks whether a command is ready. */
const PAUSE = 20;
/** Milliseconds from SIGTERM to SIGKILL. */
const GRACE = 2000;

/** The commands of one node that run or have run. */
export class NodeProcesses {
  readonly #node: LabNode;
  readonly #children: { readonly child: Deno.ChildProcess; readonly end: Promise<unknown> }[] = [];
  #output = "";
  #length = 0;

  /** Starts none yet. */
  constructor(node: LabNode) {
    this.#node = node;
  }

  /** The output of all commands so far, or the end of it. */
  get output(): string {
    return this.#output;
  }

  /**
   * Starts the commands, one after the other.
   *
   * @throws {LabError} When one is not ready in its time, with the end of its output.
   */
  async start(
    commands: readonly ResolvedCommand[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const { command, ready, timeout } of commands) {
      signal?.throwIfAborted();
      const [program, ...args] = command;
      const from = this.#length;
      const child = this.#node.command(program, {
        args,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        detached: true,
      }).spawn();
      const streams = Promise.all([this.#read(child.stdout), this.#read(child.stderr)]);
      this.#children.push({ child, end: Promise.all([child.status, streams]) });
      await this.#ready(child, { command, ready, timeout, from, signal });
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.#length += text.length;
      this.#output = (this.#output + text).slice(-MOST_OUTPUT);
    }
  }

  async #ready(
    child: Deno.ChildProcess,
    { command, ready, timeout, from, signal }: ResolvedCommand & {
      readonly from: number;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<void> {
    if (ready.kind === "started") return;
    let status: Deno.CommandStatus | undefined;
    child.status.then((it) => status = it);
    const until = performance.now() + timeout;
    const since = () => this.#output.slice(Math.max(this.#output.length - this.#length + from, 0));
    const refuse = (what: string) => {
      const output = since().trimEnd().split("\n").slice(-5).join("\n");
      return new LabError(
        `Node ${show(this.#node.name)}: ${show(command.join(" "))} ${what}` +
          (output ? `; its output ends with:\n${output}` : ""),
      );
    };
    while (!(status?.success && ready.kind === "exit")) {
      signal?.throwIfAborted();
      if (status && (ready.kind === "exit" || !status.success)) {
        throw refuse(`has ended with code ${status.code}`);
      }
      if (await this.#isReady(ready, since)) return;
      if (performance.now() > until) throw refuse(`is not ready after ${timeout} ms`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  async #isReady(ready: Readiness, output: () => string): Promise<boolean> {
    switch (ready.kind) {
      case "tcp": {
        try {
          const { port, address = "127.0.0.1" } = ready;
          using _connection = await this.#node.netns.connect({ hostname: address, port });
          return true;
        } catch (error) {
          if (error instanceof Deno.errors.ConnectionRefused) return false;
          throw error;
        }
      }
      case "command": {
        const [program, ...args] = ready.command;
        const options = { args, stdin: "null", stdout: "null", stderr: "null" } as const;
        return (await this.#node.command(program, options).output()).success;
      }
      case "log":
        return output().includes(ready.text);
      default:
        return false;
    }
  }

  /** Ends all commands with their process groups, and waits for their ends. */
  async stop(): Promise<void> {
    const children = this.#children.splice(0);
    for (const { child } of children) {
      signalGroup(child, "SIGTERM");
      signalGroup(child, "SIGCONT"); // a paused process acts on no signal
    }
    const ended = Promise.all(children.map(({ end }) => end));
    const timer = setTimeout(() => {
      for (const { child } of children) signalGroup(child, "SIGKILL");
    }, GRACE);
    await ended;
    clearTimeout(timer);
    // What has left its parent behind.
    for (const { child } of children) signalGroup(child, "SIGKILL");
  }
}

/** A group that has ended is no error. */
function signalGroup({ pid }: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
