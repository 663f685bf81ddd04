/**
 * The keeper: the process of a lab with a name, for what ends with a process: commands, schedules, and faults in user
 * space. `up` starts it, and it ends with the lab, or when nothing is left for it to do.
 *
 * @module
 */
import { ARCH, C } from "../../ffi/libc.ts";
import {
  type Fd,
  identify,
  makeDirectory,
  open,
  removeFile,
  replaceFile,
  tryLock,
} from "../../ffi/file.ts";
import { show } from "../options.ts";
import { Activity } from "./activity.ts";
import { applyImpairments } from "./impairments.ts";
import {
  type KeeperAnswer,
  type KeeperCalls,
  keeperDirectory,
  keeperLog,
  type KeeperRequest,
  keeperSocket,
  openKeeperDirectory,
  removeKeeperDirectory,
  VERSION,
} from "./keeper_client.ts";
import { LogWriter } from "./logs.ts";
import { findNodes, nodesOf } from "./named.ts";
import type { LabNodes } from "./nodes.ts";
import type { ProcessOptions } from "./processes.ts";
import { readRecord, type RecordState } from "./record.ts";
import type { ResolvedTopology } from "./resolved.ts";
import type { ScheduleEntry } from "./schedule.ts";
import { LabError } from "./transaction.ts";
import { isInside } from "./user.ts";

/** Milliseconds without a request after which a keeper ends that has nothing to do. */
const IDLE = 2000;
/** Milliseconds that the lock of a directory is tried for: a command looks whether somebody has it. */
const PATIENCE = 1000;

/** The answers of a keeper; those that take their time get a signal that the other side has gone. */
type Calls = {
  readonly [K in keyof KeeperCalls]: (
    args: Parameters<KeeperCalls[K]>,
    signal: AbortSignal,
  ) => ReturnType<KeeperCalls[K]> | Promise<ReturnType<KeeperCalls[K]>>;
};

/** The living part of a lab, in its keeper. */
class KeptLab {
  readonly activity: Activity;
  readonly #lab: string;
  readonly #nodes: LabNodes;
  readonly #logs = new Map<string, LogWriter>();
  #hasEnded = false;

