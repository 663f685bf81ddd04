// Every verb against a running lab, in both forms: for people, and for programs by the published schema.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { VERBS } from "../../src/cli/verbs.ts";
import { checked, CLI, jsonEvents, netloom } from "./command.ts";

const FILE = `name: forms
addressing: { ipv4: 10.0.0.0/16 }
nodes:
  sw: { kind: switch }
  h1: { run: [{ command: "echo hello; exec sleep 1000", ready: { log: hello } }] }
  h2:
links:
  - h1 -- sw
  - h2 -- sw
`;

/** The two forms of a verb. */
interface Form {
  /** Its arguments; FILE and FOLDER stand for those of the test. */
  readonly args: readonly string[];
  /** In the text for people, on both streams. */
  readonly shows: RegExp;
  /** The exit code. Default: 0. */
  readonly code?: number;
  /** In the result for programs: a part of its JSON. */
  readonly has: RegExp;
}

/** The verbs that print one result, in an order that a lab lives through. */
const RESULTS: Readonly<Record<string, Form>> = {
  check: { args: ["FILE"], shows: /3 nodes, 2 wires/, has: /"nodes":3/ },
  plan: { args: ["FILE"], shows: /ip netns add forms\.h1/, has: /"verb":"create"/ },
  up: { args: ["FILE"], shows: /Lab forms is up after/, has: /"name":"forms"/ },
  ps: { args: [], shows: /forms +up/, has: /"state":"up"/ },
  show: { args: ["h1"], shows: /link +to-sw/, has: /"node":"h1"/ },
  exec: { args: ["h1", "--", "echo", "hi"], shows: /^hi$/m, has: /"stdout":"hi\\n"/ },
  ping: { args: ["h1", "h2", "-c", "1"], shows: /SENT/, has: /"received":1/ },
  impair: { args: ["h1", "sw", "rate=8mbit"], shows: /is impaired/, has: /"rate":8000000/ },
  cut: { args: ["h1", "sw"], shows: /h1 -- sw is cut/, has: /"cut":true/ },
  heal: { args: ["h1", "sw"], shows: /h1 -- sw is healed/, has: /"cut":false/ },
  partition: { args: ["h1", "h2"], shows: /Parted: h1 \| h2/, has: /\[\["h1"\],\["h2"\]\]/ },
  logs: { args: ["h1"], shows: /^hello$/m, has: /"output":"hello\\n"/ },
  draw: { args: ["--lab", "forms"], shows: /^<svg/, has: /"kind":"switch"/ },
  links: { args: ["-n", "forms.h1"], shows: /to-sw +veth/, has: /"name":"to-sw"/ },
  addresses: { args: ["-n", "forms.h1"], shows: /to-sw +10\.0\./, has: /"family":"inet"/ },
  routes: { args: ["-n", "forms.h1"], shows: /10\.0\./, has: /"protocol":"kernel"/ },
  neighbors: { args: ["-n", "forms.h1"], shows: /to-sw/, has: /"lladdr"/ },
  qdiscs: { args: ["-n", "forms.h1"], shows: /to-sw +tbf/, has: /"kind":"tbf"/ },
  bridge: { args: ["fdb", "-n", "forms.sw"], shows: /^br0/m, has: /"bridge":"br0"/ },
  init: { args: ["--ring", "3", "-o", "-"], shows: /n1 -- n2/, has: /"text":"# yaml/ },
  schema: { args: ["--output"], shows: /json-schema\.org/, has: /"title":"The output/ },
  completion: { args: ["zsh"], shows: /#compdef netloom/, has: /"shell":"zsh"/ },
  doctor: { args: [], shows: /CHECK +STATE/, has: /"check":"kernel"/ },
  clean: { args: [], shows: /Nothing is left/, has: /"result":\[\]/ },
  test: { args: ["FOLDER/one_test.ts"], shows: /1 passed/, has: /"code":0/ },
  down: { args: ["forms"], shows: /Lab forms is gone|There is no lab/, has: /"name":"forms"/ },
};

/** Verbs that print events until they are ended: the arguments, and the two forms of one event. */
const EVENTS: Readonly<Record<string, Form>> = {
  fault: {
    args: ["run", "FOLDER/events.yml"],
    shows: /^0\.000 s begin heal/,
    has: /"action":"begin"/,
  },
  capture: {
    args: ["h1", "--seconds", "3"],
    shows: /\.(?!000000)\d{6} .*ICMP echo request/,
    has: /ICMP echo request/,
  },
  watch: { args: ["--count", "1"], shows: /^h1: link change/, has: /"node":"h1"/ },
  monitor: {
    args: ["links", "-n", "forms.h1", "--count", "1"],
    shows: /link change/,
    has: /"link"/,
  },
};

/** `view` and `shell` have tests of their own here: the one is ended by Ctrl-C, the other has a terminal. */
const OTHERS = ["view", "shell"];

Deno.test("Every verb prints both of its forms against a running lab", async (t) => {
  const names = [RESULTS, EVENTS].flatMap(Object.keys).concat(OTHERS);
  assertEquals(names.toSorted(), VERBS.map(({ name }) => name).toSorted());
  const folder = await Deno.makeTempDir();
  const file = `${folder}/forms.lab.yml`;
  await Deno.writeTextFile(file, FILE);
  await Deno.writeTextFile(`${folder}/events.yml`, "- { at: 0, heal: h1 -- sw }\n");
  await Deno.writeTextFile(`${folder}/one_test.ts`, 'Deno.test("one", () => {});\n');
  const argsOf = ({ args }: Form) =>
    args.map((arg) => arg.replace("FILE", file).replace("FOLDER", folder));
  try {
    for (const [verb, form] of Object.entries(RESULTS)) {
      if (verb === "down") {
        for (const [verb, form] of Object.entries(EVENTS)) {
          await t.step(`netloom ${verb}`, () => events(verb, argsOf(form), form));
        }
        await t.step("netloom shell", () => shell());
        await t.step("netloom view", () => view());
      }
      await t.step(`netloom ${verb}`, async () => {
        const args = argsOf(form);
        const people = await netloom(verb, ...args);
        assertEquals(people.code, form.code ?? 0, people.stderr);
        assertMatch(people.stdout + people.stderr, form.shows);
        const programs = await netloom(verb, "--json", ...args);
        assertEquals(programs.code, form.code ?? 0, programs.stderr);
        assertMatch(JSON.stringify(checked(programs.stdout)), form.has);
      });
    }
  } finally {
    await netloom("down", "forms");
    await Deno.remove(folder, { recursive: true });
  }
});

/** Changes links and sends packets while a verb prints them in both forms. */
async function events(verb: string, args: readonly string[], form: Form): Promise<void> {
  let ended = false;
  const both = Promise.all([netloom(verb, ...args), jsonEvents(verb, ...args)]);
  both.catch(() => {}).finally(() => ended = true);
  await netloom("heal");
  while (!ended) {
    await netloom("exec", "h1", "--", "sh", "-c", CHANGES);
  }
  const [people, programs] = await both;
  assertEquals(people.code, 0, people.stderr);
  assertMatch(people.stdout, form.shows);
  assert(programs.some((event) => form.has.test(JSON.stringify(event))), verb);
}

const CHANGES =
  "ip link set lo mtu 65000; ip link set lo mtu 65536; ping -c 1 -W 1 h2 >/dev/null 2>&1; sleep 0.2";

/** A shell with a terminal, as script(1) gives it. */
async function shell(): Promise<void> {
  const run = async (...flags: string[]) => {
    const command = [Deno.execPath(), "run", "-A", "--quiet", CLI, "shell", "h1", ...flags];
    const child = new Deno.Command("script", {
      args: ["--quiet", "--return", "--command", command.join(" "), "/dev/null"],
      env: { SHELL: "/bin/sh" },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(
      new TextEncoder().encode("hostname; test -t 0 && echo termi''nal; exit 3\n"),
    );
    const { code, stdout } = await child.output();
    await writer.close();
    return { code, text: new TextDecoder().decode(stdout) };
  };
  const people = await run();
  assertEquals(people.code, 3, people.text);
  assertMatch(people.text, /h1# h1\r$/m);
  assertMatch(people.text, /^terminal\r$/m);
  const { text } = await run("--json");
  assertEquals(checked(text.slice(text.indexOf("{\r\n"))).result, { node: "h1", code: 3 });
}

/** The page, until Ctrl-C. */
async function view(): Promise<void> {
  for (const flags of [[], ["--json"]]) {
    await using child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", CLI, "view", ...flags],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!/\}\s*$|token=\S+\n/.test(text)) text += (await reader.read()).value;
    const url = flags.length === 0 ? text.trim() : checked(text).result.url;
    const page = await fetch(url);
    assertMatch(await page.text(), /<title>netloom/);
    child.kill("SIGINT");
    await reader.cancel();
    assertEquals((await child.status).code, 130);
  }
}
