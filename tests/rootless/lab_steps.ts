// What the commands of ./labs.ts do in the namespaces of a user's labs.
import { down, list } from "../../src/lab/named.ts";
import { attach, up } from "../../src/lab/up.ts";

const plain = { nodes: { a: {}, b: {} }, links: ["a -- b"] } as const;
const busy = {
  nodes: {
    a: { run: [{ command: "echo hello; exec sleep 1000", ready: { log: "hello" } }] },
    b: {},
  },
  links: ["a -- b"],
} as const;

/** What the commands do inside. */
const STEPS: Readonly<Record<string, () => unknown>> = {
  plain: () => up(plain, { name: "plain" }),
  busy: () => up(busy, { name: "busy" }),
  use: async () => {
    const lab = attach("busy");
    return [(await lab.node("a").ping("b")).received, lab.logs("a")];
  },
  list: () => list().map(({ name, keeper }) => [name, keeper?.state]),
  "down plain": () => down("plain"),
  "down busy": () => down("busy"),
};

const [step = ""] = Deno.args;
const result = await STEPS[step]!();
if (Array.isArray(result)) console.log(JSON.stringify([step, ...result]));
Deno.exit();
