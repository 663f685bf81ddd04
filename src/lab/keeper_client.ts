/**
 * The keeper of a lab with a name, seen from other processes: starting it, asking it, ending it, and clearing up
 * after one that was killed.
 *
 * A keeper has a directory beside the record, `/run/netloom/NAME.keeper`: a socket for requests, its log, and the
 * output of commands. It holds a lock on the directory (flock(2)): a directory that nobody has locked is that of a
 * keeper which was killed. A request is one line of JSON on a connection of its own, the answer is another one.
 *
 * @module
 */
import { ARCH, C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import {
  type Fd,
  lockHolder,
  open,
  readDirectory,
  readText,
  removeDirectory,
  removeFile,
  tryLock,
} from "../../ffi/file.ts";
import { homeNetNs, within } from "../../ffi/namespace.ts";
import { PollSet } from "../../ffi/packet_io.ts";
import { until } from "../../ffi/reactor.ts";
import { Socket, unixSocketAddress } from "../../ffi/socket.ts";
import { show } from "../options.ts";
import { restoreLinks } from "../scope/leftovers.ts";
import type { ImpairOptions } from "../traffic/impairment_values.ts";
import type { WireState } from "./impairments.ts";
import { LABS } from "./record.ts";
import type { ResolvedEvent, ResolvedTopology, WireEnds } from "./resolved.ts";
import type { ScheduleEntry } from "./schedule.ts";
import { LabError } from "./transaction.ts";

/** The version of requests and answers. */
export const VERSION = 1;

/** Milliseconds in which a keeper answers a request that waits for nothing. */
const DEADLINE = 10_000;
/** Milliseconds in which a keeper ends its commands: longer than it gives them from SIGTERM to SIGKILL. */
const LAST_DEADLINE = 5000;

/** The requests that a keeper answers, with plain data. */
export interface KeeperCalls {
  /** Brings commands, impairments and schedule to a topology; `cwd` is the folder of the commands. */
  converge(target: ResolvedTopology, before: readonly ResolvedTopology[], cwd: string): void;
  /** Lets go of what a topology does not have: commands and wires of nodes that are about to be removed. */
  leave(target: ResolvedTopology): void;
  /** Impairs a wire; `out` is the first end's direction. */
  impair(ends: WireEnds, options: ImpairOptions): WireState;
  /** The impairment of a wire. */
  impairment(ends: WireEnds): WireState | undefined;
  /** Takes an impairment off; the number of packets lost by that. */
  clear(ends: WireEnds): number;
  /** Holds the frames of wires. */
  hold(wires: readonly WireEnds[]): void;
  /** Lets held frames go; how many. */
  release(wires: readonly WireEnds[]): number;
  /** Cuts and heals wires in turn. */
  flap(wires: readonly WireEnds[], every: number): void;
  /** Ends that, and heals them. */
  unflap(wires: readonly WireEnds[]): void;
  /** Ends all cuts, partitions and flapping. */
  heal(): void;
  /** Starts one more schedule; its number. */
  play(events: readonly ResolvedEvent[]): number;
  /** The log of a schedule: number 0 is that of the topology. `undefined` when there is none. */
  played(schedule: number): readonly ScheduleEntry[] | undefined;
  /** Answers when a schedule is over. */
  over(schedule: number): void;
  /** Ends a schedule; faults that have begun stay. */
  stop(schedule: number): void;
  /** Ends everything, and then the keeper. */
  end(): void;
}

/** A request. */
export interface KeeperRequest {
  /** The version. */
  readonly netloom: number;
  /** The call. */
  readonly call: keyof KeeperCalls;
  /** Its arguments. */
  readonly args: readonly unknown[];
}

/** An answer. */
export type KeeperAnswer =
  | { readonly result: unknown }
  | { readonly error: { readonly name: string; readonly message: string } };

/** The directory of a lab's keeper. */
export function keeperDirectory(lab: string): string {
  return `${LABS}/${lab}.keeper`;
}

/** The socket in it. */
export function keeperSocket(lab: string): string {
  return `${keeperDirectory(lab)}/socket`;
}

/** The log in it. */
export function keeperLog(lab: string): string {
  return `${keeperDirectory(lab)}/log`;
}

/** Opens the directory of a keeper; `undefined` when there is none. */
export function openKeeperDirectory(lab: string): Fd | undefined {
  const path = keeperDirectory(lab);
  try {
    return open(path, C.O_RDONLY | ARCH.O_DIRECTORY | ARCH.O_NOFOLLOW, `open ${path}`);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ENOENT) return undefined;
    throw error;
  }
}

/** Removes the directory of a keeper with all files in it. */
export function removeKeeperDirectory(lab: string): void {
  const path = keeperDirectory(lab);
  for (const name of readDirectory(path)) removeFile(`${path}/${name}`);
  removeDirectory(path);
}

