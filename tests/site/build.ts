// `deno task docs`: the documentation site, into .cache/docs/site. VitePress makes its pages from
// docs/, and `deno doc` the API reference below api/, from every entry point. Both come from npm.
import { ROOT } from "../script.ts";

/** Where the site is built. */
export const SITE: string = `${ROOT}.cache/docs/site`;

/** Builds the site. */
export function build(): void {
  const { exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const entries = Object.values<string>(exports);
  deno("docs", "install", "--frozen", "--quiet");
  deno("docs", "task", "--quiet", "build");
  deno(".", "doc", "--html", "--name=netloom", `--output=${SITE}/api`, ...entries);
  decodeNames(`${SITE}/api`);
  append("api.css", "page.css");
  append("api.js", "script.js");
}

/** `deno doc` encodes names twice: a link to `ip%20saddr.html` asks a server for `ip saddr.html`. */
function decodeNames(folder: string): void {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) decodeNames(path);
    else if (name.includes("%")) Deno.renameSync(path, `${folder}/${decodeURIComponent(name)}`);
  }
}

/** Adds a file of docs/.vitepress/ to one of the reference's. */
function append(addition: string, file: string): void {
  const text = Deno.readTextFileSync(`${ROOT}docs/.vitepress/${addition}`);
  Deno.writeTextFileSync(`${SITE}/api/${file}`, `\n${text}`, { append: true });
}

/** Runs a command of Deno's in a folder of the project; ends the process when it fails. */
export function deno(cwd: string, ...args: string[]): void {
  run(cwd, [Deno.execPath(), ...args]);
}

/** Runs a command in a folder of the project; ends the process when it fails. */
export function run(cwd: string, [command, ...args]: string[]): void {
  const { code } = new Deno.Command(command!, {
    args,
    cwd: ROOT + cwd,
    env: {
      // Behind a proxy, npm's certificate is one that only the machine's own store knows.
      DENO_TLS_CA_STORE: "system,mozilla",
      ...(Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" }),
    },
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync();
  if (code !== 0) Deno.exit(code);
}

if (import.meta.main) {
  const start = performance.now();
  build();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`\nThe site is in ${SITE} after ${seconds} s; deno task docs:serve shows it`);
}
