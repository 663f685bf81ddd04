// `deno task check`: every static check, whichever of them fails.
import { dryRun } from "./publish.ts";

const { exports } = JSON.parse(Deno.readTextFileSync("deno.json"));

const checks = [
  ["fmt", "--check"],
  ["lint"],
  ["check"],
  ["doc", "--lint", ...Object.values<string>(exports)],
];

const env: Record<string, string> = Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" };
const failed = checks.filter((args) => {
  const options = { args, env, stdout: "inherit", stderr: "inherit" } as const;
  return !new Deno.Command(Deno.execPath(), options).outputSync().success;
});

if (!await dryRun(env)) failed.push(["publish"]);
for (const [name] of failed) console.error(`deno ${name} fails`);
Deno.exit(failed.length);
