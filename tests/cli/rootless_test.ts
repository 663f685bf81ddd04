// The command as an ordinary user runs it: from a copy, with a cache of its own.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { NetNs } from "../../mod.ts";
import { ROOT } from "../script.ts";
import type { Ended } from "./command.ts";

/** A user namespace with one user has no other. */
const othersExist = !/^\s*0\s+\d+\s+1\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));

/** nobody. */
const USER = 65534;

/** Packages of npm that labs and the stand-ins of the standard library use. */
const PACKAGES = ["yaml", "@hpcc-js"];

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** A copy of the command that nobody can run. */
async function installed(): Promise<
  AsyncDisposable & { readonly home: string; netloom(...args: string[]): Promise<Ended> }
> {
  const home = await Deno.makeTempDir();
  const project = `${home}/project`;
  await Deno.mkdir(`${project}/tests`, { recursive: true });
  for (const name of ["cli.ts", "mod.ts", "deno.json", "ffi", "src", "schema"]) {
    await run("cp", "-r", `${ROOT}${name}`, `${project}/${name}`);
  }
  await run("cp", "-r", `${ROOT}tests/std`, `${project}/tests/`);
  await run("cp", Deno.execPath(), `${home}/deno`);
  const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { denoDir } = JSON.parse(new TextDecoder().decode(info.stdout));
  const registry = "npm/registry.npmjs.org";
  await Deno.mkdir(`${home}/cache/${registry}`, { recursive: true });
  for (const name of PACKAGES) {
    await run("cp", "-r", `${denoDir}/${registry}/${name}`, `${home}/cache/${registry}/`);
  }
  await Deno.mkdir(`${home}/run`);
  await Deno.writeTextFile(
    `${home}/own.lab.yml`,
    "name: own\nnodes: { a: , b: }\nlinks: [a -- b]\n",
  );
  await run("chown", "-R", `${USER}:${USER}`, home);
  return {
    home,
    async netloom(...args: string[]): Promise<Ended> {
      const { code, stdout, stderr } = await new Deno.Command("setpriv", {
        args: [
          ...[`--reuid=${USER}`, `--regid=${USER}`, "--clear-groups"],
          ...["--inh-caps=-all", "--ambient-caps=-all"],
          ...[`${home}/deno`, "run", "-A", "--no-check", `${project}/cli.ts`, ...args],
        ],
        cwd: home,
        env: {
          ...{ HOME: home, XDG_RUNTIME_DIR: `${home}/run` },
          ...{ DENO_DIR: `${home}/cache`, NO_COLOR: "1" },
        },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: text(stdout), stderr: text(stderr) };
    },
    [Symbol.asyncDispose]: () => Deno.remove(home, { recursive: true }),
  };
}

/** Processes of the user. */
function processes(): string[] {
  return Array.from(Deno.readDirSync("/proc"), ({ name }) => name).filter((pid) => {
    try {
      return /^\d+$/.test(pid) && Deno.statSync(`/proc/${pid}`).uid === USER;
    } catch {
      return false; // it has ended
    }
  });
}

Deno.test({
  name: "An ordinary user's lab comes up, is used by further commands, and goes without a trace",
  ignore: !othersExist,
  async fn() {
    await using user = await installed();
    const { netloom } = user;
    const up = await netloom("up");
    assertEquals(up.code, 0, up.stderr);
    assertMatch(up.stderr, /^Not root: this runs in a user namespace of its own/m);
    assertEquals(NetNs.list(), []); // that of the machine
    const ps = await netloom("ps");
    assertStringIncludes(ps.stdout, "own  up");
    assertMatch(ps.stderr, /^Not root: .* held by process \d+$/m);
    const ping = await netloom("ping", "a", "b", "--json");
    assertEquals([ping.code, JSON.parse(ping.stdout).result.received], [0, 3], ping.stderr);
    const impaired = await netloom("impair", "a", "b", "rate=8mbit");
    assertEquals(impaired.code, 0, impaired.stderr);
    assertEquals((await netloom("exec", "a", "--", "sh", "-c", "exit 5")).code, 5);
    const down = await netloom("down");
    assertEquals(down.code, 0, down.stderr);
    assertEquals(processes(), []);
  },
});

Deno.test({
  name: "An ordinary user reads the machine without a user namespace",
  ignore: !othersExist,
  async fn() {
    await using user = await installed();
    const links = await user.netloom("links", "--json");
    assertEquals([links.code, links.stderr], [0, ""]);
    assertEquals(JSON.parse(links.stdout).result[0].name, "lo");
    const ps = await user.netloom("ps");
    assertEquals([ps.code, ps.stderr.includes("Not root")], [0, false]);
    assertEquals(processes(), []);
  },
});
