// `deno task docs`: the documentation site, into .cache/docs/site. VitePress makes all its pages: those
// of docs/, and those written here before: the reference, a page for each verb, the pictures of labs.
import { ROOT } from "../script.ts";
import { write } from "./write.ts";

/** Where the site is built. */
export const SITE: string = `${ROOT}.cache/docs/site`;

/** Builds the site. */
export async function build(): Promise<void> {
  await write();
  deno("docs", "install", "--frozen", "--quiet");
  deno("docs", "task", "--quiet", "build");
  leadToEnglish();
}

/** The reference is there in English only: its addresses below /zh-TW/ lead to it. */
function leadToEnglish(folder = "api"): void {
  Deno.mkdirSync(`${SITE}/zh-TW/${folder}`, { recursive: true });
  for (const { name, isDirectory } of Deno.readDirSync(`${SITE}/${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) leadToEnglish(path);
    else {
      const up = "../".repeat(path.split("/").length);
      Deno.writeTextFileSync(
        `${SITE}/zh-TW/${path}`,
        `<!doctype html><meta charset="utf-8"><title>English</title>` +
          `<meta http-equiv="refresh" content="0; url=${up}${path}?from=zh-TW">` +
          `<a href="${up}${path}?from=zh-TW">English</a>\n`,
      );
    }
  }
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
  await build();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`\nThe site is in ${SITE} after ${seconds} s; deno task docs:serve shows it`);
}
