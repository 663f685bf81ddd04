// Signals that interrupt system calls (EINTR): a timer of libc, whose handler restarts none of them.
import { assertEquals } from "@std/assert";
import { test } from "../leaks.ts";
import { script } from "../script.ts";

/** A program under SIGALRM each 2 ms. The handler is a function of libc that does nothing. */
const STORM = `
  const libc = Deno.dlopen("libc.so.6", {
    sigaction: { parameters: ["i32", "buffer", "pointer"], result: "i32" },
    setitimer: { parameters: ["i32", "buffer", "pointer"], result: "i32" },
    read: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    getpid: { type: "pointer" },
  });
  const action = new BigUint64Array(19); // struct sigaction: no flags, so no SA_RESTART
  action[0] = Deno.UnsafePointer.value(libc.symbols.getpid);
  const SIGALRM = 14;
  libc.symbols.sigaction(SIGALRM, new Uint8Array(action.buffer), null);
  const every = new BigInt64Array([0n, 2000n, 0n, 2000n]); // struct itimerval
  const storm = () => libc.symbols.setitimer(0, new Uint8Array(every.buffer), null);
`;

test("Files that block are opened, read and written to the end though signals interrupt", async () => {
  const directory = Deno.makeTempDirSync();
  const fifo = `${directory}/fifo`;
  new Deno.Command("mkfifo", { args: [fifo] }).outputSync();
  const source = `${STORM}
    import { open, read, write } from "./ffi/file.ts";
    import { C } from "./ffi/libc.ts";
    const shell = (line) => new Deno.Command("sh", { args: ["-c", line] }).spawn();
    const feeder = shell("sleep 0.2; exec 9>${fifo}; sleep 0.2; echo hello >&9; sleep 0.2");
    storm();
    const bytes = new Uint8Array(1e6);
    {
      using file = open("${fifo}", C.O_RDONLY, "open the FIFO");
      console.log(read(file, bytes, "read"), libc.symbols.read(file.value, bytes, 100));
    }
    const eater = shell("sleep 0.2; wc -c <${fifo} >${directory}/count");
    {
      using file = open("${fifo}", C.O_WRONLY, "open the FIFO");
      write(file, bytes, "write");
    }
    await feeder.status;
    await eater.status;
    console.log(Deno.readTextFileSync("${directory}/count").trim());`;
  try {
    const { code, stdout, stderr } = await script(source);
    // The call without the library's care is interrupted.
    assertEquals([code, stdout, stderr], [0, "6 -1\n1000000\n", ""]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

test("Links, scopes, pings, devices and captures work though signals interrupt all calls", async () => {
  const source = `${STORM}
    import { Bridge, NetNs, Scope, Tap, Veth } from "./mod.ts";
    storm();
    const buffer = new Uint8Array(2000);
    {
      await using scope = Scope.open({ name: "storm", replace: true });
      const [a, b] = [NetNs.create({ scope, name: "storm" }), NetNs.create({ scope })];
      const master = Bridge.create({
        scope, name: "br0", netns: a, up: true, addresses: ["10.0.0.1/24"],
      });
      for (let i = 0; i < 20; i++) {
        const peer = { name: "p" + i, master, up: true };
        Veth.create({
          scope, name: "v" + i, netns: b, up: true, addresses: ["10.0.0." + (i + 2) + "/24"], peer,
        });
      }
      await scope.ready();
      console.log((await b.ping("10.0.0.1", { count: 5, interval: 50 })).received);
      const capture = master.capture();
      const ping = b.ping("10.0.0.99", { timeout: 200 });
      for await (const _frame of capture) break;
      console.log((await ping).received);
      for await (const event of a.monitor()) if (event.type === "snapshot") break;
      console.log((await a.command("true").output()).code);
      const tap = Tap.create({ scope, netns: a, up: true, addresses: ["10.1.0.1/24"] });
      const asking = a.ping("10.1.0.2", { timeout: 100 });
      console.log(tap.readSync(buffer) > 0, await tap.read(buffer) > 0, (await asking).received);
    }
    console.log(NetNs.exists("storm"), Scope.list().length);`;
  const { code, stdout, stderr } = await script(source);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, "5\n0\n0\ntrue true 0\nfalse 0\n");
});
