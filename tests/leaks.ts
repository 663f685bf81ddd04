// `test` in place of `Deno.test`: a test must leave nothing behind.
//
//     import { test } from "../leaks.ts";
//
// It compares before and after the test: the targets of the process's descriptors, the namespaces of
// its threads, its children, names in /run/netns, records in /run/netloom, the links and namespace ids
// of the process's own namespace, and the namespaces of the processes of its session.
import { connectionTo } from "../src/netlink/connections.ts";
import { NETLINK } from "../src/netlink/message.ts";
import type { DumpRequest } from "../src/netlink/message.ts";
import { getNsid, type NsidMessage, readNsid } from "../src/rtnetlink/nsid.ts";
import { homeNetNs } from "../ffi/namespace.ts";
import { readable } from "../ffi/reactor.ts";
import { Socket } from "../ffi/socket.ts";
import { threadRing } from "../ffi/packet_io.ts";
import { C } from "../ffi/libc.ts";

/** Things that a test may have left, each as a line of text. */
export type Traces = string[];

/** Namespaces disappear up to 0.4 s after they are dropped, and the peers of their links with them. */
const SETTLES_WITHIN = 5000;

/** Lists everything a test could leave behind. */
export function traces(): Traces {
  return [
    ...descriptors().map((target) => `descriptor of ${target}`),
    ...list("/run/netns").map((name) => `/run/netns/${name}`),
    ...list("/run/netloom").map((name) => `/run/netloom/${name}`),
    ...links().map((name) => `link ${name}`),
    ...nsids().map((id) => `namespace id ${id}`),
    ...namespaces().map((netns) => `namespace ${netns}`),
    ...children().map((pid) => `child process ${pid}`),
    ...threads().map((netns) => `thread in ${netns}`),
  ];
}

/** The lines of `after` that `before` does not have, each as often as it is there more. */
export function added(before: Traces, after: Traces): Traces {
  const counts = Map.groupBy(before, (line) => line);
  return after.filter((line) => !counts.get(line)?.pop());
}

/** Waits until nothing is left that was not there before. Throws with what stays. */
export async function settle(before: Traces, within = SETTLES_WITHIN): Promise<void> {
  const until = performance.now() + within;
  for (;;) {
    const left = added(before, traces());
    if (left.length === 0) return;
    if (performance.now() > until) throw new Error(`Left behind: ${left.join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

type TestFunction = (t: Deno.TestContext) => void | Promise<void>;

/** Needs of a test. */
export interface Needs {
  /** The need that is missing, in words; `undefined` if there is none. */
  readonly lacks: string | undefined;
}

/** The name of a test, and whether to run it. The kernel matrix wants to know why one is skipped. */
export function needing({ lacks }: Needs, name: string): { name: string; ignore: boolean } {
  return lacks === undefined
    ? { name, ignore: false }
    : { name: `${name} (ignored: ${lacks})`, ignore: true };
}

/** Registers a test that fails when it leaves anything behind. */
export function test(name: string, fn: TestFunction): void;
/** Registers a test that needs something. */
export function test(name: string, needs: Needs, fn: TestFunction): void;
export function test(name: string, needs: Needs | TestFunction, fn?: TestFunction): void {
  const body = typeof needs === "function" ? needs : fn!;
  const options = needing(typeof needs === "function" ? { lacks: undefined } : needs, name);
  Deno.test(options, async (t) => {
    await warmUp();
    const before = traces();
    // After a failure, leftovers are no second failure.
    await body(t);
    await settle(before);
  });
}

let warm: Promise<void> | undefined;

/** Opens the things that a process opens once, at first use, and keeps. */
export function warmUp(): Promise<void> {
  return warm ??= (async () => {
    nsids(); // the connection of this namespace
    connectionTo(homeNetNs(), NETLINK.NETFILTER).open();
    threadRing();
    // The reactor.
    using socket = new Socket(homeNetNs(), C.AF_INET, C.SOCK_DGRAM, 0, "open a socket");
    const soon = AbortSignal.timeout(1);
    await readable(socket.fd, soon).catch(() => {});
    threadRing();
    // Deno's signal handling, and its pool of idle threads.
    const ignored = () => {};
    Deno.addSignalListener("SIGUSR2", ignored);
    Deno.removeSignalListener("SIGUSR2", ignored);
    await Deno.readTextFile("/proc/self/stat");
    await new Deno.Command("true").output();
    // Deno keeps an epoll of the last worker that ended.
    const worker = new Worker("data:text/javascript,postMessage(0)", { type: "module" });
    await new Promise((resolve) => worker.onmessage = resolve);
    worker.terminate();
    await new Promise((resolve) => setTimeout(resolve, 50));
  })();
}

/** The names in a directory. */
export function list(directory: string): string[] {
  try {
    return Array.from(Deno.readDirSync(directory), ({ name }) => name).sort();
  } catch (error) {
    // Gone, or of another user.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return [];
    }
    throw error;
  }
}

function target(link: string): string | undefined {
  try {
    return Deno.readLinkSync(link);
  } catch {
    return undefined;
  }
}

/** What the process has open. */
export function descriptors(): string[] {
  // A connection replaces a socket whose answers were not read to the end: only their number counts.
  const all = list("/proc/self/fd").map((fd) =>
    target(`/proc/self/fd/${fd}`)?.replace(/^socket:\[\d+\]$/, "socket")
  );
  // The one that lists them is gone by then.
  return all.filter((path) => path !== undefined && !/^\/proc\/\d+\/fd$/.test(path)) as string[];
}

function links(): string[] {
  const lines = Deno.readTextFileSync("/proc/thread-self/net/dev").split("\n").slice(2);
  return lines.filter((line) => line.includes(":")).map((line) => line.trim().split(":")[0]!);
}

/** The ids under which the process's namespace knows others: also those that only a socket holds. */
function nsids(): number[] {
  const request: DumpRequest<NsidMessage> = { ...getNsid({}), reply: readNsid };
  return connectionTo(homeNetNs()).dump(request).map(({ nsid }) => nsid!);
}

/** Other namespaces that processes of this session are in: others may come and go meanwhile. */
function namespaces(): string[] {
  const home = target("/proc/self/ns/net");
  const own = session("self");
  const found = new Set<string>();
  for (const pid of list("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    // Asked first: a file to read costs several times as much, and nearly all processes are at home.
    const netns = target(`/proc/${pid}/ns/net`);
    if (netns && netns !== home && session(pid) === own) found.add(netns);
  }
  return [...found];
}

function session(pid: string): string | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3];
  } catch {
    // The process has ended.
    return undefined;
  }
}

function tasks(): string[] {
  return list("/proc/self/task").map((task) => `/proc/self/task/${task}`);
}

function children(): string[] {
  return tasks().flatMap((task) => {
    try {
      return Deno.readTextFileSync(`${task}/children`).split(" ").filter(Boolean);
    } catch {
      return [];
    }
  });
}

/** The namespaces of threads that are elsewhere than the one asking. */
function threads(): string[] {
  const own = target("/proc/thread-self/ns/net");
  return tasks().map((task) => target(`${task}/ns/net`)).filter((netns) => netns && netns !== own)
    .map(String);
}
