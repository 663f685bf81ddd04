import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { newNetNs, within } from "../../ffi/namespace.ts";
import { Bridge, NetlinkError, Veth } from "../../mod.ts";
import * as brctl from "../../src/link/brctl.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { until } from "./bridge_table.ts";

type Ref = ReturnType<typeof newNetNs>;

/** Runs the real `brctl`, which looks into the /sys of the namespace; `undefined` when it fails. */
function real(ref: Ref, words: string): string | undefined {
  const script = `mount -t sysfs sysfs /sys && exec brctl ${words}`;
  const { success, stdout } = within(
    ref,
    () => new Deno.Command("unshare", { args: ["-m", "sh", "-c", script] }).outputSync(),
  );
  return success ? new TextDecoder().decode(stdout) : undefined;
}

/** Whether `brctl` is installed (Debian: bridge-utils) and may mount /sys. */
const installed = (() => {
  using ref = newNetNs("probe");
  return real(ref, "show") !== undefined;
})();

/** A test beside the real `brctl`. */
function twin(name: string, body: () => void | Promise<void>): void {
  test(name, { lacks: installed ? undefined : "brctl is not installed" }, body);
}

/** A namespace with the links `v0` and `v1`, back to back. */
class Lab implements Disposable {
  readonly ref: Ref = newNetNs("test");
  readonly options = { netns: { ref: this.ref } };

  constructor() {
    const { netns } = this.options;
    const [mac, more] = ["02:00:00:00:00:0a", "02:00:00:00:00:0b"];
    Veth.create({ name: "v0", netns, mac, peer: { name: "v1", netns, mac: more } });
  }

  /** The options of a bridge, or of a port, as iproute2 shows them. */
  shown(name: string): Json {
    const [link] = ip(this.ref, `-d -j link show dev ${name}`) as {
      linkinfo: Record<string, Json>;
    }[];
    return link!.linkinfo.info_slave_data ?? link!.linkinfo.info_data!;
  }

  [Symbol.dispose](): void {
    this.ref.close();
  }
}

test("brctl.addbr() and delbr() make and delete a bridge", () => {
  using lab = new Lab();
  const names = () => ip(lab.ref, "-j link show type bridge").map(({ ifname }) => ifname);
  {
    using bridge = brctl.addbr("br0", lab.options);
    assertEquals([bridge.name, bridge.owned], ["br0", false]);
  }
  assertEquals(names(), ["br0"], "it stays");
  const again = assertThrows(() => brctl.addbr("br0", lab.options), NetlinkError);
  assertEquals(again.code, "EEXIST");
  brctl.delbr("br0", lab.options);
  assertEquals(names(), []);
  assertThrows(() => brctl.delbr("br0", lab.options), NetlinkError, "No such device");
  assertThrows(() => brctl.delbr("lo", lab.options), TypeError, 'Link "lo" is not a bridge');
});

test("brctl.delbr() refuses a bridge that is up, as brctl does", () => {
  using lab = new Lab();
  brctl.addbr("br0", lab.options).up();
  const error = assertThrows(() => brctl.delbr("br0", lab.options), NetlinkError);
  assertEquals(error.code, "EBUSY");
  assertStringIncludes(error.message, 'delete bridge "br0" in test: It is up');
  if (installed) assertEquals(real(lab.ref, "delbr br0"), undefined);
  assertEquals(ip(lab.ref, "-j link show type bridge").length, 1);
});

test("brctl.addif() and delif() enslave and release", () => {
  using lab = new Lab();
  for (const name of ["br0", "br1"]) brctl.addbr(name, lab.options);
  const ports = (name: string) => ip(lab.ref, `-j link show master ${name}`).map((it) => it.ifname);
  brctl.addif("br0", "v0", lab.options);
  assertEquals(ports("br0"), ["v0"]);
  const error = assertThrows(() => brctl.addif("br1", "v0", lab.options), NetlinkError);
  assertEquals(error.code, "EBUSY");
  assertStringIncludes(error.message, 'add port "v0" to bridge "br1"');
  assertStringIncludes(error.message, 'Its master is "br0"');
  if (installed) assertEquals(real(lab.ref, "addif br1 v0"), undefined);
  assertEquals([ports("br0"), ports("br1")], [["v0"], []]);
  const foreign = () => brctl.delif("br1", "v0", lab.options);
  assertThrows(foreign, TypeError, 'Link "v0" is not a port of bridge "br1"');
  brctl.delif("br0", "v0", lab.options);
  assertEquals(ports("br0"), []);
});

