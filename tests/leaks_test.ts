import { assertEquals, assertRejects } from "@std/assert";
import { homeNetNs, newNetNs } from "../ffi/namespace.ts";
import { NetNs } from "../mod.ts";
import { nsidOf } from "../src/scope/removal.ts";
import { settle, test, traces } from "./leaks.ts";

async function finds(what: RegExp, leak: () => Disposable | Promise<Disposable>): Promise<void> {
  const before = traces();
  const leaked = await leak();
  try {
    const error = await assertRejects(() => settle(before, 0), Error);
    assertEquals(error.message.match(what)?.length, 1, `${error.message} has no ${what}`);
  } finally {
    leaked[Symbol.dispose]();
  }
}

test("test() finds a descriptor that stays open", () =>
  finds(/^Left behind: descriptor of \/etc\/passwd$/, () => Deno.openSync("/etc/passwd")));

test("test() finds a named namespace", () =>
  finds(/\/run\/netns\/leak/, () => NetNs.create("leak")));

test("test() finds a namespace that only a descriptor holds, by its id", () =>
  finds(/descriptor of net:\[\d+\], namespace id \d+$/, () => {
    const ref = newNetNs("new netns");
    nsidOf(homeNetNs(), ref);
    return ref;
  }));

test("test() finds a link in the process's namespace", () =>
  finds(/^Left behind: link leak$/, () => {
    new Deno.Command("ip", { args: "link add leak type bridge".split(" ") }).outputSync();
    return {
      [Symbol.dispose]: () =>
        void new Deno.Command("ip", { args: "link del leak".split(" ") }).outputSync(),
    };
  }));

test("test() finds a child process, and the thread of a worker in another namespace", async () => {
  using netns = NetNs.create();
  let child: Deno.ChildProcess | undefined;
  await finds(/child process \d+/, () => {
    child = netns.command("sleep", { args: ["60"] }).spawn();
    return { [Symbol.dispose]: () => child!.kill("SIGKILL") };
  });
  await child!.status;
  await finds(/thread in net:\[\d+\]/, () => {
    const worker = netns.worker("data:text/javascript,setInterval(() => {}, 1000)");
    return { [Symbol.dispose]: () => worker.terminate() };
  });
});