  constructor(lab: string) {
    this.#lab = lab;
    const state = stateOf(lab);
    this.#nodes = nodesOf(lab, state);
    this.activity = new Activity(state.settled ?? state.pending!.target, this.#nodes, {
      process: (node) => this.#process(node),
      noted: note,
    });
  }

  #process(node: string): ProcessOptions {
    let log = this.#logs.get(node);
    if (!log) this.#logs.set(node, log = new LogWriter(this.#lab, node));
    return { lab: this.#lab, output: (bytes) => log.write(bytes) };
  }

  /** Answers requests. */
  readonly calls: Calls = {
    converge: ([target, before, cwd], signal) => this.#converge(target, before, { cwd, signal }),
    leave: ([target]) => this.#leave(target),
    impair: ([ends, options]) => this.activity.faults.impair(ends, options),
    impairment: ([ends]) => this.activity.faults.impairment(ends),
    clear: ([ends]) => this.activity.faults.clear(ends),
    hold: ([wires]) => void this.activity.faults.hold(wires),
    release: ([wires]) => this.activity.faults.release(wires),
    flap: ([wires, every]) => void this.activity.faults.flap(wires, every),
    unflap: ([wires]) => this.activity.faults.unflap(wires),
    heal: () => this.activity.faults.healAll(),
    play: ([events]) => this.activity.start(events),
    played: ([number]) => this.activity.scheduleAt(number)?.log.map(plainEntry),
    over: ([number]) => this.activity.scheduleAt(number)?.done,
    stop: ([number]) => this.activity.scheduleAt(number)?.stop(),
    end: () => this.end(),
  };

  async #converge(
    target: ResolvedTopology,
    before: readonly ResolvedTopology[],
    options: { readonly cwd: string; readonly signal: AbortSignal },
  ): Promise<void> {
    findNodes(this.#nodes, stateOf(this.#lab));
    this.#nodes.refresh();
    await this.activity.leave(target);
    applyImpairments(target, before, { nodes: this.#nodes, faults: this.activity.faults });
    await this.activity.converge(target, options);
  }

  async #leave(target: ResolvedTopology): Promise<void> {
    this.#nodes.refresh();
    await this.activity.leave(target);
    const stays = new Set(target.nodes.map(({ name }) => name));
    for (const node of this.#nodes.names()) if (!stays.has(node)) this.#nodes.forget(node);
  }

  /** Whether it was asked to end. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Ends everything. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    await this.activity.stop();
    for (const log of this.#logs.values()) log[Symbol.dispose]();
  }
}

function stateOf(lab: string): RecordState {
  const state = readRecord(lab);
  if (state?.settled || state?.pending) return state;
  throw new LabError(`There is no lab ${show(lab)}`);
}

/** A line of the log of a schedule, as plain data. */
function plainEntry({ error, ...entry }: ScheduleEntry): ScheduleEntry {
  return error === undefined ? entry : { ...entry, error: messageOf(error) };
}

/** Writes what a schedule has done to the log of the keeper. */
function note(entry: ScheduleEntry): void {
  console.log(JSON.stringify(plainEntry(entry)));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Creates the directory of a keeper, and locks it until this process ends: the lock is the proof that the keeper
 * lives.
 */
async function claim(lab: string): Promise<Fd> {
  const path = keeperDirectory(lab);
  const until = performance.now() + PATIENCE;
  for (;;) {
    makeDirectory(path, 0o700);
    const fd = openKeeperDirectory(lab);
    if (!fd) continue; // removed in between
    try {
      const isLocked = tryLock(fd, `lock ${path}`);
      // In between, a command may have removed the directory of a keeper that was killed.
      if (isLocked && identify(path)?.inode === identify(`/proc/self/fd/${fd.value}`)?.inode) {
        return fd;
      }
      fd.close();
      if (!isLocked && performance.now() > until) {
        throw new LabError(`Lab ${show(lab)} has a keeper already`);
      }
    } catch (error) {
      fd.close();
      throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * Keeps a lab: returns when the keeper has ended.
 *
 * @param lab The name of the lab, which has a record.
 */
export async function keep(lab: string): Promise<void> {
  await claim(lab);
  let kept: KeptLab;
  let listener: Deno.UnixListener;
  try {
    kept = new KeptLab(lab);
    removeFile(keeperSocket(lab));
    listener = Deno.listen({ transport: "unix", path: keeperSocket(lab) });
    endBySignals(kept);
    writeToLog(lab);
  } catch (error) {
    removeKeeperDirectory(lab);
    throw error;
  }
  await serve(listener, kept);
  await kept.end();
  removeKeeperDirectory(lab);
}

/** The directory stays then: the next command tells that the keeper is gone. */
function endBySignals(kept: KeptLab): void {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      console.log(`ended by ${signal}`);
      kept.end().finally(() => Deno.exit(1));
    });
  }
}

/** Sends standard output and error to the log: until then, the command that starts the keeper reads them. */
function writeToLog(lab: string): void {
  const flags = C.O_WRONLY | C.O_CREAT | C.O_APPEND | ARCH.O_NOFOLLOW;
  using log = open(keeperLog(lab), flags, `open ${keeperLog(lab)}`, 0o600);
  replaceFile(1, log);
  replaceFile(2, log);
}

/** Answers requests until there is nothing to do any more. */
async function serve(listener: Deno.UnixListener, kept: KeptLab): Promise<void> {
  const end = new AbortController();
  let open = 0;
  let idle: ReturnType<typeof setTimeout> | undefined;
  const rest = () => {
    if (open > 0) return;
    if (kept.hasEnded) end.abort();
    // In the namespaces of a user's labs it also holds these.
    else if (!kept.activity.isBusy && !isInside()) idle = setTimeout(() => end.abort(), IDLE);
  };
  end.signal.addEventListener("abort", () => listener.close());
  rest();
  while (!end.signal.aborted) {
    const connection = await accepted(listener);
    if (!connection) continue;
    clearTimeout(idle);
    open++;
    answer(connection, kept).catch((error) => console.error(messageOf(error))).finally(() => {
      open--;
      rest();
    });
  }
}

/** The next connection; `undefined` when the listener is closed, or after a pause when no descriptor is free. */
async function accepted(listener: Deno.UnixListener): Promise<Deno.UnixConn | undefined> {
  try {
    return await listener.accept();
  } catch (error) {
    if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) {
      return undefined;
    }
    console.error(messageOf(error));
    await new Promise((resolve) => setTimeout(resolve, PATIENCE));
    return undefined;
  }
}

/** Answers one request. */
async function answer(connection: Deno.UnixConn, kept: KeptLab): Promise<void> {
  using _connection = connection;
  const reader = connection.readable.getReader();
  const { netloom, call, args } = await requestOf(reader);
  const gone = new AbortController();
  const leave = () => gone.abort(new Error("The command has ended"));
  const watched = reader.read().then(leave, leave); // it fails when the command was killed
  let result: KeeperAnswer;
  try {
    if (netloom !== VERSION) {
      throw new LabError(
        `The keeper speaks version ${VERSION}, the command ${netloom}: down() ends it`,
      );
    }
    if (!Object.hasOwn(kept.calls, call)) throw new LabError(`Unknown request ${show(call)}`);
    const reply = kept.calls[call] as (args: readonly unknown[], signal: AbortSignal) => unknown;
    result = { result: await reply(args, gone.signal) ?? null };
  } catch (error) {
    const name = error instanceof Error ? error.name : "Error";
    result = { error: { name, message: messageOf(error) } };
  }
  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(result) + "\n"));
  await watched;
}

async function requestOf(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<KeeperRequest> {
  const decoder = new TextDecoder();
  let text = "";
  while (!text.endsWith("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new LabError("A command has ended before its request was complete");
    text += decoder.decode(value, { stream: true });
  }
  return JSON.parse(text) as KeeperRequest;
}

if (import.meta.main) {
  try {
    await keep(Deno.args[0] ?? "");
    Deno.exit();
  } catch (error) {
    console.error(messageOf(error));
    Deno.exit(1);
  }
}
