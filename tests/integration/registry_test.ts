// The package as users get it: served in JSR's layout, imported in an empty folder, each entry point
// with the example at its top and no more permissions than it needs.
import { assertEquals } from "@std/assert";
import { canIsolate, isolated } from "../isolation.ts";
import { publish } from "./local_registry.ts";

const ROOT = new URL("../../", import.meta.url);

interface Config {
  name: string;
  version: string;
  exports: Record<string, string>;
  links: string[];
}

const { name, version, exports, links }: Config = JSON.parse(
  Deno.readTextFileSync(new URL("deno.json", ROOT)),
);

/** Permissions of the examples. The others need `--allow-ffi` alone. */
const FLAGS: Record<string, string[]> = {
  "./packet": [],
  "./netns": ["--allow-ffi", "--allow-net"], // serves HTTP
  "./lab": ["--allow-env=LOG_TOKENS,LOG_STREAM"], // asked for by npm's yaml, the stand-in for std's
  "./view": ["--allow-ffi", "--allow-read"], // reads the WebAssembly of Graphviz
  "./cli": ["-A"],
};

/** The first example in the documentation of a module, with imports as a user writes them. */
function exampleOf(path: string): string {
  const module = Deno.readTextFileSync(new URL(path, ROOT));
  const [, example] = /^ \* ```ts\n([^]*?)^ \* ```$/m.exec(module)!;
  return example!.replace(/^ \* ?/gm, "")
    .replaceAll(`"${name}`, `"jsr:${name}@${version}`)
    .replaceAll('"@std/assert"', '"jsr:@std/assert@1"');
}

/** A folder with the registry, one with nothing but scripts, and a cache with nothing but npm's packages. */
async function prepare(
  temporary: string,
): Promise<Record<"registry" | "scripts" | "cache", string>> {
  const folders = {
    registry: `${temporary}/registry`,
    scripts: `${temporary}/scripts`,
    cache: `${temporary}/cache`,
  };
  for (const folder of Object.values(folders)) Deno.mkdirSync(folder);
  const registry = new URL(`file://${folders.registry}/`);
  for (const root of [ROOT, ...links.map((link) => new URL(`${link}/`, ROOT))]) {
    await publish(root, registry);
  }
  const info = await deno(["info", "--json"], { cwd: temporary, env: {} });
  Deno.symlinkSync(`${JSON.parse(info.stdout).denoDir}/npm`, `${folders.cache}/npm`);
  for (const [entry, path] of Object.entries(exports)) {
    Deno.writeTextFileSync(`${folders.scripts}/${fileOf(entry)}`, exampleOf(path));
  }
  return folders;
}

function fileOf(entry: string): string {
  return `${entry.slice(2) || "root"}.ts`;
}

interface Place {
  readonly cwd: string;
  readonly env: Record<string, string>;
}

async function deno(args: string[], place: Place, apart = false) {
  const line = [Deno.execPath(), ...args];
  const [command, ...rest] = apart && canIsolate() ? isolated(line) : line;
  const { cwd } = place;
  const env = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...place.env };
  const output = await new Deno.Command(command!, { args: rest, cwd, env }).output();
  const text = new TextDecoder();
  return {
    code: output.code,
    stdout: text.decode(output.stdout),
    stderr: text.decode(output.stderr),
  };
}

/** Answers as jsr.io does; keeps what it was asked for. */
function serve(folder: string, asked: Set<string>): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    try {
      const body = await Deno.readFile(folder + decodeURIComponent(pathname));
      asked.add(pathname);
      return new Response(body);
    } catch {
      return new Response("Not found", { status: 404 });
    }
  });
}

Deno.test("Each entry point of the packed package runs in an empty folder, with few permissions", async (t) => {
  const temporary = Deno.makeTempDirSync({ prefix: "netloom-registry-" });
  try {
    const { registry, scripts, cache } = await prepare(temporary);
    const asked = new Set<string>();
    await using server = serve(registry, asked);
    const JSR_URL = `http://127.0.0.1:${server.addr.port}/`;
    const place = { cwd: scripts, env: { JSR_URL, DENO_DIR: cache } };
    const fetched = await deno(
      ["cache", "--check", "--no-lock", ...Object.keys(exports).map(fileOf)],
      place,
    );
    assertEquals(fetched.code, 0, fetched.stderr);
    for (const entry of Object.keys(exports)) {
      await t.step(entry, async () => {
        const flags = ["--no-prompt", "--no-lock", "--cached-only", "--no-check"];
        const permissions = FLAGS[entry] ?? ["--allow-ffi"];
        const ended = await deno(["run", ...flags, ...permissions, fileOf(entry)], place, true);
        assertEquals(ended.code, 0, ended.stdout + ended.stderr);
      });
    }
    await t.step("and they load no more than the package and the standard library", () => {
      const others = [...asked].filter((path) =>
        !path.startsWith(`/${name}/`) && !path.startsWith("/@std/")
      );
      assertEquals(others, []);
    });
  } finally {
    Deno.removeSync(temporary, { recursive: true });
  }
});

/** The entry points that may have dependencies, which they load when they use them. */
const MAY_DEPEND = ["./lab", "./view", "./cli"];

Deno.test("Only ./lab, ./view and ./cli depend on other packages", async () => {
  for (const [entry, path] of Object.entries(exports)) {
    if (MAY_DEPEND.includes(entry)) continue;
    const info = await deno(["info", "--json", path], { cwd: ROOT.pathname, env: {} });
    const modules: { specifier: string }[] = JSON.parse(info.stdout).modules;
    const foreign = modules.map(({ specifier }) => specifier)
      .filter((specifier) => !/^(src|ffi|mod\.ts)/.test(specifier.slice(ROOT.href.length)));
    assertEquals(foreign, [], `${entry} loads what is not its own`);
  }
});
