/**
 * The commands of a lab's nodes: started in their order, each when the one before is ready, with their
 * output, and ended with their whole process groups.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { hasOwnProc, readText } from "../../ffi/file.ts";
import { inodeOf, type NetNsRef } from "../../ffi/namespace.ts";
import { show } from "../options.ts";
import { processes, threads } from "../scope/namespaces.ts";
import type { LabNode } from "./node.ts";
import type { Readiness, ResolvedCommand } from "./resolved.ts";
import { LabError } from "./transaction.ts";

/** Characters of output that are kept of a node. */
const MOST_OUTPUT = 1 << 20;
/** Milliseconds between two looks whether a command is ready. */
const PAUSE = 20;
/** Milliseconds from SIGTERM to SIGKILL. */
const GRACE = 2000;
/** Milliseconds that the output of commands that have ended is waited for. */
const LAST_OUTPUT = 200;

/** How the commands of a node are started. */
export interface ProcessOptions {
  /** Takes the output, too. */
  readonly output?: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** The name of the lab, which marks the commands: also those that leave their process group. */
  readonly lab?: string;
}

/** How the commands of one round are started. */
export interface StartOptions {
  /** Ends the start early. */
  readonly signal?: AbortSignal | undefined;
  /** The folder in which the commands run. Default: that of this process. */
  readonly cwd?: string | undefined;
}

/** A command that runs or has run. */
interface Running {
  /** The command, with everything that it depends on. */
  readonly key: string;
  readonly child: Deno.ChildProcess;
  /** Resolves when its output has ended: when all processes that have inherited it have. */
  readonly read: Promise<unknown>;
  /** Reads no more of its output. */
  readonly cancel: () => Promise<unknown>;
  status: Deno.CommandStatus | undefined;
  isReady: boolean;
}

/** A start of a command. */
interface Start extends StartOptions {
  readonly command: ResolvedCommand;
  /** The length of the output before it. */
  readonly from: number;
}

/** The commands of one node that run or have run. */
export class NodeProcesses {
  #node!: LabNode;
  readonly #options: ProcessOptions;
  #running: Running[] = [];
  #output = "";
  #length = 0;

  /** Starts none yet. */
  constructor(options: ProcessOptions = {}) {
    this.#options = options;
  }

  /** The output of all commands so far, or the end of it. */
  get output(): string {
    return this.#output;
  }

