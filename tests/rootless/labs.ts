// Labs of an ordinary user, from several commands: run by ../rootless_test.ts.
import { runAsUser } from "../../src/lab/user.ts";

const STEPS = new URL("./lab_steps.ts", import.meta.url).pathname;

Deno.env.set("XDG_RUNTIME_DIR", Deno.makeTempDirSync({ dir: Deno.env.get("HOME")! }));
const run = (step: string, create = true) =>
  runAsUser([Deno.execPath(), "run", "-A", "--no-check", "--cached-only", STEPS, step], { create });
console.log(JSON.stringify(["none", await run("list", false) ?? null]));
for (const step of ["plain", "list", "busy", "use", "down plain", "list", "down busy"]) {
  const code = await run(step, step === "plain");
  if (code !== 0) console.log(JSON.stringify([step, code ?? null]));
}
console.log(JSON.stringify(["gone", await run("list", false) ?? null]));
