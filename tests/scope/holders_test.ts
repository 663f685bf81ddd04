// Who holds a namespace, as programs see it that are in other pid and mount namespaces, and share /run.
import { assertEquals, assertMatch } from "@std/assert";
import { NetNs } from "../../mod.ts";
import { test } from "../leaks.ts";
import { fresh } from "../machine.ts";
import { script, start } from "../script.ts";

const HEAD = `
  import { Bridge, Link, NetNs, Scope, trace, Veth } from "./mod.ts";
  import { exists } from "./ffi/file.ts";
  const message = async (call) => {
    try {
      return (await call()) ?? "no error";
    } catch (error) {
      return error.message;
    }
  };
`;

/** A pid namespace of its own: with its own /proc, or with that of the namespace outside. */
const APART = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
const FOREIGN_PROC = APART.slice(0, -1);

const HOLDING = `${HEAD}
  const scope = Scope.open({ name: "holders" });
  const netns = NetNs.create("holders-held", { scope });
  const child = netns.command("sleep", { args: ["60"], mounts: false }).spawn();
  const opened = NetNs.create({ scope });
  using handle = NetNs.open(opened);
  const label = opened.ref.label;
  const own = Number(Deno.readLinkSync("/proc/self"));
  const [pid] = netns.pids();
  const there = Deno.readLinkSync("/proc/" + pid + "/ns/net") === "net:[" + netns.inode + "]";
  const text = await message(() => scope[Symbol.asyncDispose]());
  child.kill();
  await child.status;
  console.log(JSON.stringify({
    own, pid, there, inner: Deno.pid, child: child.pid, label, text,
    exists: NetNs.exists("holders-held"),
  }));
  handle[Symbol.dispose]();
  await scope[Symbol.asyncDispose]();
  Deno.exit(0);
`;

for (const [where, through] of [["its own", APART], ["the outer", FOREIGN_PROC]] as const) {
  test(`In a pid namespace with ${where} /proc, removal and pids() name processes as /proc does`, async () => {
    const { code, stdout, stderr } = await script(HOLDING, { through: [...through] });
    assertEquals([code, stderr], [0, ""]);
    const { own, pid, there, inner, child, label, text, exists } = JSON.parse(stdout);
    assertEquals([there, exists], [true, false]);
    // The numbers differ only where /proc is that of another pid namespace.
    assertEquals([own === inner, pid === child], Array(2).fill(where === "its own"));
    assertEquals(
      text,
      `Cannot remove netns "holders-held": held by process ${pid}; ${label}: held by a descriptor of ` +
        "this process (a NetNs handle)",
    );
  });
}

test("A process that holds a namespace from outside of the own pid namespace is told as out of sight", async () => {
  const source = `${HEAD}
    const scope = Scope.open({ name: "holders" });
    NetNs.create("holders-held", { scope });
    console.log("built");
    while (!exists("/run/holders-go")) await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(await message(() => scope[Symbol.asyncDispose]()));`;
  await using running = await start(source, { through: APART });
  await running.writes("built");
  const { pid } = running.child;
  const [inner] = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).split(" ");
  using held = NetNs.open({ path: `/proc/${inner}/root/run/netns/holders-held` });
  Deno.writeTextFileSync("/run/holders-go", "");
  const { stdout, stderr } = await running.end();
  Deno.removeSync("/run/holders-go");
  assertEquals(stderr, "");
  assertMatch(
    stdout,
    /netns "holders-held": still there after 10000 ms, and nothing in \/proc has it: a process of another /,
  );
  assertEquals(held.links.list().length, 1);
});

test("A mount that keeps a namespace is named, also one of another mount namespace", async () => {
  const source = `${HEAD}
    const mount = "touch '/run/mounted here'; mount --bind /run/netns/holders-kept '/run/mounted here'";
    const lines = [
      \`\${mount}; echo; exec sleep 60\`,
      \`exec unshare --mount --propagation=private sh -c "\${mount}; echo; exec sleep 60"\`,
    ];
    for (const line of lines) {
      const scope = Scope.open();
      NetNs.create("holders-kept", { scope });
      const child = new Deno.Command("sh", { args: ["-c", line], stdout: "piped" }).spawn();
      await child.stdout.getReader().read();
      console.log(await message(() => scope[Symbol.asyncDispose]()));
      child.kill();
      await child.status;
      new Deno.Command("umount", { args: ["/run/mounted here"], stderr: "null" }).outputSync();
    }
    Deno.exit(0);`;
  const { stdout, stderr } = await script(source);
  assertEquals(stderr, "");
  const expected =
    /^Cannot remove netns "holders-kept": held by the mount \/run\/mounted here that process \d+ sees$/;
  const lines = stdout.trim().split("\n");
  assertEquals(lines.length, 2);
  for (const line of lines) assertMatch(line, expected);
  Deno.removeSync("/run/mounted here");
});

test("A process id is refused where /proc has the numbers of another pid namespace", async () => {
  const source = `${HEAD}
    const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
    console.log(await message(() => NetNs.open({ pid: child.pid })));
    console.log(await message(() => NetNs.open({ path: "/proc/self/ns/net" }).links.list().length));
    child.kill();
    await child.status;`;
  const refused = await script(source, { through: FOREIGN_PROC });
  assertEquals(refused.stderr, "");
  assertMatch(
    refused.stdout,
    /^open netns of process \d+: No such process \(ESRCH, open .*\); \/proc shows another pid namespace, .*\n\d+\n$/,
  );
  const found = await script(source, { through: APART });
  assertMatch(found.stdout, /^netns of process \d+.*\n\d+\n$/);
});

test("The lines of a trace lead to the namespace in any pid namespace that sees the process", async () => {
  const source = `${HEAD}
    const near = NetNs.create();
    const far = NetNs.create();
    const lines = [];
    using _trace = trace(({ command }) => lines.push(command), { changes: true });
    Veth.create({ name: "a", netns: near, peer: { name: "b", netns: far } });
    Link.get("a", { netns: near }).move(far);
    const paths = lines.flatMap((line) => line.match(/\\/proc\\/\\S+/g) ?? []);
    const wrong = paths.filter((path) => Deno.statSync(path).ino !== far.inode);
    console.log(paths.length > 0, wrong.length, paths[0].split("/")[2] === Deno.readLinkSync("/proc/self"));`;
  for (const through of [APART, FOREIGN_PROC]) {
    const { stdout, stderr } = await script(source, { through });
    assertEquals([stdout, stderr], ["true 0 true\n", ""]);
  }
  assertEquals(fresh(NetNs.list()), []);
});
