// Runs as an ordinary user, in namespaces created by unshare(1).
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ownsMounts } from "../ffi/namespace.ts";
import { NetNs } from "../mod.ts";
import { test } from "./leaks.ts";
import { machine } from "./machine.ts";
import { type Ended, ROOT, script } from "./script.ts";

/** A user namespace with one user has no other; there the suite is rootless already. */
const othersExist = !/^\s*0\s+\d+\s+1\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));

function output(command: string, args: string[], env: Record<string, string> = {}): Ended {
  // Another user may have no access to the folder of the suite.
  const { code, signal, stdout, stderr } = new Deno.Command(command, { args, env, cwd: "/" })
    .outputSync();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, signal, stdout: text(stdout), stderr: text(stderr) };
}

function must(command: string, ...args: string[]): string {
  const { code, stdout, stderr } = output(command, args);
  assertEquals(code, 0, stderr);
  return stdout;
}

/** In namespaces of one's own. */
const OWN = ["unshare", "-Urmn"];

/** Runs a script of the project as nobody, from a copy that nobody can read. */
function asNobody(script: string, through = OWN, capabilities = "-all"): Ended {
  if (!othersExist) {
    const [command, ...words] = through;
    const args = [...words, Deno.execPath(), "run", "-A", "--no-check", `${ROOT}${script}`];
    return output(command!, args, { NO_COLOR: "1" });
  }
  // Where the suite has a /run of its own, everybody may write there.
  const mode = Deno.statSync("/run").mode! & 0o7777;
  Deno.chmodSync("/run", 0o755);
  const home = Deno.makeTempDirSync();
  try {
    const project = `${home}/project`;
    Deno.mkdirSync(`${project}/tests`, { recursive: true });
    for (const name of ["ffi", "src", "examples", "mod.ts", "deno.json", "tests/rootless"]) {
      must("cp", "-r", `${ROOT}${name}`, `${project}/${name.replace(/[^/]*$/, "")}`);
    }
    must("cp", "-r", `${ROOT}tests/std`, `${project}/tests/`);
    must("cp", Deno.execPath(), `${home}/deno`);
    must("chown", "-R", "65534:65534", home);
    return output("setpriv", [
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      `--inh-caps=${capabilities}`,
      `--ambient-caps=${capabilities}`,
      ...through,
      `${home}/deno`,
      "run",
      "-A",
      "--no-check",
      `${project}/${script}`,
    ], { HOME: home, DENO_DIR: `${home}/cache`, NO_COLOR: "1" });
  } finally {
    Deno.chmodSync("/run", mode);
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

/** Reads what a script wrote as JSON. */
function answerOf({ code, stdout, stderr }: Ended): Record<string, unknown> {
  assertEquals([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

const lacks = othersExist ? undefined : "there are no other users here";

test(
  "A user with CAP_SYS_ADMIN who must not write in /run gets an error, and mounts nothing over it",
  {
    lacks,
  },
  () => {
    using theirs = NetNs.create("rootless-theirs");
    const mounts = () => Deno.readTextFileSync("/proc/self/mountinfo");
    const before = mounts();
    const capabilities = "+sys_admin,+net_admin,+net_raw";
    for (const through of [[], ["unshare", "--net"]]) {
      const answer = answerOf(asNobody("tests/rootless/names.ts", through, capabilities));
      assertEquals(answer, {
        own: false,
        netns: "EACCES",
        scope: "EACCES",
        unnamed: "made",
      });
      assertEquals(mounts(), before);
      assert(NetNs.exists("rootless-theirs"));
    }
    assertEquals(theirs.links.list().length, 1);
  },
);

test(
  "A user in namespaces of their own has a /run/netns and a /run/netloom there",
  { lacks },
  () => {
    const before = Deno.readTextFileSync("/proc/self/mountinfo");
    const answer = answerOf(asNobody("tests/rootless/names.ts"));
    assertEquals(answer, { own: true, netns: "made", scope: "made", unnamed: "made" });
    assertEquals(Deno.readTextFileSync("/proc/self/mountinfo"), before);
  },
);

test("Labs of an ordinary user outlive the command, and other commands find them", () => {
  const before = machine();
  const { code, stdout, stderr } = asNobody("tests/rootless/labs.ts", ["env"]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.trim().split("\n").map((line) => JSON.parse(line)), [
    ["none", null],
    ["list", ["plain", "running"]],
    ["use", 1, "hello\n"],
    ["list", ["busy", "running"]],
    ["gone", null],
  ]);
  assertEquals(machine(), before);
});

test("Root, also of a user namespace that somebody else's mounts belong to, owns no mounts", () => {
  assertEquals(ownsMounts() && othersExist, false);
});

test("What an ordinary user may not do is an error that says what to do", {
  lacks: othersExist ? undefined : "this user namespace has no other user",
}, () => {
  Deno.mkdirSync("/run/netloom", { recursive: true, mode: 0o700 });
  const { code, stdout, stderr } = asNobody("tests/rootless/denied.ts", []);
  assertEquals([code, stderr], [0, ""]);
  const [open, list, process, create] = stdout.trim().split("\n");
  const remedy = "; run as root, or as an ordinary user in namespaces of your own: ";
  for (const line of [open, list]) {
    const start = "open /run/netloom: Permission denied (EACCES, open)";
    assert(line!.startsWith(start + remedy), line);
  }
  assertEquals(
    process,
    "open netns of process 1: Permission denied (EACCES, open /proc/1/ns/net); " +
      "the process is another user's, or has more privileges: run as root",
  );
  assert(create!.includes(`EPERM, unshare)${remedy}`), create);
});

/** Runs `fn` while `/dev/net/tun` is another device, or none, on a file system of its own. */
async function withTun<T>(
  { mode, options = "rw", owner = "65534:65534" }: {
    mode?: string;
    options?: string;
    owner?: string;
  },
  fn: () => T | Promise<T>,
): Promise<T> {
  must("mount", "-t", "tmpfs", "-o", options, "none", "/dev/net");
  try {
    if (mode !== undefined) must("mknod", "-m", mode, "/dev/net/tun", "c", "10", "200");
    if (mode !== undefined) must("chown", owner, "/dev/net/tun");
    return await fn();
  } finally {
    must("umount", "/dev/net");
  }
}

const MAY_NOT =
  "and this user may not open it: chmod 666 /dev/net/tun as root, as most systems have it";

test("A TUN device that a user may not open is an error with its path, its mode and the remedy", {
  lacks,
}, async () => {
  const at = "/dev/net/tun has the mode";
  const cases: [device: { mode?: string; options?: string }, message: string][] = [
    [{ mode: "600" }, `EACCES, open /dev/net/tun); ${at} 600, ${MAY_NOT}`],
    [{ mode: "660" }, `EACCES, open /dev/net/tun); ${at} 660, ${MAY_NOT}`],
    [
      { mode: "666", options: "nodev" },
      `EACCES, open /dev/net/tun); ${at} 666, and the file system it is on is mounted nodev`,
    ],
    [
      {},
      "ENOENT, open /dev/net/tun); modprobe tun as root; in a container, start it with --device /dev/net/tun",
    ],
    [{ mode: "666" }, "opened"],
  ];
  const source = `
    import { NetNs, Tap, Tun } from "./mod.ts";
    using netns = NetNs.create();
    for (const kind of [Tun, Tap]) {
      try {
        kind.create({ netns }).close();
        console.log("opened");
      } catch (error) {
        console.log(error.message);
      }
    }`;
  // Root who owns neither the device nor that privilege is any user.
  const through = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"];
  for (const [device, message] of cases) {
    const { stdout, stderr } = await withTun(device, () => script(source, { through }));
    const lines = stdout.trimEnd().split("\n");
    assertEquals([lines.map((line) => line.slice(-message.length)), stderr], [
      [message, message],
      "",
    ]);
  }
});

test(
  "An example that needs a TUN says in one line that the user may not open it",
  { lacks },
  async () => {
    const run = () => asNobody("examples/tap_switch.ts");
    const { code, stdout, stderr } = await withTun({ mode: "400", owner: "0:0" }, run);
    assertEquals([code, stdout], [1, ""], stderr);
    assertMatch(
      stderr,
      /^create tun .*EACCES, open \/dev\/net\/tun\); .* has the mode 400, and .*\n$/,
    );
  },
);
