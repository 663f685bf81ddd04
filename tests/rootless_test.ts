// As an ordinary user, in namespaces made by unshare(1).
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "./leaks.ts";
import { machine } from "./machine.ts";
import { type Ended, ROOT } from "./script.ts";

/** In a namespace of one user there is nobody else to be; there the suite is rootless already. */
const othersExist = !/^\s*0\s+\d+\s+1\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));

function output(command: string, args: string[], env: Record<string, string> = {}): Ended {
  const { code, signal, stdout, stderr } = new Deno.Command(command, { args, env }).outputSync();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, signal, stdout: text(stdout), stderr: text(stderr) };
}

function must(command: string, ...args: string[]): string {
  const { code, stdout, stderr } = output(command, args);
  assertEquals(code, 0, stderr);
  return stdout;
}

/** Runs a script of the project as nobody, from a copy that nobody can read. */
function asNobody(script: string): Ended {
  if (!othersExist) {
    const args = ["-Urmn", Deno.execPath(), "run", "-A", "--no-check", `${ROOT}${script}`];
    return output("unshare", args, { NO_COLOR: "1" });
  }
  const home = Deno.makeTempDirSync();
  try {
    const project = `${home}/project`;
    Deno.mkdirSync(`${project}/tests`, { recursive: true });
    for (const name of ["ffi", "src", "examples", "mod.ts", "deno.json"]) {
      must("cp", "-r", `${ROOT}${name}`, `${project}/`);
    }
    must("cp", "-r", `${ROOT}tests/std`, `${project}/tests/`);
    must("cp", Deno.execPath(), `${home}/deno`);
    must("chown", "-R", "65534:65534", home);
    return output("setpriv", [
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      "unshare",
      "-Urmn",
      `${home}/deno`,
      "run",
      "-A",
      "--no-check",
      `${project}/${script}`,
    ], { HOME: home, DENO_DIR: `${home}/cache`, NO_COLOR: "1" });
  } finally {
    Deno.removeSync(home, { recursive: true });
  }
}

for (const name of ["veth", "bridge"]) {
  test(`examples/${name}.ts runs as an ordinary user through unshare -Urmn`, () => {
    const before = machine();
    const { code, stdout, stderr } = asNobody(`examples/${name}.ts`);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /ping 192\.168\.123\.2: 3 of 3 replies/);
    assertEquals(machine(), before);
  });
}
