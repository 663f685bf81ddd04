// Each public function under the permissions its documentation names, and without them.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { NetNs } from "../mod.ts";
import { test } from "./leaks.ts";
import { script } from "./script.ts";

const HEAD = `import { batch, Bridge, Link, monitor, NetNs, Scope, trace, Veth } from "./mod.ts";
import * as brctl from "./src/link/brctl.ts";
using netns = NetNs.create();
const lab = () => Veth.create({ name: "a", netns, up: true, addresses: ["10.1.0.1/24"],
  peer: { name: "b", netns, up: true } });
`;

/** Calls by the permissions they take beyond reading the library's own modules. */
const CALLS: Record<string, { flags: string[]; calls: Record<string, string> }> = {
  "--allow-ffi": {
    flags: [],
    calls: {
      "NetNs.create(name)": `using named = NetNs.create("permitted"); NetNs.exists("permitted");`,
      "NetNs.open, current, list, delete": `NetNs.create("permitted").persist()[Symbol.dispose]();
        NetNs.open("permitted")[Symbol.dispose](); NetNs.current()[Symbol.dispose]();
        NetNs.list(); NetNs.delete("permitted");`,
      "NetNs.run, start, pids, idOf, sysctl":
        `netns.run(() => 1); netns.start(() => 1); netns.pids();
        using other = NetNs.create(); netns.idOf(other); netns.sysctl("net.ipv4.ip_forward", 1);`,
      "tables": `netns.links.list(); netns.addresses.list(); netns.routes.list();
        netns.neighbors.list(); const veth = lab();
        netns.routes.add({ destination: "10.2.0.0/16", gateway: "10.1.0.2" });
        netns.neighbors.add({ dev: veth, address: "10.1.0.2", lladdr: "02:00:00:00:00:01" });`,
      "NetNs.ping": `await netns.ping("127.0.0.1"); await netns.ping("::1");`,
      "NetNs.monitor":
        `for await (const event of netns.monitor()) { if (event.type === "snapshot") break; }`,
      "NetNs.batch": `netns.batch(() => {}); batch(() => {}, { netns });`,
      "Link": `const veth = lab(); veth.set({ mtu: 1400, alias: "x", addrGenMode: "none" });
        veth.down().rename("c").up(); veth.stats(); veth.addresses.flush();
        await veth.waitFor((link) => link.mtu === 1400); using lo = Link.get("lo", { netns });
        using other = NetNs.create(); veth.move(other); veth.delete();`,
      "Bridge": `const bridge = Bridge.create({ name: "br0", netns, stp: false, up: true });
        const veth = lab(); bridge.addPort("b").set({ cost: 5 }); bridge.ports(); bridge.options();
        bridge.fdb.list(); brctl.show({ netns }); bridge.deletePort("b");`,
      "Scope": `await using scope = Scope.open({ name: "permitted", replace: true, signals: true });
        NetNs.create("permitted", { scope }); Bridge.create({ scope, name: "br0", netns });
        await scope.ready();`,
      "trace": `using _trace = trace(() => {}); lab();`,
      "nodad": `Veth.create({ name: "x", netns, nodad: true, up: true, addresses: ["fd00::1/64"],
        peer: { name: "y", netns } });`,
    },
  },
  "--allow-ffi and --allow-run": {
    flags: ["--allow-run"],
    calls: { "NetNs.command": `netns.command("true").outputSync();` },
  },
  "--allow-ffi and --allow-net": {
    flags: ["--allow-net"],
    calls: {
      "NetNs.listen, connect": `const listener = netns.listen({ hostname: "127.0.0.1", port: 81 });
        const client = await netns.connect({ hostname: "127.0.0.1", port: 81 });
        (await listener.accept()).close(); client.close(); listener.close();`,
      "NetNs.serve, fetch": `await using server = netns.serve(
          { hostname: "127.0.0.1", port: 80, onListen() {} }, () => new Response("ok"));
        await (await netns.fetch("http://127.0.0.1/")).text();`,
    },
  },
};

for (const [permissions, { flags, calls }] of Object.entries(CALLS)) {
  for (const [name, source] of Object.entries(calls)) {
    test(`${name} takes ${permissions}`, async () => {
      const { code, stderr } = await script(HEAD + source, {
        flags: ["--no-prompt", "--allow-ffi", ...flags],
      });
      assertEquals([code, stderr], [0, ""]);
    });
    if (flags.length === 0) continue;
    test(`${name} without ${flags} is not capable, and says so`, async () => {
      const { code, stderr } = await script(HEAD + source, {
        flags: ["--no-prompt", "--allow-ffi"],
      });
      assertEquals(code, 1);
      assertStringIncludes(stderr, "NotCapable");
      assertStringIncludes(stderr, flags[0]!);
    });
  }
}

