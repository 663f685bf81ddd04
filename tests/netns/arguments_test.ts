// Wrong arguments of namespaces and their tables: the error names the argument, the value, and what was
// meant.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { batch, NetlinkError, NetNs, Scope, SyscallError, trace, Veth } from "../../mod.ts";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { caught } from "../link/oracle.ts";

test("An argument that must be a function is named, and shown", async () => {
  using netns = NetNs.create();
  const veth = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  for (const [value, shown] of [[5, "5"], [undefined, "undefined"], [{}, "{}"], ["f", '"f"']]) {
    const wrong = value as never;
    const calls: [call: () => unknown, name: string][] = [
      [() => netns.run(wrong), "fn"],
      [() => netns.start(wrong), "fn"],
      [() => netns.batch(wrong), "build"],
      [() => batch(wrong), "build"],
      [() => trace(wrong), "handler"],
      [() => netns.serve({ port: 0 }, wrong), "handler"],
      ...(value === undefined
        ? []
        : [[() => Scope.open({ trace: wrong }), "trace"] as [() => unknown, string]]),
    ];
    for (const [call, name] of calls) {
      const error = caught(call);
      assertEquals(
        [error.name, error.message],
        ["TypeError", `${name} must be a function: got ${shown}`],
      );
    }
    const error = await assertRejects(() => veth.waitFor(wrong), TypeError);
    assertEquals(error.message, `condition must be a function: got ${shown}`);
  }
});

test("Scope.use() takes what can be disposed, and nothing else", () => {
  using scope = new DisposableStack();
  const lab = Scope.open();
  scope.defer(() => lab.close());
  for (const [value, shown] of [[5, "5"], [undefined, "undefined"], [{}, "{}"]]) {
    const error = assertThrows(() => lab.use(value as never), TypeError);
    assertEquals(error.message, `resource must have a method [Symbol.dispose]: got ${shown}`);
  }
});

test("A namespace that is given by a word or a number says the object that was meant", () => {
  const must = "netns must be a NetNs, { name }, { pid } or { path }";
  const cases: [value: unknown, end: string][] = [
    ["blue", 'got "blue"; did you mean { name: "blue" }?'],
    ["/proc/1/ns/net", 'got "/proc/1/ns/net"; did you mean { path: "/proc/1/ns/net" }?'],
    [42, "got 42; did you mean { pid: 42 }?"],
    [true, "got true"],
    [null, "got null"],
  ];
  for (const [netns, end] of cases) {
    const call = () => Veth.create({ name: "a", netns, peer: { name: "b" } } as never);
    assertEquals(caught(call).message, `${must}: ${end}`);
  }
  const odd = { ref: 5 } as never;
  assertEquals(
    caught(() => Veth.get("a", { netns: odd })).message.slice(0, 20),
    'Unknown option "netn',
  );
});

test("batch() takes no namespace but a handle, and sends nothing elsewhere", () => {
  for (const [netns, shown] of [[{ name: "blue" }, '{"name":"blue"}'], ["blue", '"blue"']]) {
    let built = false;
    const error = assertThrows(
      () => batch(() => void (built = true), { netns } as never),
      TypeError,
    );
    assertEquals(error.message, `netns must be a NetNs, as NetNs.open() gives it: got ${shown}`);
    assertEquals(built, false);
  }
});

test("NetNs.open() names the nearest name for one that is not there", () => {
  using _blue = NetNs.create("arguments-blue");
  const error = assertThrows(() => NetNs.open("arguments-bleu"), SyscallError);
  assertEquals(error.code, "ENOENT");
  assert(error.message.endsWith('; did you mean "arguments-blue"?'), error.message);
  assert(!caught(() => NetNs.open("other")).message.includes("did you mean"));
});

test("ping() names its argument and the value", async () => {
  using netns = NetNs.create();
  for (const [value, shown] of [[5, "5"], ["foo", '"foo"'], ["", '""'], [undefined, "undefined"]]) {
    const error = await assertRejects(() => netns.ping(value as never), TypeError);
    assertEquals(error.message, `address must be an IP address: got ${shown}`);
  }
});

