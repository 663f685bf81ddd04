/**
 * `netloom capture`: packets as lines, in a file, or in Wireshark.
 *
 * @module
 */
import type { Endpoint, Lab } from "../lab/mod.ts";
import type { PcapngTarget } from "../capture/writer.ts";
import { labOf } from "./lab_choice.ts";
import { type Call, numeric, UsageError, word } from "./verb.ts";

/** Signals that end a capture and complete its file: Ctrl-C, and those of `timeout` and `kill`. */
const ENDINGS = ["SIGINT", "SIGTERM"] as const;

/** Captures until Ctrl-C, for some seconds, or until Wireshark is closed. */
export async function run(call: Call): Promise<number> {
  const { all, wireshark } = call.options;
  const file = word(call, "write");
  if (all && call.args.length > 0) {
    throw new UsageError(`capture takes --all or nodes: got both, --all and ${call.args[0]}`);
  }
  if (file !== undefined && wireshark) {
    throw new UsageError("capture takes --write or --wireshark: got both");
  }
  await using lab = await labOf(call);
  const ends = endsOf(lab, call.args);
  const stop = Promise.withResolvers<void>();
  const interrupt = () => stop.resolve();
  for (const signal of ENDINGS) Deno.addSignalListener(signal, interrupt);
  const seconds = numeric(call, "seconds");
  const timer = seconds === undefined ? undefined : setTimeout(interrupt, seconds * 1000);
  try {
    if (wireshark) await inWireshark(call, { lab, ends, stop });
    else if (file !== undefined) await inFile(call, file, { lab, ends, stop });
    else await lines(call, { lab, ends, stop });
    return 0;
  } finally {
    clearTimeout(timer);
    for (const signal of ENDINGS) Deno.removeSignalListener(signal, interrupt);
  }
}

/** A capture: where, and until when. */
interface Job {
  readonly lab: Lab;
  readonly ends: readonly Endpoint[];
  readonly stop: PromiseWithResolvers<void>;
}

/** The interfaces that arguments name; without any, the first end of each wire. */
function endsOf(lab: Lab, args: readonly string[]): Endpoint[] {
  if (args.length === 0) return lab.topology.wires.map(({ ends }) => ends[0]);
  return args.flatMap((arg): Endpoint[] => {
    const [name, only] = arg.split(":") as [string, string?];
    const { interfaces } = lab.node(name).resolved;
    if (only !== undefined) return [`${name}:${only}`];
    return interfaces.filter(({ kind }) => kind !== "loopback")
      .map((it): Endpoint => `${name}:${it.name}`);
  });
}

async function inFile(call: Call, file: string, { lab, ends, stop }: Job): Promise<void> {
  const target: PcapngTarget = file === "-" ? Deno.stdout.writable : file;
  await using _capture = lab.capture(target, { ends });
  call.out.say(`Writing ${count(ends)} to ${file}; Ctrl-C ends it`);
  await stop.promise;
  if (file !== "-") call.out.result({ file });
}

async function inWireshark(call: Call, { lab, ends, stop }: Job): Promise<void> {
  const child = wireshark();
  const ended = child.status.then(() => stop.resolve());
  {
    await using _capture = lab.capture(child.stdin, { ends });
    call.out.say(`Wireshark shows ${count(ends)}; it ends with Wireshark`);
    await stop.promise;
  }
  await ended;
  call.out.result({ file: "-" });
}

function wireshark(): Deno.ChildProcess {
  try {
    return new Deno.Command("wireshark", {
      args: ["-k", "-i", "-"],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      "Wireshark is not installed: apt-get install -y wireshark, or write a file with -w FILE",
    );
  }
}

const count = ({ length }: readonly unknown[]): string =>
  length === 1 ? "1 interface" : `${length} interfaces`;

/** Prints packets as lines. */
async function lines(call: Call, { lab, ends, stop }: Job): Promise<void> {
  const { format } = await import("../packet/format.ts");
  const captures = ends.map((end) => {
    const [node, link] = end.split(":") as [string, string];
    return { end, capture: lab.node(node).netns.links.get(link).capture() };
  });
  stop.promise.then(() => captures.forEach(({ capture }) => capture.stop()));
  call.out.say(`Capturing at ${count(ends)}; Ctrl-C ends it`);
  await Promise.all(captures.map(async ({ end, capture }) => {
    for await (const { seconds, nanoseconds, direction, data } of capture) {
      const micros = String(Math.floor(nanoseconds / 1000)).padStart(6, "0");
      const time = `${new Date(seconds * 1000).toISOString().slice(11, 19)}.${micros}`;
      const packet = format(data);
      call.out.event(
        { time: seconds + nanoseconds / 1e9, interface: end, direction, packet },
        `${time} ${end} ${direction} ${packet}\n`,
      );
    }
  }));
}