test("NetNs.worker takes --allow-ffi, and --allow-read for a local module", async () => {
  const source = HEAD + `const module = "data:text/javascript,postMessage(1)";
    const worker = netns.worker(module);
    await new Promise((resolve) => worker.onmessage = resolve); worker.terminate();`;
  const { code, stderr } = await script(source, { flags: ["--no-prompt", "--allow-ffi"] });
  assertEquals([code, stderr], [0, ""]);
  const local = HEAD + `netns.worker(new URL("./mod.ts", import.meta.url)).terminate();`;
  const refused = await script(local, { flags: ["--no-prompt", "--allow-ffi"] });
  assertStringIncludes(refused.stderr, "--allow-read");
});

test("Without --allow-ffi there is one error, which names the permission", async () => {
  const { code, stderr } = await script(HEAD, { flags: ["--no-prompt"] });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "--allow-ffi");
});

/** What the kernel asks for in the process's own namespace, which no call has to enter. */
const CAPABILITIES: Record<string, { capabilities: string[]; calls: string }> = {
  "Reading and following": {
    capabilities: [],
    calls: `using own = NetNs.current();
      own.links.list(); own.addresses.list(); own.routes.list(); own.neighbors.list();
      own.pids(); own.run(() => Link.get("lo").read()); own.cookie; own.sysctl("net.ipv4.ip_forward");
      for await (const event of own.monitor()) { if (event.type === "snapshot") break; }
      for await (const event of monitor()) { if (event.type === "snapshot") break; }`,
  },
  "NetNs.ping": {
    capabilities: ["net_raw"],
    calls: `using own = NetNs.current(); await own.ping("127.0.0.1");`,
  },
  "Link, Bridge, addresses, routes": {
    capabilities: ["net_admin"],
    calls: `using own = NetNs.current();
      {
        using veth = Veth.create({ name: "capable-a", netns: own, up: true, addresses: ["10.1.0.1/24"],
          peer: { name: "capable-b", up: true } });
        own.routes.add({ destination: "10.2.0.0/16", gateway: "10.1.0.2" });
        Bridge.create({ name: "capable", netns: own }).addPort(veth).set({ cost: 5 });
        Link.get("capable").delete();
      }
      const scope = Scope.open();
      Bridge.create({ scope, name: "capable" });
      scope.close();`,
  },
};

for (const [name, { capabilities, calls }] of Object.entries(CAPABILITIES)) {
  /** As root is, with these capabilities and no others. */
  const having = (names: string[]) => {
    const set = ["-all", ...names.map((it) => `+${it}`)].join(",");
    return ["setpriv", `--bounding-set=${set}`, `--inh-caps=${set}`];
  };
  const source = `import { Bridge, Link, monitor, NetNs, Scope, Veth } from "./mod.ts";\n${calls}`;
  test(`${name} in the current namespace takes ${capabilities.join() || "no capability"}`, async () => {
    const { code, stderr } = await script(source, { through: having(capabilities) });
    assertEquals([code, stderr], [0, ""]);
  });
  if (capabilities.length === 0) continue;
  test(`${name} without ${capabilities} is refused, and says what to do`, async () => {
    const { code, stderr } = await script(source, { through: having([]) });
    assertEquals(code, 1);
    assertStringIncludes(stderr, "(EPERM");
    assertStringIncludes(stderr, "unshare -Urmn");
  });
}

test("Creating and entering a namespace takes CAP_SYS_ADMIN, and says what to do without it", async () => {
  const through = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
  using other = NetNs.create("permitted");
  const calls = {
    create: "create new netns: Operation not permitted (EPERM, unshare)",
    'open("permitted").run(() => 1)':
      'enter netns "permitted": Operation not permitted (EPERM, setns)',
    'open("permitted").links.list()':
      'enter netns "permitted": Operation not permitted (EPERM, setns)',
  };
  for (const [call, message] of Object.entries(calls)) {
    const code = `import { NetNs } from "./mod.ts"; NetNs.${
      call === "create" ? "create()" : call
    };`;
    const { stderr } = await script(code, { through });
    assertStringIncludes(stderr, `${message}; run as root`);
  }
  assertEquals(other.links.list().length, 1);
});