test("A misspelled type of a route is the error, not the gateway that it does not need", () => {
  using netns = NetNs.create();
  const route = { destination: "10.0.0.0/8", type: "blakhole" } as never;
  for (const call of [() => netns.routes.add(route), () => netns.routes.replace(route)]) {
    const error = assertThrows(call, TypeError);
    assert(error.message.startsWith('type must be one of "unspec", '), error.message);
    assert(error.message.endsWith('got "blakhole"; did you mean "blackhole"?'), error.message);
  }
});

test("Tables take a family alone to list and to flush, as those of one link do", () => {
  using netns = NetNs.create();
  const veth = Veth.create({
    name: "v0",
    netns,
    up: true,
    addresses: ["10.0.0.1/24", "fd00::1/64"],
    peer: { name: "v1", netns, up: true },
  });
  const { addresses, neighbors, routes } = netns;
  for (const [address, version] of [["10.0.0.2", "-4"], ["fd00::2", "-6"]] as const) {
    neighbors.add({ dev: veth, address, lladdr: "02:00:00:00:00:02" });
    const mine = () => ip(netns.ref, `${version} -j neigh show nud permanent`).length;
    assertEquals(
      neighbors.list(version === "-4" ? "inet" : "inet6").filter((it) => it.address === address)
        .length,
      1,
    );
    neighbors.flush(version === "-4" ? "inet" : "inet6");
    assertEquals(mine(), 0);
  }
  assertEquals(
    addresses.list("inet").length,
    ip(netns.ref, "-4 -j address").flatMap((it) => it.addr_info as unknown[]).length,
  );
  routes.add([{ destination: "10.9.0.0/16", dev: veth }, { destination: "fd09::/64", dev: veth }]);
  routes.flush("inet");
  assertEquals(ip(netns.ref, "-4 -j route show proto boot"), []);
  assertEquals(ip(netns.ref, "-6 -j route show proto boot").length, 1);
  addresses.flush("inet6");
  assertEquals(addresses.list("inet6"), []);
  assert(addresses.list("inet").length > 0);
  for (const table of [addresses, neighbors, routes]) {
    for (const word of ["ipv4", ""]) {
      const error = caught(() => table.flush(word as "inet"));
      assert(error.message.startsWith('family must be one of "inet", "inet6"'), error.message);
    }
    assertEquals(caught(() => table.flush(5 as never)).message, "options must be an object: got 5");
  }
});

test("An error of a table names the link as the caller did", () => {
  using netns = NetNs.create();
  const veth = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  const address = "10.0.0.1/24";
  netns.addresses.add({ dev: "v0", address });
  const lladdr = "02:00:00:00:00:01";
  netns.neighbors.add({ dev: veth, address: "10.0.0.2", lladdr });
  for (const dev of ["v0", veth]) {
    const calls: [call: () => unknown, start: string][] = [
      [() => netns.addresses.add({ dev, address }), 'add address 10.0.0.1/24 to link "v0"'],
      [
        () => netns.addresses.delete({ dev, address: "10.0.0.7/24" }),
        'delete address 10.0.0.7/24 from link "v0"',
      ],
      [
        () => netns.neighbors.add({ dev, address: "10.0.0.2", lladdr }),
        'add neighbor 10.0.0.2 on link "v0"',
      ],
      [
        () => netns.neighbors.get({ dev, address: "10.0.0.7" }),
        'get neighbor 10.0.0.7 on link "v0"',
      ],
      [
        () => netns.neighbors.delete({ dev, address: "10.0.0.7" }),
        'delete neighbor 10.0.0.7 on link "v0"',
      ],
    ];
    for (const [call, start] of calls) {
      const error = assertThrows(call, NetlinkError);
      assert(error.message.startsWith(`${start} in `), error.message);
    }
  }
});

test("A scope prints its name, and how much it owns", async () => {
  const lab = Scope.open({ name: "arguments-lab" });
  const netns = NetNs.create(undefined, { scope: lab });
  assertEquals(Deno.inspect(lab), 'scope "arguments-lab" with 1 namespace and 0 links');
  Veth.create({ scope: lab, name: "v0", netns, peer: { name: "v1", netns } });
  assertEquals(Deno.inspect(lab), 'scope "arguments-lab" with 1 namespace and 2 links');
  await lab[Symbol.asyncDispose]();
  assertEquals(Deno.inspect(lab), 'scope "arguments-lab", closed');
  const unnamed = Scope.open();
  assertEquals(Deno.inspect(unnamed), "scope without a name with 0 namespaces and 0 links");
  unnamed.close();
});
