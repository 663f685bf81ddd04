import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
import { Bridge, Link, NetNs, Scope, ScopeError, SyscallError, Veth } from "../../mod.ts";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { fresh, machine, records } from "../machine.ts";
import { HEADER, killed, lab, leave, lines, replace } from "./leftovers.ts";

test("Scope ignores a line that a kill has cut short, and a record without a line", async () => {
  Deno.mkdirSync("/run/netloom", { recursive: true });
  Deno.writeTextFileSync("/run/netloom/cut.jsonl", JSON.stringify(HEADER) + '\n{"created":"rec');
  await replace("cut");
  Deno.writeTextFileSync("/run/netloom/cut.jsonl", "");
  await using scope = Scope.open({ name: "cut" });
  assert(!scope.closed);
});

test("Scope refuses a malformed record with file and line, and removes nothing", () => {
  const { group: _, ...groupless } = HEADER;
  const malformed: [lines: unknown[], flaw: string][] = [
    [[{}], "line 1: it has no version, this is version 1"],
    [[7], "line 1: it is no object"],
    [[{ ...HEADER, netloom: 2 }], "line 1: it has version 2, this is version 1"],
    [[groupless], "line 1: group is undefined, not a number"],
    [[{ ...HEADER, pid: "x" }], 'line 1: pid is "x", not a number'],
    [[{ ...HEADER, group: 0 }], "line 1: group 0 is not that of a scope"],
    [[{ ...HEADER, group: 77 }], "line 1: group 77 is not that of a scope"],
    [[HEADER, {}], "line 2: cookie is undefined, not a number as text"],
    [[HEADER, { created: "x", cookie: 5 }], "line 2: cookie is 5, not a number as text"],
    [
      [HEADER, { created: 7, cookie: "5" }],
      "line 2: it has none of created, visited, redirected and impaired",
    ],
    [[HEADER, { created: "../x", cookie: "5" }], 'line 2: "../x" is no name of a netns'],
  ];
  using stranger = Bridge.create({ name: "record-br" });
  stranger.set({ group: 77 });
  for (const [content, flaw] of malformed) {
    const path = leave("broken", ...content);
    const message = `Cannot read ${path}, ${flaw}; look at it, then remove the file`;
    for (const replace of [true, false]) {
      const error = assertThrows(() => Scope.open({ name: "broken", replace }), ScopeError);
      assertEquals(error.message, message);
    }
    const [info] = Scope.list().filter(({ name }) => name === "broken");
    assertEquals([info!.state, info!.notes], ["unreadable", [message]]);
    assertEquals(assertThrows(() => Scope.clean({ name: "broken" }), ScopeError).message, message);
    assertEquals(Scope.clean(), []);
    Deno.removeSync(path);
  }
  Deno.writeTextFileSync("/run/netloom/broken.jsonl", '{"pid":\n');
  assertThrows(() => Scope.open({ name: "broken" }), ScopeError, "line 1: it is not JSON");
  Deno.removeSync("/run/netloom/broken.jsonl");
  assertEquals(Link.get("record-br").read().group, 77);
});

test("Scope writes its record through no symbolic link, and where only its user can read", async () => {
  Deno.mkdirSync("/run/netloom", { recursive: true });
  Deno.chmodSync("/run/netloom", 0o777);
  const target = Deno.makeTempFileSync();
  Deno.symlinkSync(target, "/run/netloom/linked.jsonl");
  assertThrows(() => Scope.open({ name: "linked", replace: true }), SyscallError, "ELOOP");
  Deno.removeSync("/run/netloom/linked.jsonl");
  assertEquals(Deno.readTextFileSync(target), "");
  {
    await using _scope = Scope.open({ name: "plain" });
    assertEquals(Deno.statSync("/run/netloom").mode! & 0o777, 0o700);
    assertEquals(Deno.statSync("/run/netloom/plain.jsonl").mode! & 0o777, 0o600);
  }
  Deno.renameSync("/run/netloom", "/run/netloom-kept");
  Deno.symlinkSync("/run/netloom-kept", "/run/netloom");
  assertThrows(() => Scope.open({ name: "linked" }), SyscallError, "open /run/netloom: ");
  assertEquals([...Deno.readDirSync("/run/netloom-kept")].map(({ name }) => name), []);
  Deno.removeSync("/run/netloom");
  Deno.renameSync("/run/netloom-kept", "/run/netloom");
  Deno.removeSync(target);
});