  /**
   * Brings the commands to those of the node: those that stay the same keep running, others are ended; new ones, and
   * those that have failed, are started one after the other.
   *
   * @param node The node, with the commands to reach.
   * @param options Folder, and a signal that ends the start early.
   * @throws {LabError} When one is not ready in its time, with the end of its output.
   */
  async converge(node: LabNode, options: StartOptions = {}): Promise<void> {
    this.#node = node;
    const { run, environment, files } = node.resolved;
    const keys = run.map((command) => JSON.stringify([command, environment, files]));
    const kept: (Running | undefined)[] = [];
    const rest = [...this.#running];
    for (const key of keys) {
      const at = rest.findIndex((it) =>
        it.key === key && it.isReady && (it.status?.success ?? true)
      );
      kept.push(at < 0 ? undefined : rest.splice(at, 1)[0]);
    }
    await this.#end(rest);
    this.#running = kept.filter((it) => it !== undefined);
    for (const [i, command] of run.entries()) {
      if (kept[i]) continue;
      options.signal?.throwIfAborted();
      const start = { ...options, command, from: this.#length };
      const running = this.#start(keys[i]!, start);
      await this.#ready(running, start);
      running.isReady = true;
    }
  }

  #start(key: string, { command: { command }, cwd }: Start): Running {
    const [program, ...args] = command;
    const { lab } = this.#options;
    const child = this.#node.command(program, {
      args,
      ...(cwd !== undefined && { cwd }),
      ...(lab !== undefined && { env: { [MARK]: lab } }),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    const readers = [child.stdout.getReader(), child.stderr.getReader()];
    const running: Running = {
      key,
      child,
      read: Promise.all(readers.map((it) => this.#read(it))),
      cancel: () => Promise.all(readers.map((it) => it.cancel())),
      status: undefined,
      isReady: false,
    };
    child.status.then((status) => running.status = status);
    this.#running.push(running);
    return running;
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { value: bytes } = await reader.read();
      if (!bytes) return;
      this.#options.output?.(bytes);
      const text = decoder.decode(bytes, { stream: true });
      this.#length += text.length;
      this.#output = (this.#output + text).slice(-MOST_OUTPUT);
    }
  }

  async #ready(running: Running, { command: it, from, signal }: Start): Promise<void> {
    const { command, ready, timeout } = it;
    if (ready.kind === "started") return;
    const until = performance.now() + timeout;
    const since = () => this.#output.slice(Math.max(this.#output.length - this.#length + from, 0));
    const refuse = (what: string) => {
      const output = since().trimEnd().split("\n").slice(-5).join("\n");
      return new LabError(
        `Node ${show(this.#node.name)}: ${show(command.join(" "))} ${what}` +
          (output ? `; its output ends with:\n${output}` : ""),
      );
    };
    while (!(running.status?.success && ready.kind === "exit")) {
      signal?.throwIfAborted();
      const { status } = running;
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
    await this.#end(this.#running.splice(0));
  }

  async #end(commands: readonly Running[]): Promise<void> {
    if (commands.length === 0) return;
    for (const { child } of commands) {
      signalGroup(child.pid, "SIGTERM");
      signalGroup(child.pid, "SIGCONT"); // a paused process acts on no signal
    }
    const ended = Promise.all(commands.map(({ child }) => child.status));
    const timer = setTimeout(() => {
      for (const { child } of commands) signalGroup(child.pid, "SIGKILL");
    }, GRACE);
    await ended;
    clearTimeout(timer);
    // What has left its parent behind.
    for (const { child } of commands) signalGroup(child.pid, "SIGKILL");
    // A process that has left the group may have the output open for as long as it lives.
    const cancel = setTimeout(() => commands.forEach((it) => it.cancel()), LAST_OUTPUT);
    await Promise.all(commands.map(({ read }) => read));
    clearTimeout(cancel);
  }
}

/** The variable in the environment of the commands of a lab with a name. */
const MARK = "NETLOOM_LAB";

/**
 * Kills the commands of a lab with a name that are still there: those that have left their process group, and those
 * of a keeper that was killed.
 *
 * @param lab The name of the lab, which is in their environment.
 * @param refs The lab's namespaces: processes elsewhere are left alone.
 * @returns How many.
 */
export function killMarked(lab: string, refs: readonly NetNsRef[]): number {
  const inodes = new Set(refs.map(({ inode }) => inode));
  // A command that is being prepared has it as a line of the shell.
  const marks = [`${MARK}=${lab}`, `${MARK}='${lab}'`];
  const found = processes().filter((pid) =>
    environmentOf(pid).some((line) => marks.some((mark) => line.endsWith(mark))) &&
    threads(pid).some((path) => inodes.has(inodeOf(path)!))
  );
  for (const pid of found) signalSeen(pid, "SIGKILL");
  return found.length;
}

/** The environment that a process was started with; empty when it has ended, or is another user's. */
function environmentOf(pid: number): string[] {
  try {
    return readText(`/proc/${pid}/environ`).split("\0");
  } catch (error) {
    if (error instanceof SyscallError) return [];
    throw error;
  }
}

/** Sends a signal to a process; one that has ended is no error. */
export function signalProcess(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Sends a signal to a process that was found in /proc.
 *
 * @throws {LabError} Where the numbers there are those of another pid namespace, and of other processes here.
 */
export function signalSeen(pid: number, signal: Deno.Signal): void {
  if (hasOwnProc()) return signalProcess(pid, signal);
  throw new LabError(
    `Cannot send ${signal} to process ${pid}: /proc shows another pid namespace; mount the right one ` +
      "(unshare --mount-proc)",
  );
}

function signalGroup(pid: number, signal: Deno.Signal): void {
  signalProcess(-pid, signal);
}