/** Whether a keeper runs, or was killed. */
export interface KeeperInfo {
  /** `gone`: it was killed, and the next command clears up after it. */
  readonly state: "running" | "gone";
  /** Its process; absent when it is gone or in another pid namespace. */
  readonly pid?: number;
}

/** The keeper of a lab; `undefined` when it has none. */
export function keeperOf(lab: string): KeeperInfo | undefined {
  using directory = openKeeperDirectory(lab);
  if (!directory) return undefined;
  if (tryLock(directory, `lock ${keeperDirectory(lab)}`)) return { state: "gone" };
  const pid = lockHolder(keeperDirectory(lab));
  return { state: "running", ...(pid !== undefined && { pid }) };
}

/** The command line that runs the keeper of a lab. */
export type KeeperCommand = (lab: string) => readonly string[];

let command: KeeperCommand = (lab) => {
  const program = Deno.execPath();
  if (Deno.build.standalone) {
    throw new LabError(
      "A program of deno compile needs `if (await keeper(Deno.args)) Deno.exit()` as its first line, " +
        "from netloom's ./lab: it is the keeper of its labs itself",
    );
  }
  const entry = new URL("./keeper.ts", import.meta.url);
  const directory = keeperDirectory(lab);
  return [
    program,
    ...["run", "--quiet", "--no-config", "--no-lock", "--no-prompt"],
    ...["--allow-ffi", "--allow-run", "--allow-net", "--allow-env=NETLOOM_USER_LABS"],
    ...[`--allow-read=${directory}`, `--allow-write=${directory}`],
    ...(entry.protocol === "file:" ? [] : [`--allow-import=${entry.host}`]),
    ...[entry.href, lab],
  ];
};

/** Runs keepers by another command line. Dispose the result to go back. */
export function runKeepersBy(next: KeeperCommand): Disposable {
  const before = command;
  command = next;
  return { [Symbol.dispose]: () => void (command = before) };
}

/** The first argument of a program of deno compile that is to keep a lab: its name is the second one. */
export const KEEP = "__keeper";

/** Starts "$@" in a session of its own, without descriptors of this process beside its output. */
const LAUNCH = 'cd /; exec setsid --fork "$@" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-';

/** The keeper of a lab with a name. */
export class Keeper {
  /** The name of the lab. */
  readonly lab: string;

  /** Starts nothing. */
  constructor(lab: string) {
    this.lab = lab;
  }

  /** Whether it runs. */
  get isRunning(): boolean {
    return keeperOf(this.lab)?.state === "running";
  }

  /**
   * Starts the keeper, unless it runs, and waits until it listens.
   *
   * @throws {LabError} When it ends before that, with its words.
   */
  start(): void {
    if (this.isRunning) return;
    const [program, ...args] = ["sh", "-c", LAUNCH, "netloom", ...command(this.lab)] as const;
    // The keeper writes to these pipes until it listens; from then on to its log.
    const options = { args, stdin: "null", stdout: "piped", stderr: "piped" } as const;
    const { stdout, stderr } = within(homeNetNs(), () => {
      return new Deno.Command(program, options).outputSync();
    });
    if (this.isRunning) return;
    const words = [stdout, stderr].map((it) => new TextDecoder().decode(it).trim()).join("\n");
    throw new LabError(
      `The keeper of lab ${show(this.lab)} does not start: ` +
        (words.trim() || lastLines(keeperLog(this.lab)) || "it has ended without a word"),
    );
  }

  /** Asks the keeper, which has to run, and blocks until it has answered. */
  call<K extends keyof KeeperCalls>(
    call: K,
    ...args: Parameters<KeeperCalls[K]>
  ): ReturnType<KeeperCalls[K]> {
    using socket = this.#send(call, args);
    const reader = new AnswerReader();
    const poll = new PollSet([socket.fd.value]);
    const end = performance.now() + DEADLINE;
    for (;;) {
      const answer = reader.read(socket);
      if (answer !== undefined) return this.#result(answer) as ReturnType<KeeperCalls[K]>;
      if (poll.wait(end - performance.now()) === 0) throw this.#silent();
    }
  }