/** What each command sets, in iproute2's terms and in brctl's. */
const SETTINGS: readonly [
  words: string,
  act: (options: Lab["options"]) => void,
  dev: string,
  key: string,
  value: unknown,
][] = [
  ["stp br0 on", (o) => brctl.stp("br0", true, o), "br0", "stp_state", 1],
  ["setfd br0 4", (o) => brctl.setfd("br0", 4, o), "br0", "forward_delay", 400],
  ["setfd br0 2.5", (o) => brctl.setfd("br0", 2.5, o), "br0", "forward_delay", 250],
  ["sethello br0 3", (o) => brctl.sethello("br0", 3, o), "br0", "hello_time", 300],
  ["setmaxage br0 12", (o) => brctl.setmaxage("br0", 12, o), "br0", "max_age", 1200],
  ["setageing br0 0", (o) => brctl.setageing("br0", 0, o), "br0", "ageing_time", 0],
  ["setageing br0 90", (o) => brctl.setageing("br0", 90, o), "br0", "ageing_time", 9000],
  ["setbridgeprio br0 77", (o) => brctl.setbridgeprio("br0", 77, o), "br0", "priority", 77],
  [
    "setpathcost br0 v0 9",
    (o) => brctl.setpathcost("br0", { ...o, port: "v0", cost: 9 }),
    "v0",
    "cost",
    9,
  ],
  [
    "setportprio br0 v0 5",
    (o) => brctl.setportprio("br0", { ...o, port: "v0", priority: 5 }),
    "v0",
    "priority",
    5,
  ],
  [
    "hairpin br0 v0 on",
    (o) => brctl.hairpin("br0", { ...o, port: "v0", on: true }),
    "v0",
    "hairpin",
    true,
  ],
];

for (const [words, act, dev, key, value] of SETTINGS) {
  test(`brctl ${words}: iproute2 agrees, and so does brctl`, () => {
    using lab = new Lab();
    brctl.addbr("br0", lab.options);
    brctl.addif("br0", "v0", lab.options);
    act(lab.options);
    assertEquals(lab.shown(dev)[key], value);
    if (!installed) return;
    using other = new Lab();
    for (const line of ["addbr br0", "addif br0 v0", words]) {
      assert(real(other.ref, line) !== undefined);
    }
    assertEquals(other.shown(dev)[key], value);
  });
}

test("brctl refuses values out of range, and leaves what was there", () => {
  using lab = new Lab();
  const { options } = lab;
  brctl.addbr("br0", options);
  brctl.addif("br0", "v0", options);
  const before = [lab.shown("br0"), lab.shown("v0")];
  const bad: [() => void, string][] = [
    [() => brctl.setfd("br0", 31, options), "forwardDelay must be in 0..3000"],
    [
      () => brctl.setfd("br0", -1, options),
      "setfd takes seconds, 0 or more: got -1",
    ],
    [() => brctl.setfd("br0", NaN, options), "got NaN"],
    [() => brctl.sethello("br0", 0, options), "helloTime must be in 100..1000"],
    [() => brctl.setmaxage("br0", 5, options), "maxAge must be in 600..4000"],
    [() => brctl.setageing("br0", Infinity, options), "got Infinity"],
    [() => brctl.setbridgeprio("br0", 65536, options), "priority must be in 0..65535"],
    [
      () => brctl.setpathcost("br0", { ...options, port: "v0", cost: 0 }),
      "cost must be in 1..65535",
    ],
    [
      () => brctl.setportprio("br0", { ...options, port: "v0", priority: 64 }),
      "priority must be in 0..63",
    ],
  ];
  for (const [attempt, message] of bad) assertThrows(attempt, RangeError, message);
  assertThrows(
    () => brctl.hairpin("br0", { ...options, port: "v1", on: true }),
    TypeError,
    'Link "v1" is not a port of bridge "br0"',
  );
  assertEquals([lab.shown("br0"), lab.shown("v0")], before);
});

test("brctl.show() lists bridges and ports by name", () => {
  using lab = new Lab();
  assertEquals(brctl.show(lab.options), []);
  for (const name of ["br1", "br0"]) brctl.addbr(name, lab.options);
  for (const port of ["v1", "v0"]) brctl.addif("br0", port, lab.options);
  brctl.stp("br0", true, lab.options);
  const empty = brctl.show(lab.options)[1]!;
  assertEquals(brctl.show(lab.options), [
    { name: "br0", bridgeId: "8000.02:00:00:00:00:0a", stp: true, interfaces: ["v0", "v1"] },
    { name: "br1", bridgeId: empty.bridgeId, stp: false, interfaces: [] },
  ]);
  assertEquals(brctl.show({ ...lab.options, bridges: ["br1"] }), [empty]);
});

twin("brctl.formatShow() is what brctl prints", () => {
  using lab = new Lab();
  const same = () => assertEquals(brctl.formatShow(brctl.show(lab.options)), real(lab.ref, "show"));
  same();
  for (const name of ["br10", "br1", "br2", "a-longer-name"]) brctl.addbr(name, lab.options);
  for (const port of ["v1", "v0"]) brctl.addif("br1", port, lab.options);
  brctl.stp("br2", true, lab.options);
  brctl.setbridgeprio("br1", 0x12, lab.options);
  same();
});