test("Scope adds a line to its record for each namespace, and removes it when it is closed", async () => {
  using foreign = NetNs.create("record-foreign");
  {
    await using scope = Scope.open({ name: "noted" });
    const { ino } = Deno.statSync("/run/netloom/noted.jsonl");
    const [header] = lines("noted");
    assertEquals([header!.netloom, header!.group, header!.pid], [1, scope.group, Deno.pid]);
    const own = NetNs.create("record-own", { scope });
    const unnamed = NetNs.create({ scope });
    for (const n of [1, 2]) {
      Bridge.create({ scope, name: `br${n}`, netns: own });
      Bridge.create({ scope, name: `br${n}`, netns: unnamed });
      Bridge.create({ scope, name: `br${n}`, netns: { name: "record-foreign" } });
      Bridge.create({ scope, name: `record${n}` });
    }
    assertThrows(() => NetNs.create("record-foreign", { scope }), Error, "EEXIST");
    const [, ...noted] = lines("noted");
    const home = NetNs.current();
    assertEquals(noted.slice(0, 3), [
      { created: "record-own", cookie: `${own.cookie}` },
      { visited: 'netns "record-foreign"', cookie: `${foreign.cookie}` },
      { visited: `the netns of process ${Deno.pid}`, cookie: `${home.cookie}` },
    ]);
    home[Symbol.dispose]();
    // The lost race has a line, too, with the cookie of a namespace that nobody has any more.
    assertEquals(noted.map(({ created }) => created), [
      "record-own",
      undefined,
      undefined,
      "record-foreign",
    ]);
    assertEquals(Deno.statSync("/run/netloom/noted.jsonl").ino, ino);
  }
  assertEquals(records(), []);
  assert(NetNs.exists("record-foreign"));
});

test("Scope without a name has a record only of objects that would outlive the program", async () => {
  await using scope = Scope.open();
  const netns = NetNs.create({ scope });
  Bridge.create({ scope, name: "br0", netns });
  assertEquals(records(), []);
  NetNs.create("record-named", { scope });
  const name = `@${scope.group.toString(16)}`;
  assertEquals(records(), [`${name}.jsonl`]);
  assertEquals(lines(name).map(({ created }) => created), [undefined, "record-named"]);
});

test("Scope.list() shows scopes that are open or left, Scope.clean() removes the latter", async () => {
  const before = machine();
  ip(homeNetNs(), "netns add record-foreign");
  await killed(lab(`
    NetNs.create("record-left", { scope });
    Veth.create({ scope, name: "rec-a", peer: { name: "rec-b", netns: { name: "record-foreign" } } });
  `));
  await killed(lab(`NetNs.create("record-named", { scope });`, `{ name: "named" }`));
  await using open = Scope.open({ name: "open" });
  NetNs.create("record-open", { scope: open });
  const shown = Scope.list().map(({ name, state, netns, links }) => ({
    name,
    state,
    netns,
    links: links.map((link) => `${link.netns} ${link.name}`.replace(/\d+/, "PID")),
  }));
  const left = {
    name: undefined,
    state: "left",
    netns: ["record-left"],
    links: ["the netns of process PID rec-a", 'netns "record-foreign" rec-b'],
  };
  const named = { name: "named", state: "left", netns: ["record-named"], links: [] };
  const living = { name: "open", state: "open", netns: ["record-open"], links: [] };
  assertEquals<unknown>(shown, [left, named, living]);
  assertEquals(Scope.list().find(({ name }) => name === "open")!.pid, Deno.pid);
  assertEquals(Scope.clean({ name: "nobody" }), []);
  assertEquals(
    assertThrows(() => Scope.clean({ name: "open" }), ScopeError).message,
    `Scope "open" is open in process ${Deno.pid}: close it there`,
  );
  assertEquals(Scope.clean({ name: "named" }).map(({ name }) => name), ["named"]);
  assertEquals(fresh(NetNs.list()).sort(), ["record-foreign", "record-left", "record-open"]);
  assertEquals(Scope.clean().map(({ netns }) => netns), [["record-left"]]);
  assertEquals(Scope.clean(), []);
  assertEquals(fresh(NetNs.list()).sort(), ["record-foreign", "record-open"]);
  await open[Symbol.asyncDispose]();
  ip(homeNetNs(), "netns del record-foreign");
  assertEquals(machine(), before);
});

