import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Bridge, NetNs, type NetNsCommandOptions } from "../../mod.ts";
import { test } from "../leaks.ts";
import { script } from "../script.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Runs a shell command in a namespace: its exit code, and what it wrote. */
function sh(netns: NetNs, script: string, options: NetNsCommandOptions = {}) {
  const { code, stdout, stderr } = netns.command("sh", { args: ["-c", script], ...options })
    .outputSync();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const LINKS = 'ip -br link | cut -d " " -f 1';

test("A command runs in the namespace, with or without mounts of its own", () => {
  using netns = NetNs.create();
  Bridge.create({ name: "br0", netns });
  for (const mounts of [true, false]) {
    assertEquals(sh(netns, LINKS, { mounts }), { code: 0, stdout: "lo\nbr0\n", stderr: "" });
  }
  assertEquals(sh(netns, "readlink /proc/self/ns/net").stdout, `net:[${netns.inode}]\n`);
});

test("/sys shows the command's namespace, and the machine's own stays as it was", () => {
  using netns = NetNs.create();
  Bridge.create({ name: "br0", netns });
  const sys = () => [...Deno.readDirSync("/sys/class/net")].map(({ name }) => name).sort();
  const before = sys();
  assertEquals(sh(netns, "ls /sys/class/net").stdout, "br0\nlo\n");
  assertEquals(sh(netns, "cat /sys/class/net/br0/bridge/stp_state").stdout, "0\n");
  assertEquals(sys(), before);
  // Without mounts it is the one of the process.
  assert(!sh(netns, "ls /sys/class/net", { mounts: false }).stdout.includes("br0"));
});

test("Files in /etc/netns/NAME stand in for those in /etc, as with ip netns exec", () => {
  using netns = NetNs.create("command-etc");
  using other = NetNs.create("command-other");
  const existed = exists("/etc/netns");
  const directory = "/etc/netns/command-etc";
  Deno.mkdirSync(`${directory}/apt`, { recursive: true });
  try {
    Deno.writeTextFileSync(`${directory}/resolv.conf`, "nameserver 192.0.2.1\n");
    Deno.writeTextFileSync(`${directory}/hosts`, "192.0.2.2 there\n");
    const before = Deno.readTextFileSync("/etc/resolv.conf");
    const words = ["netns", "exec", "command-etc", "cat", "/etc/resolv.conf", "/etc/hosts"];
    const { stdout } = new Deno.Command("ip", { args: words }).outputSync();
    assertEquals(text(stdout), "nameserver 192.0.2.1\n192.0.2.2 there\n");
    assertEquals(sh(netns, "cat /etc/resolv.conf /etc/hosts; ls /etc/apt").stdout, text(stdout));
    assertEquals(sh(other, "cat /etc/resolv.conf").stdout, before);
    assertEquals(sh(netns, "cat /etc/resolv.conf", { mounts: false }).stdout, before);
    assertEquals(Deno.readTextFileSync("/etc/resolv.conf"), before);
  } finally {
    Deno.removeSync(directory, { recursive: true });
    if (!existed) Deno.removeSync("/etc/netns");
  }
});

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

test("A command's arguments, environment, directory and program arrive unchanged", async () => {
  using netns = NetNs.create("command $(odd) 'name'");
  const args = ["a b", "", "$HOME", "'", '"', "\\", "*", "ä\n", "-x", "--"];
  for (const mounts of [true, false]) {
    const { stdout } = netns.command("printf", { args: ["%s|", ...args], mounts }).outputSync();
    assertEquals(text(stdout), args.map((arg) => `${arg}|`).join(""));
    const options = { mounts, env: { NETLOOM: "is set" }, cwd: "/usr/lib" };
    assertEquals(sh(netns, 'echo "$NETLOOM"; pwd', options).stdout, "is set\n/usr/lib\n");
    const bare = { mounts, clearEnv: true, env: { ONLY: "this", PATH: "/usr/bin:/bin" } };
    assert(!sh(netns, "env", bare).stdout.includes("HOME="));
  }
  const directory = await Deno.makeTempDir({ prefix: "with space %41" });
  const url = new URL(`file://${encodeURIComponent(directory).replaceAll("%2F", "/")}/program`);
  await Deno.writeTextFile(url, "#!/bin/sh\necho it runs\n", { mode: 0o755 });
  for (const mounts of [true, false]) {
    assertEquals(text(netns.command(url, { mounts }).outputSync().stdout), "it runs\n");
  }
  await Deno.remove(directory, { recursive: true });
});

test("output() and outputSync() tell the exit code", async () => {
  using netns = NetNs.create();
  for (const mounts of [true, false]) {
    const options = { args: ["-c", "echo out; echo err >&2; exit 42"], mounts };
    for (
      const output of [
        netns.command("sh", options).outputSync(),
        await netns.command("sh", options).output(),
      ]
    ) {
      assertEquals([output.code, output.success, output.signal], [42, false, null]);
      assertEquals([text(output.stdout), text(output.stderr)], ["out\n", "err\n"]);
    }
  }
});

test("spawn() passes input and output through, and signals reach the program itself", async () => {
  using netns = NetNs.create();
  for (const mounts of [true, false]) {
    const piped = { stdin: "piped", stdout: "piped", mounts } as const;
    const cat = netns.command("cat", piped).spawn();
    const writer = cat.stdin.getWriter();
    await writer.write(new TextEncoder().encode("through a pipe"));
    await writer.close();
    const { stdout, code } = await cat.output();
    assertEquals([text(stdout), code], ["through a pipe", 0]);

    const script = 'trap "exit 3" TERM; echo ready; while :; do sleep 0.01; done';
    const child = netns.command("sh", { args: ["-c", script], stdout: "piped", mounts }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 3);
    await reader.cancel();
  }
});

test("A command ends when its signal says so", async () => {
  using netns = NetNs.create();
  const controller = new AbortController();
  const options = { args: ["60"], signal: controller.signal };
  const child = netns.command("sleep", options).spawn();
  controller.abort();
  assertEquals((await child.status).success, false);
});

test("A program that does not exist is an error, or exit code 127 where mounts come first", async () => {
  using netns = NetNs.create();
  const direct = netns.command("/no/such/program", { mounts: false });
  assertThrows(() => direct.outputSync(), Deno.errors.NotFound);
  assertThrows(() => direct.spawn(), Deno.errors.NotFound);
  await assertRejects(async () => await direct.output(), Deno.errors.NotFound);
  const failures = [
    ["/no/such/program", 127, "No such file or directory"],
    ["no-such-program", 127, "No such file or directory"],
    ["/etc/passwd", 126, "Permission denied"],
    ["/etc", 126, "Permission denied"],
    ["cd", 127, "No such file or directory"], // a word of the shell, but no program
  ] as const;
  for (const [program, exit, reason] of failures) {
    const { code, stderr } = await netns.command(program).output();
    assertEquals(
      [code, text(stderr)],
      [exit, `setpriv: failed to execute ${program}: ${reason}\n`],
    );
  }
});

test("The environment of the program is not that of what prepares its mounts", async () => {
  using netns = NetNs.create();
  const folder = await Deno.makeTempDir();
  for (const name of ["unshare", "sh", "mount", "umount", "env", "setpriv", "sed"]) {
    const script = `#!/bin/sh\necho "the ${name} of the program ran" >&2\nexit 99\n`;
    await Deno.writeTextFile(`${folder}/${name}`, script, { mode: 0o755 });
  }
  await Deno.writeTextFile(`${folder}/mine`, "#!/bin/sh\necho mine\n", { mode: 0o755 });
  try {
    for (const clearEnv of [false, true]) {
      const { code, stdout, stderr } = netns.command("mine", { env: { PATH: folder }, clearEnv })
        .outputSync();
      assertEquals([code, text(stdout), text(stderr)], [0, "mine\n", ""]);
    }
    // They would end a shell that read them.
    const env = { ENV: "/no/such", IFS: "e", LD_PRELOAD: "/no/such.so", PS4: "$(exit 9)" };
    assertEquals(netns.command("/bin/true", { env }).outputSync().code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("A program has the variables it is given, and with clearEnv no other", () => {
  using netns = NetNs.create();
  const env = {
    PLAIN: "1",
    EMPTY: "",
    LINES: "a\nb\n",
    QUOTES: `'"\\$(id)\`id\``,
    "a-b": "odd 'name'",
    "ä.b": "2",
    NETLOOM_0: "0",
    NETLOOM_1: "1",
    PATH: "/usr/bin:/bin",
  };
  const printed = (mounts: boolean, clearEnv: boolean) => {
    const { stdout } = netns.command("env", { args: ["-0"], env, clearEnv, mounts }).outputSync();
    return text(stdout).split("\0").filter(Boolean).sort();
  };
  assertEquals(printed(true, true), printed(false, true));
  const all = printed(true, false);
  for (const [name, value] of Object.entries(env)) assert(all.includes(`${name}=${value}`), name);
});

test("uid and gid are those of the program, not of what prepares its mounts", () => {
  using netns = NetNs.create();
  const script = "id -u; id -g; id -G; ls /sys/class/net";
  for (const user of [{ uid: 65534 }, { gid: 65534 }, { uid: 65534, gid: 65534 }]) {
    const ids: { uid?: number; gid?: number; cwd: string } = { ...user, cwd: "/" };
    const [uid, gid] = [ids.uid ?? 0, ids.gid ?? 0];
    const direct = sh(netns, "id -u; id -g; id -G", { ...ids, mounts: false });
    assertEquals(sh(netns, script, ids), { ...direct, stdout: `${direct.stdout}lo\n` });
    assert(direct.stdout.startsWith(`${uid}\n${gid}\n`));
  }
});

test("A file in /etc/netns/NAME that has no place in /etc is a warning, as with ip netns exec", () => {
  using netns = NetNs.create("command-missing");
  const existed = exists("/etc/netns");
  const directory = "/etc/netns/command-missing";
  Deno.mkdirSync(directory, { recursive: true });
  const hidden = "/etc/.netloom-command-test";
  try {
    for (const name of ["no-such-target", ".no-such-target", "hosts", ".netloom-command-test"]) {
      Deno.writeTextFileSync(`${directory}/${name}`, `${name} of the namespace\n`);
    }
    Deno.symlinkSync("/no/such/file", `${directory}/passwd`);
    Deno.writeTextFileSync(hidden, "");
    const script = `cat /etc/hosts ${hidden}; head -n 1 /etc/passwd | cut -c 1-5`;
    const args = ["netns", "exec", "command-missing", "sh", "-c", script];
    const theirs = new Deno.Command("ip", { args }).outputSync();
    const ours = sh(netns, script);
    assertEquals([ours.code, ours.stdout], [0, text(theirs.stdout)]);
    const binds = (stderr: string) => stderr.match(/^Bind \S+ -> \S+ failed: /gm)?.sort();
    assertEquals(binds(ours.stderr), binds(text(theirs.stderr)));
    assertEquals(binds(ours.stderr)?.length, 3);
  } finally {
    Deno.removeSync(directory, { recursive: true });
    if (!existed) Deno.removeSync("/etc/netns");
    Deno.removeSync(hidden);
  }
});

test("Where /sys is read-only and locked, as in containers, the program has a read-only one", async () => {
  const source = `import { NetNs } from "./mod.ts";
    using netns = NetNs.create();
    const script = 'ls /sys/class/net; grep -c "^netloom /sys sysfs ro" /proc/self/mounts';
    Deno.exit((await netns.command("sh", { args: ["-c", script] }).spawn().status).code);`;
  const setup = 'mount -o remount,bind,ro /sys; exec unshare -Urmn "$@"';
  const { code, stdout, stderr } = await script(source, {
    through: ["unshare", "-m", "sh", "-c", setup, "sh"],
  });
  assertEquals([code, stdout, stderr], [0, "lo\n1\n", ""]);
});

test("A command has no options that are ignored", () => {
  using netns = NetNs.create();
  const refused: [object, string][] = [
    [{ mouts: false }, 'Unknown option "mouts": did you mean "mounts"?'],
    [{ arg: [] }, 'Unknown option "arg": did you mean "args"?'],
    [{ mounts: "no" }, 'mounts must be a boolean: got "no"'],
    [{ env: { A: 1 } }, 'env must have texts without a NUL byte: got {"A":1}'],
    [{ env: { "A=B": "1" } }, "env must have texts"],
  ];
  for (const [options, message] of refused) {
    assertThrows(() => netns.command("true", options), TypeError, message);
  }
});

test("Many commands run at once, each in its own namespace", async () => {
  const all = Array.from({ length: 8 }, () => NetNs.create());
  const outputs = await Promise.all(
    all.map((netns) => netns.command("readlink", { args: ["/proc/self/ns/net"] }).output()),
  );
  assertEquals(
    outputs.map(({ stdout }) => text(stdout)),
    all.map((netns) => `net:[${netns.inode}]\n`),
  );
  for (const netns of all) netns[Symbol.dispose]();
});
