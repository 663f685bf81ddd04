/**
 * `netloom fault run`: faults at fixed times.
 *
 * @module
 */
import { parse } from "@std/yaml";
import { type EventSpec, load, type ScheduleEntry } from "../lab/mod.ts";
import { fileOf, labOf } from "./lab_choice.ts";
import { type Call, UsageError } from "./verb.ts";

/** Milliseconds between two looks at the log. */
const PAUSE = 50;

/** Runs a schedule, and prints each fault as it begins and ends; the exit code is 1 when one fails. */
export async function run(call: Call): Promise<number> {
  const [verb, file] = call.args;
  if (verb !== "run") throw new UsageError(`fault takes run: got ${JSON.stringify(verb)}`);
  const events = await eventsOf(fileOf(file));
  await using lab = await labOf(call);
  const running = lab.play(events);
  let interrupted = false;
  let log: readonly ScheduleEntry[] = [];
  const tell = () => {
    const told = log.length;
    log = running.log; // a keeper is asked at each reading
    for (const entry of log.slice(told)) call.out.event(entry, `${lineOf(entry)}\n`);
  };
  const interrupt = () => {
    interrupted = true;
    running.stop();
  };
  Deno.addSignalListener("SIGINT", interrupt);
  call.out.say(`${events.length} faults in lab ${lab.name}; Ctrl-C ends it`);
  const timer = setInterval(tell, PAUSE);
  try {
    await running.done;
  } finally {
    clearInterval(timer);
    Deno.removeSignalListener("SIGINT", interrupt);
  }
  tell();
  if (interrupted) {
    call.out.say("Ended early: netloom heal and netloom impair clear undo the faults in force");
    return 130;
  }
  return log.some(({ error }) => error !== undefined) ? 1 : 0;
}

/** `0.030 s end cut [["h1:to-r1","r1:to-h1"]]`. */
function lineOf({ due, action, fault: { kind, ...values }, error }: ScheduleEntry): string {
  const words = Object.values(values).map((value) => JSON.stringify(value));
  const failed = error === undefined ? "" : `: ${error instanceof Error ? error.message : error}`;
  return `${(due / 1000).toFixed(3)} s ${action} ${kind} ${words.join(" ")}${failed}`;
}

/** The events of a file: a list of them, or a lab file with a schedule. */
async function eventsOf(file: string): Promise<readonly EventSpec[]> {
  const found = parse(await Deno.readTextFile(file));
  if (Array.isArray(found)) return found as EventSpec[];
  const isLab = typeof found === "object" && found !== null && "nodes" in found;
  const schedule = isLab
    ? (await load(file)).schedule
    : (found as { schedule?: EventSpec[] } | null)?.schedule;
  if (Array.isArray(schedule)) return schedule;
  throw new UsageError(`${file} has no schedule: it is a list of events, or "schedule" of a lab`);
}
