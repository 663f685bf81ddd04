// `deno task docs:recording`: brings a lab up, looks at it, impairs and removes it, and keeps what the
// terminal showed: docs/public/lab.cast for the start page (asciicast, as asciinema has it), the page of
// `view` as a picture, and the output of each verb in docs/outputs/commands for its page.
import { chromium } from "npm:playwright-core@1.65.1";
import { isolated } from "../isolation.ts";
import { ROOT } from "../script.ts";
import { CHROMIUM } from "./browser.ts";
import { OUTPUTS } from "./command_page.ts";

const COLUMNS = 80;
const ROWS = 24;
/** Seconds between two typed letters, and before the next command. */
const [TYPING, READING] = [0.045, 1.4];

/** One command, as a person types it. */
interface Step {
  readonly line: string;
  /** The verb on whose page its output is. */
  readonly verb?: string;
  /** Whether it is part of the recording of the start page. */
  readonly shown?: boolean;
  /** Ended by Ctrl-C after so many seconds. */
  readonly seconds?: number;
  /** Runs beside it, a second later. */
  readonly beside?: string;
}

const LAB = "examples/labs/wan.lab.yml";

const STEPS: readonly Step[] = [
  { line: "netloom doctor", verb: "doctor" },
  { line: "netloom init --ring 3 -o -", verb: "init" },
  { line: `netloom check ${LAB}`, verb: "check" },
  { line: `netloom plan ${LAB}`, verb: "plan" },
  { line: `netloom up ${LAB}`, verb: "up", shown: true },
  { line: "netloom ps", verb: "ps" },
  { line: "netloom ping", verb: "ping", shown: true },
  { line: "netloom show desk1", verb: "show" },
  { line: "netloom exec desk1 -- ip route", verb: "exec" },
  { line: "netloom draw -o wan.svg", verb: "draw", shown: true },
  { line: "netloom view", verb: "view", shown: true },
  { line: "netloom impair hq branch rate=200kbit", verb: "impair", shown: true },
  { line: "netloom impair show", verb: "impair" },
  {
    line: "netloom watch",
    verb: "watch",
    seconds: 5,
    beside: "netloom exec desk1 -- ip link set lo mtu 9000",
  },
  {
    line: "netloom capture desk1 --seconds 4",
    verb: "capture",
    seconds: 6,
    beside: "netloom ping desk1 server",
  },
  { line: "netloom cut hq branch", verb: "cut", shown: true },
  { line: "netloom ping", shown: true },
  { line: "netloom heal", verb: "heal", shown: true },
  { line: "netloom partition hq,server branch,desk1,desk2,office", verb: "partition" },
  { line: "netloom heal" },
  { line: "netloom links -n wan.hq", verb: "links" },
  { line: "netloom addresses -n wan.hq", verb: "addresses" },
  { line: "netloom routes -n wan.hq", verb: "routes" },
  { line: "netloom neighbors -n wan.desk1", verb: "neighbors" },
  { line: "netloom qdiscs -n wan.hq", verb: "qdiscs" },
  { line: "netloom bridge fdb -n wan.office", verb: "bridge" },
  {
    line: "netloom monitor -n wan.desk1",
    verb: "monitor",
    seconds: 5,
    beside: "netloom exec desk1 -- ip address add 192.0.2.9/24 dev lo",
  },
  { line: "netloom clean", verb: "clean" },
  { line: "netloom schema | head -n 12", verb: "schema" },
  { line: "netloom completion bash | head -n 12", verb: "completion" },
  { line: "netloom down", verb: "down", shown: true },
  { line: "netloom up examples/labs/quorum.lab.yml" },
  { line: "netloom fault run examples/labs/quorum.lab.yml", verb: "fault" },
  { line: "netloom down" },
  { line: "netloom up examples/labs/three-tier.lab.yml" },
  { line: "netloom exec client -- curl -s http://web1/LICENSE | head -n 1" },
  { line: "netloom logs web1", verb: "logs" },
  { line: "netloom down" },
];

type Event = [seconds: number, kind: "o", text: string];

