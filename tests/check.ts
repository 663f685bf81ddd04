// `deno task check`: every static check, whichever of them fails.
const { exports } = JSON.parse(Deno.readTextFileSync("deno.json"));

const checks = [
  ["fmt", "--check"],
  ["lint"],
  ["check"],
  ["doc", "--lint", ...Object.values<string>(exports)],
  ["publish", "--dry-run", "--allow-dirty"],
];

const failed = checks.filter((args) => {
  const env = Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" };
  const options = { args, env, stdout: "inherit", stderr: "inherit" } as const;
  return !new Deno.Command(Deno.execPath(), options).outputSync().success;
});

for (const [name] of failed) console.error(`deno ${name} fails`);
Deno.exit(failed.length);
