/**
 * The output of the commands of labs with a name: files beside the record.
 *
 * @module
 */
import { ARCH, C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { type Fd, identify, open, read, renameFile, write } from "../../ffi/file.ts";
import { checkOptions, didYouMean, type OptionNames, show } from "../options.ts";
import { keeperDirectory } from "./keeper_client.ts";
import { checkLabName, readRecord } from "./record.ts";
import { LabError } from "./transaction.ts";

/** Bytes of a log; then a new one is begun, and the one before is kept beside it. */
const MOST = 8 << 20;
/** Milliseconds between two looks for more. */
const PAUSE = 100;

/** The log of a node. */
function pathOf(lab: string, node: string): string {
  return `${keeperDirectory(lab)}/${node}.log`;
}

/** Writes the log of a node. A full disk costs lines, never the command: the log says how many bytes. */
export class LogWriter implements Disposable {
  readonly #path: string;
  readonly #most: number;
  #fd: Fd | undefined;
  #size = 0;
  #lost = 0;

  /**
   * Opens nothing yet.
   *
   * @param lab The name of the lab.
   * @param node The node.
   * @param most Bytes of one file.
   */
  constructor(lab: string, node: string, most = MOST) {
    this.#path = pathOf(lab, node);
    this.#most = most;
  }

  /** Adds bytes. */
  write(bytes: Uint8Array<ArrayBuffer>): void {
    try {
      if (this.#size + bytes.length > this.#most && this.#size > 0) this.#rotate();
      this.#fd ??= this.#open();
      if (this.#lost > 0) this.#put(new TextEncoder().encode(lostLine(this.#lost)));
      this.#lost = 0;
      this.#put(bytes);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#lost += bytes.length;
    }
  }

  #put(bytes: Uint8Array<ArrayBuffer>): void {
    write(this.#fd!, bytes, `write ${this.#path}`);
    this.#size += bytes.length;
  }

  #open(): Fd {
    const flags = C.O_WRONLY | C.O_CREAT | C.O_APPEND | ARCH.O_NOFOLLOW;
    return open(this.#path, flags, `open ${this.#path}`, 0o600);
  }

  #rotate(): void {
    this.#fd?.close();
    this.#fd = undefined;
    this.#size = 0;
    renameFile(this.#path, `${this.#path}.1`);
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#fd?.close();
    this.#fd = undefined;
  }
}

const lostLine = (bytes: number): string => `\n[netloom: ${bytes} bytes could not be written]\n`;

/** Options of {@link logs}. */
export interface LogOptions {
  /** Goes on with what comes later, until the lab is gone. Default: false. */
  readonly follow?: boolean;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

const OPTIONS: OptionNames<LogOptions> = { follow: true, signal: true };

/**
 * The output of the commands of a node, standard error included, in a lab with a name: of all commands since the
 * lab came up, at least the last 8 MiB.
 *
 * @param lab The name of the lab.
 * @param node The node.
 * @param options Whether to follow it.
 * @returns The text in pieces, which end anywhere.
 * @throws {LabError} When there is no such lab or node.
 *
 * @example The output so far
 * ```ts
 * import { down, logs, up } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * const run = [{ command: "echo hello", ready: { log: "hello" } }];
 * const lab = await up({ nodes: { a: { run } }, links: [] }, { name: "greeting" });
 * lab.persist();
 * assertEquals((await Array.fromAsync(logs("greeting", "a"))).join(""), "hello\n");
 * await lab[Symbol.asyncDispose]();
 * await down("greeting");
 * ```
 */
export function logs(
  lab: string,
  node: string,
  options: LogOptions = {},
): AsyncIterableIterator<string> {
  checkOptions(options, OPTIONS);
  const state = readRecord(checkLabName(lab));
  const nodes = (state?.settled ?? state?.pending?.target)?.nodes.map(({ name }) => name);
  if (!nodes) throw new LabError(`There is no lab ${show(lab)}`);
  if (!nodes.includes(node)) {
    throw new LabError(`Lab ${show(lab)} has no node ${show(node)}${didYouMean(node, nodes)}`);
  }
  return pieces(pathOf(lab, node), options);
}

async function* pieces(
  path: string,
  { follow = false, signal }: LogOptions,
): AsyncIterableIterator<string> {
  const decoder = new TextDecoder();
  {
    using before = openLog(`${path}.1`);
    if (before) yield* rest(before, decoder);
  }
  let fd: Fd | undefined;
  try {
    while (!signal?.aborted) {
      fd ??= openLog(path);
      if (fd) yield* rest(fd, decoder);
      if (!follow || !identify(path.replace(/\/[^/]*$/, ""))) return;
      if (fd && identify(path)?.inode !== identify(`/proc/self/fd/${fd.value}`)?.inode) {
        // Another file has its name by now; this one gets no more.
        yield* rest(fd, decoder);
        fd.close();
        fd = undefined;
      } else await pause(signal);
    }
  } finally {
    fd?.close();
  }
}

/** What a file has behind the place that was read last. */
function* rest(fd: Fd, decoder: TextDecoder): Iterable<string> {
  const buffer = new Uint8Array(65_536);
  for (let length; (length = read(fd, buffer, "read a log")) > 0;) {
    yield decoder.decode(buffer.subarray(0, length), { stream: true });
  }
}

/** The output of the commands of a node so far: the end of it, at most 1,048,576 characters. */
export function outputOf(lab: string, node: string): string {
  let text = "";
  for (const path of [`${pathOf(lab, node)}.1`, pathOf(lab, node)]) {
    using fd = openLog(path);
    if (fd) {
      for (const piece of rest(fd, new TextDecoder())) text = (text + piece).slice(-1 << 20);
    }
  }
  return text;
}

/** Waits for a moment, or until the signal is aborted. */
function pause(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, PAUSE);
    signal?.addEventListener("abort", end);
  });
}

function openLog(path: string): Fd | undefined {
  try {
    return open(path, C.O_RDONLY | ARCH.O_NOFOLLOW, `open ${path}`);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ENOENT) return undefined;
    throw error;
  }
}
