// Each module costs 0.2 to 0.5 ms of start-up, so entry points may load a limited number of them.
import { assert, assertArrayIncludes, assertEquals } from "@std/assert";
import { script } from "../script.ts";

const ROOT = new URL("../../", import.meta.url);

/** The most modules that an entry point loads at run time. Lower a limit when it can be. */
const MOST: Readonly<Record<string, number>> = {
  "mod.ts": 120,
  "src/netns/mod.ts": 106,
  "src/link/mod.ts": 81,
  "src/observe/mod.ts": 60,
};

interface Info {
  modules: { specifier: string; dependencies?: Dependency[] }[];
}

interface Dependency {
  /** Absent for an import of types only, which does not exist at run time. */
  code?: { specifier?: string };
  isDynamic?: boolean;
}

/** What `deno` prints. */
async function deno(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const command = new Deno.Command(Deno.execPath(), { args: [...args], env, cwd: ROOT });
  const { stdout, stderr, success } = await command.output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** The modules that importing a module loads, as paths from the root. */
async function modulesOf(entry: string): Promise<string[]> {
  const { modules }: Info = JSON.parse(await deno(["info", "--json", entry]));
  const imports = new Map(modules.map((it) => [it.specifier, it.dependencies ?? []]));
  const loaded = [new URL(entry, ROOT).href];
  for (const module of loaded) {
    for (const { code, isDynamic } of imports.get(module)!) {
      const { specifier } = code ?? {};
      if (specifier && !isDynamic && !loaded.includes(specifier)) loaded.push(specifier);
    }
  }
  return loaded.map((specifier) => specifier.replace(ROOT.href, "")).sort();
}

/** The modules that Deno compiles, by its cache. */
async function compiled(entry: string): Promise<string[]> {
  const cache = await Deno.makeTempDir();
  try {
    await deno(["run", "--no-config", entry], { DENO_DIR: cache });
    const found: string[] = [];
    const walk = (path: string) => {
      for (const { name, isDirectory } of Deno.readDirSync(path)) {
        if (isDirectory) walk(`${path}/${name}`);
        else if (name.endsWith(".js")) found.push(`${path}/${name}`);
      }
    };
    walk(`${cache}/gen/file`);
    return found.map((path) => path.split(`file${ROOT.pathname}`)[1]!.replace(/\.js$/, "")).sort();
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

for (const [entry, most] of Object.entries(MOST)) {
  Deno.test(`${entry} loads at most ${most} modules`, async () => {
    const loaded = await modulesOf(entry);
    assert(loaded.length <= most, `${loaded.length} modules:\n${loaded.join("\n")}`);
  });
}

Deno.test("Deno compiles the modules that are counted, and none for types only", async () => {
  const loaded = await modulesOf("src/observe/mod.ts");
  assertArrayIncludes(loaded, ["ffi/libc.ts", "src/traffic/slot.ts"]);
  assertEquals(await compiled("src/observe/mod.ts"), loaded);
});

Deno.test("The root loads neither traffic control nor nftables, and labs load both", async () => {
  const parts = (modules: readonly string[]) =>
    modules.filter((it) => /^src\/(traffic|nftables|rtnetlink\/\w+_kinds)\//.test(it))
      .filter((it) => !it.startsWith("src/rtnetlink/link_kinds/"));
  assertEquals(parts(await modulesOf("mod.ts")), ["src/nftables/slot.ts", "src/traffic/slot.ts"]);
  assertArrayIncludes(await modulesOf("src/lab/mod.ts"), [
    "src/nftables/mod.ts",
    "src/traffic/mod.ts",
  ]);
});

/** The parts of the library with an entry point of their own, in the words of errors. */
const PARTS: Readonly<Record<string, string>> = {
  "@netloom/netloom/tc": "traffic control",
  "@netloom/netloom/view": "pictures",
  "@netloom/netloom/nftables": "nftables",
};

/** Each member that needs an entry point, as a call. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  "@netloom/netloom/tc": [
    "link.qdiscs",
    "link.classes",
    "link.filters",
    "link.impair({ delay: 1 })",
    "link.impair(null)",
    "link.impairment()",
    "link.intercept(() => {})",
    "supports({ qdisc: 'tbf' })",
    "capabilities().qdiscs",
    "capabilities().filters",
    "capabilities().actions",
    "capabilities().impair",
    "netns.monitor({ qdiscs: true })",
    "netns.monitor({ classes: true })",
    "netns.monitor({ filters: true })",
  ],
  "@netloom/netloom/view": ["netns.draw()"],
  "@netloom/netloom/nftables": [
    "netns.nftables",
    "netns.masquerade({ out: 'lo' })",
    "netns.drop({ proto: 'icmp' })",
  ],
};

/** What each member answers in a program with the lines: its error, or that it works. */
async function answers(members: readonly string[], lines: string): Promise<string[]> {
  const { code, stdout } = await script(`
    import { capabilities, Link, MissingImportError, NetNs, supports } from "@netloom/netloom";
    ${lines}
    using netns = NetNs.create();
    const link = Link.get("lo", { netns });
    const say = (call) => {
      try {
        call()?.[Symbol.dispose]?.();
        console.log("works");
      } catch (error) {
        console.log(error instanceof MissingImportError ? error.message : error.code ?? error);
      }
    };
    ${members.map((member) => `say(() => ${member});`).join("\n")}
    const { kernel, links } = capabilities();
    console.log(kernel.length > 0 && links.veth);`);
  assertEquals(code, 0);
  const found = stdout.trim().split("\n");
  assertEquals(found.pop(), "true");
  return found;
}

for (const [entry, members] of Object.entries(MEMBERS)) {
  Deno.test(`Without ${entry} its members name it, and with it they work`, async () => {
    const part = PARTS[entry];
    const without = await answers(members, "");
    assertEquals(without.length, members.length);
    for (const [i, message] of without.entries()) {
      assert(message.endsWith(` needs ${part}: add import "${entry}"`), message);
      const [name] = /^[\w.]+/.exec(message)!;
      assert(members[i]!.includes(name), `${members[i]}: ${message}`);
    }
    // The loopback link cannot be redirected.
    const works = await answers(members, `import "${entry}";`);
    assertEquals(works.filter((it) => it !== "works" && it !== "EOPNOTSUPP"), []);
  });
}