twin("brctl.formatShowmacs() is what brctl prints", async () => {
  using lab = new Lab();
  const bridge = brctl.addbr("br0", lab.options).up();
  // Without IPv6 addresses nobody speaks.
  for (const name of ["v0", "v1"]) run(lab.ref, `ip link set dev ${name} addrgenmode none up`);
  brctl.addif("br0", "v0", lab.options);
  Veth.create({ name: "w0", ...lab.options, master: bridge, peer: { name: "w1", ...lab.options } });
  await until(() => bridge.port("v0").options().state === "forwarding");
  for (let n = 40; n > 0; n--) {
    const state = n % 4 === 0 ? "dynamic" : n % 4 === 1 ? "permanent" : "static";
    const port = state === "dynamic" || n % 3 ? "v0" : "w0";
    bridge.fdb.add({ mac: `02:00:00:00:01:${n + 10}`, port, state });
  }
  bridge.fdb.add({ mac: "02:00:00:00:02:00" });
  const masked = (text?: string) =>
    text?.replace(/^(.*no\t\t) +\d+\.\d\d$/gm, "$1TIME").split("\n");
  const macs = brctl.showmacs("br0", lab.options);
  const lines = masked(brctl.formatShowmacs(macs));
  const expected = masked(real(lab.ref, "showmacs br0"));
  assertEquals(lines?.toSorted(), expected?.toSorted());
  assertEquals(
    lines?.map((line) => line.split("\t")[1]),
    expected?.map((line) => line.split("\t")[1]),
  );
  const dynamic = macs.filter(({ ageing }) => ageing > 0);
  assert(dynamic.every(({ ageing, isLocal }) => ageing < 20 && !isLocal));
});

test("brctl.showmacs() has the addresses behind ports that iproute2 shows", () => {
  using lab = new Lab();
  const bridge = brctl.addbr("br0", lab.options);
  brctl.addif("br0", "v0", lab.options);
  bridge.fdb.add({ mac: "02:00:00:00:00:01", port: "v0" });
  bridge.fdb.add({ mac: "02:00:00:00:00:02" });
  const macs = brctl.showmacs("br0", lab.options);
  const unique = [...new Map(macs.map((entry) => [entry.mac, entry])).values()];
  assertEquals(unique, [
    { portNo: 1, mac: "02:00:00:00:00:01", isLocal: false, ageing: 0 },
    { portNo: 1, mac: "02:00:00:00:00:0a", isLocal: true, ageing: 0 },
  ]);
});

test("brctl.showstp() has what iproute2 shows, in seconds", () => {
  using lab = new Lab();
  brctl.addbr("br0", lab.options);
  for (const port of ["v0", "v1"]) brctl.addif("br0", port, lab.options);
  brctl.setfd("br0", 2.5, lab.options);
  brctl.hairpin("br0", { ...lab.options, port: "v1", on: true });
  const { ports, ...bridge } = brctl.showstp("br0", lab.options);
  const shown = lab.shown("br0");
  assertEquals([bridge.forwardDelay, shown.forward_delay], [2.5, 250]);
  assertEquals([bridge.maxAge, bridge.helloTime, bridge.ageingTime], [20, 2, 300]);
  assertEquals(bridge.designatedRoot, "8000.02:00:00:00:00:0a");
  assertEquals([bridge.rootPort, bridge.pathCost], [shown.root_port, shown.root_path_cost]);
  assertEquals(ports.map(({ name }) => name), ["v0", "v1"]);
  for (const { name, portNo, portId, state, hairpin, pathCost } of ports) {
    const port = lab.shown(name);
    assertEquals([portNo, portId], [Number(port.no), Number(port.id)]);
    assertEquals([state, hairpin, pathCost], [port.state, port.hairpin, port.cost]);
  }
});

twin("brctl.formatShowstp() is what brctl prints", async () => {
  using lab = new Lab();
  const { netns } = lab.options;
  const timers =
    /((?:hello|tcn|gc|topology change|message age|forward delay|hold) timer\t+) *\d+\.\d\d/g;
  const masked = (text?: string) => text?.replace(timers, "$1 TIME");
  const same = (name: string) => {
    const texts = () => [
      masked(brctl.formatShowstp(brctl.showstp(name, lab.options))),
      masked(real(lab.ref, `showstp ${name}`)),
    ];
    // The spanning tree may move on between the two.
    const [ours, theirs] = [texts(), texts(), texts()].find(([a, b]) => a === b) ?? texts();
    assertEquals(ours, theirs);
  };
  const root = Bridge.create({
    name: "root",
    netns,
    stp: true,
    up: true,
    priority: 1,
    maxAge: 1234,
  });
  const leaf = Bridge.create({ name: "leaf", netns, stp: true, forwardDelay: 250 });
  same("leaf");
  root.addPort("v0").set({ cost: 12345, up: true });
  leaf.addPort("v1").set({ hairpin: true, up: true });
  Veth.create({ name: "w0", netns, master: leaf, peer: { name: "w1", netns } });
  same("leaf");
  leaf.up();
  await until(() => leaf.options().rootPort === 1);
  same("leaf");
  same("root");
});