/** What a terminal shows while a command runs in it, and when. */
async function run(step: Step): Promise<{ events: Event[]; text: string; code: number }> {
  const start = performance.now();
  const child = new Deno.Command("script", {
    args: ["-qfec", `stty cols ${COLUMNS} rows ${ROWS}; ${step.line}`, "/dev/null"],
    cwd: ROOT,
    env: { TERM: "xterm-256color", COLUMNS: String(COLUMNS) },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const stdin = child.stdin.getWriter();
  const after = (seconds: number, task: () => unknown) => setTimeout(task, seconds * 1000);
  const interrupt = () => stdin.write(new Uint8Array([3]));
  const timers = [
    step.seconds && after(step.seconds, interrupt),
    step.beside && after(2.5, () => sh(step.beside!)),
  ];
  const events: Event[] = [];
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    events.push([(performance.now() - start) / 1000, "o", text]);
    const [address] = step.verb === "view" ? /http:\S+/.exec(text) ?? [] : [];
    if (!address) continue;
    await picture(address);
    await interrupt();
  }
  const { code } = await child.status;
  for (const timer of timers) if (timer) clearTimeout(timer);
  await stdin.close().catch(() => {}); // The command has ended.
  return { events, text: events.map(([, , text]) => text).join(""), code };
}

function sh(line: string): void {
  new Deno.Command("sh", { args: ["-c", `${line} >/dev/null 2>&1`], cwd: ROOT }).spawn();
}

/** Keeps the page of `view` as pictures, light and dark. */
async function picture(address: string): Promise<void> {
  const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
  const looks = ["light", "dark"] as const;
  for (const colorScheme of looks) {
    const page = await browser.newPage({ colorScheme, viewport: { width: 1100, height: 620 } });
    await page.goto(address);
    await page.waitForSelector("#picture svg [data-edge]", { state: "attached" });
    await page.waitForTimeout(1500);
    await page.screenshot({ path: `${ROOT}docs/public/view-${colorScheme}.png` });
  }
  await browser.close();
}

/** Text without what colours it, and without Ctrl-C. */
function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").replace(/\^C/g, "").replaceAll("\r", "");
}

async function record(): Promise<void> {
  const bin = Deno.makeTempDirSync();
  const command = `#!/bin/sh\nexec ${Deno.execPath()} run -A --quiet ${ROOT}cli.ts "$@"\n`;
  Deno.writeTextFileSync(`${bin}/netloom`, command, { mode: 0o755 });
  Deno.env.set("PATH", `${bin}:${Deno.env.get("PATH")}`);
  Deno.mkdirSync(OUTPUTS, { recursive: true });
  const outputs = new Map<string, string>();
  const cast: Event[] = [];
  let now = 0.6;
  for (const step of STEPS) {
    const { events, text, code } = await run(step);
    console.log(`${step.line}: code ${code}`);
    if (step.verb) {
      const before = outputs.has(step.verb) ? `${outputs.get(step.verb)}\n` : "";
      outputs.set(step.verb, `${before}$ ${step.line}\n${plain(text).trimEnd()}\n`);
    }
    if (!step.shown) continue;
    cast.push([now, "o", "\x1b[1;32m$\x1b[0m "]);
    for (const letter of step.line) cast.push([now += TYPING, "o", letter]);
    cast.push([now += 0.3, "o", "\r\n"]);
    for (const [at, kind, shown] of events) {
      cast.push([now + Math.min(at, 2), kind, shown.replace("^C", "\x1b[2m^C\x1b[0m\r\n")]);
    }
    now += Math.min(events.at(-1)?.[0] ?? 0, 2) + READING;
  }
  for (const [verb, text] of outputs) Deno.writeTextFileSync(`${OUTPUTS}/${verb}.txt`, text);
  const head = { version: 2, width: COLUMNS, height: ROWS, title: "netloom" };
  const lines = [head, ...cast].map((line) => JSON.stringify(line));
  Deno.writeTextFileSync(`${ROOT}docs/public/lab.cast`, `${lines.join("\n")}\n`);
  Deno.removeSync(bin, { recursive: true });
}

if (Deno.args.includes("--inside")) {
  await record();
} else if (import.meta.main) {
  const self = ["run", "-A", "tests/site/recording.ts", "--inside"];
  const [program, ...args] = isolated([Deno.execPath(), ...self]);
  const { code } = await new Deno.Command(program!, { args, cwd: ROOT }).spawn().status;
  Deno.removeSync(`${ROOT}wan.svg`);
  Deno.exit(code);
}