test("Scope.clean() refuses options that nobody knows, and names that are none", () => {
  // deno-lint-ignore no-explicit-any
  const clean = Scope.clean as any;
  assertThrows(
    () => clean({ nmae: "x" }),
    TypeError,
    'Unknown option "nmae": did you mean "name"?',
  );
  assertThrows(() => clean({ name: "a/b" }), TypeError, "A scope name has");
});

test("A lock that another process keeps is an error after some seconds, which names it", async () => {
  const hold = async (directory: string) => {
    const child = new Deno.Command("flock", {
      args: ["--no-fork", directory, "sh", "-c", "echo locked; exec sleep 60"],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    return {
      pid: child.pid,
      async [Symbol.asyncDispose]() {
        child.kill("SIGKILL");
        await child.status;
        await reader.cancel();
      },
    };
  };
  for (const directory of ["/run/netloom", "/run/netns"]) {
    await Scope.open({ name: "first" })[Symbol.asyncDispose]();
    await NetNs.create("record-first")[Symbol.asyncDispose]();
    await using holder = await hold(directory);
    const started = performance.now();
    const call = directory === "/run/netloom"
      ? () => Scope.open({ name: "locked" })
      : () => NetNs.create("record-locked");
    const error = assertThrows(call, SyscallError, `lock ${directory}: `);
    assertStringIncludes(error.message, `process ${holder.pid} has held the lock for 5000 ms`);
    assert(performance.now() - started < 8000);
  }
  assertEquals([fresh(NetNs.list()), records()], [[], []]);
});

test("Scope.open() refuses replace without a name, and names that are no file names", () => {
  assertThrows(
    () => Scope.open({ replace: true }),
    TypeError,
    "Scope.open({ replace: true }) needs a name: whose leftovers to remove",
  );
  for (const name of ["", ".", "..", "../x", "a/b", ".hidden", "a b", "ä", "a\0", "x".repeat(65)]) {
    const error = assertThrows(() => Scope.open({ name }), TypeError);
    assertMatch(error.message, /^A scope name has 1 to 64 letters, .*: got "/);
  }
  // deno-lint-ignore no-explicit-any
  assertThrows(() => Scope.open({ name: 7 as any }), TypeError, "got 7");
});

test("Scope.open() refuses replace and signals that are no booleans", () => {
  const before = records();
  for (const option of ["replace", "signals"]) {
    for (const value of ["yes", 1, null]) {
      assertThrows(
        () => Scope.open({ name: "boolean", [option]: value }),
        TypeError,
        `${option} must be a boolean: got ${JSON.stringify(value)}`,
      );
    }
  }
  assertEquals(records(), before);
});

test("A scope that was opened inside run() records links in the process's own namespace", async () => {
  using inside = NetNs.create();
  const before = machine(inside.ref);
  {
    await using scope = inside.run(() => Scope.open({ name: "bracket" }));
    inside.run(() => Bridge.create({ scope, name: "inner" }));
    Veth.create({ scope, name: "leak-a", peer: { name: "leak-b", netns: inside } });
  }
  assertEquals(machine(inside.ref), before);
});