  /** Asks the keeper, which has to run, and waits for its answer for as long as it takes. */
  async ask<K extends keyof KeeperCalls>(
    call: K,
    args: Parameters<KeeperCalls[K]>,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ReturnType<KeeperCalls[K]>> {
    using socket = this.#send(call, args);
    const reader = new AnswerReader();
    const attempt = () => reader.read(socket);
    const answer = await until(socket.fd, "read", { attempt, tried: false, signal });
    return this.#result(answer) as ReturnType<KeeperCalls[K]>;
  }

  /**
   * Ends the keeper, and waits until it has ended: by force when it does not do so in its time.
   *
   * @returns Whether there was one.
   */
  async end(): Promise<boolean> {
    using directory = openKeeperDirectory(this.lab);
    if (!directory) return false;
    const isGone = () => tryLock(directory, `lock ${keeperDirectory(this.lab)}`);
    if (isGone()) return false;
    const deadline = AbortSignal.timeout(LAST_DEADLINE);
    try {
      await this.ask("end", [], { signal: deadline });
    } catch (error) {
      // It ends already, or does not answer.
      if (!(error instanceof LabError) && error !== deadline.reason) throw error;
    }
    for (let i = 0; !isGone(); i++) {
      const pid = lockHolder(keeperDirectory(this.lab));
      if (i === ENDING && pid !== undefined) Deno.kill(pid, "SIGKILL");
      if (i > 2 * ENDING) throw this.#silent();
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    restoreLinks(); // those of one that was killed
    removeKeeperDirectory(this.lab);
    return true;
  }

  /**
   * Clears up after a keeper that was killed: until then its wires lose all frames.
   *
   * @param endCommands Ends the commands that it has started.
   * @returns What was found, in sentences; nothing when no keeper was killed.
   */
  recover(endCommands: () => number): string[] {
    using directory = openKeeperDirectory(this.lab);
    if (!directory || !tryLock(directory, `lock ${keeperDirectory(this.lab)}`)) return [];
    const log = lastLines(keeperLog(this.lab), 1);
    const notes = restoreLinks();
    const ended = endCommands();
    removeKeeperDirectory(this.lab);
    return [
      `The keeper of lab ${show(this.lab)} was killed: the faults in user space have ended` +
      (ended > 0 ? `, and ${ended} processes of its commands` : "") +
      (log ? `; the last line of its log: ${log}` : ""),
      ...notes,
    ];
  }

  #send(call: keyof KeeperCalls, args: readonly unknown[]): Socket {
    const what = `ask the keeper of lab ${show(this.lab)}`;
    const socket = new Socket(homeNetNs(), C.AF_UNIX, C.SOCK_STREAM, 0, what);
    try {
      socket.connect(unixSocketAddress(keeperSocket(this.lab)), what);
      const request: KeeperRequest = { netloom: VERSION, call, args };
      const bytes = new TextEncoder().encode(JSON.stringify(request) + "\n");
      const poll = new PollSet([socket.fd.value], C.POLLOUT);
      for (let at = 0; at < bytes.length;) {
        // A stream socket takes what fits.
        const part = bytes.subarray(at, at + PART);
        if (socket.trySend(part, part.length, what)) at += part.length;
        else if (poll.wait(DEADLINE) === 0) throw this.#silent();
      }
      return socket;
    } catch (error) {
      socket.close();
      if (error instanceof SyscallError && GONE.includes(error.errno)) throw this.#gone();
      throw error;
    }
  }

  #result(line: string): unknown {
    if (line === "") throw this.#gone();
    const answer = JSON.parse(line) as KeeperAnswer;
    if ("result" in answer) return answer.result ?? undefined;
    const { name, message } = answer.error;
    if (name === "TypeError") throw new TypeError(message);
    if (name === "RangeError") throw new RangeError(message);
    throw new LabError(message);
  }

  #gone(): LabError {
    const log = lastLines(keeperLog(this.lab));
    return new LabError(
      `The keeper of lab ${show(this.lab)} has ended before it answered` +
        (log ? `; its log ends with:\n${log}` : ""),
    );
  }

  #silent(): LabError {
    const pid = lockHolder(keeperDirectory(this.lab));
    const who = pid === undefined ? "" : ` (process ${pid})`;
    return new LabError(
      `The keeper of lab ${show(this.lab)}${who} does not answer within ${DEADLINE} ms: ` +
        "down() ends it",
    );
  }
}

/** Milliseconds between two looks whether a keeper has ended. */
const PAUSE = 10;
/** Looks until it is killed. */
const ENDING = 300;
/** Bytes of one send. */
const PART = 32_768;
/** The refusals of a socket that nobody listens at. */
const GONE: readonly number[] = [ERRNO.ENOENT, ERRNO.ECONNREFUSED, ERRNO.EPIPE, ERRNO.ECONNRESET];

/** Collects a line of an answer. */
class AnswerReader {
  readonly #buffer = new Uint8Array(65_536);
  readonly #decoder = new TextDecoder();
  #text = "";

  /** The line when it is complete, `""` when the other side has closed before; `undefined` to wait. */
  read(socket: Socket): string | undefined {
    for (;;) {
      let length: number;
      try {
        length = socket.receive(this.#buffer, 0, "hear the keeper");
      } catch (error) {
        if (error instanceof SyscallError && GONE.includes(error.errno)) return "";
        throw error;
      }
      if (length < 0) return undefined;
      if (length === 0) return "";
      this.#text += this.#decoder.decode(this.#buffer.subarray(0, length), { stream: true });
      if (this.#text.endsWith("\n")) return this.#text;
    }
  }
}

/** The last lines of a file; `""` when there is none. */
function lastLines(path: string, count = 5): string {
  try {
    return readText(path).trimEnd().split("\n").slice(-count).join("\n");
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ENOENT) return "";
    throw error;
  }
}
