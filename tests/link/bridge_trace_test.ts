// The command lines of a trace, run with iproute2 in another namespace, come to the same.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { newNetNs } from "../../ffi/namespace.ts";
import { Bridge, type BridgeOptions, type BridgePortOptions, trace, Veth } from "../../mod.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { newLink } from "../../src/rtnetlink/link.ts";
import { bridge as bridgeCommand, ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { BACKUP_PORT, BRIDGE_ROWS, lasting, PORT_ROWS, type Row, until } from "./bridge_table.ts";

type Ref = ReturnType<typeof newNetNs>;

/** The command lines of what `act` changes. */
function commandsOf(ref: Ref, act: (netns: { ref: Ref }) => void): string[] {
  const commands: string[] = [];
  using _trace = trace(({ command, error }) => {
    if (!error && !/ show /.test(command)) commands.push(command);
  });
  act({ ref });
  return commands;
}

function links(ref: Ref): unknown {
  return lasting(ip(ref, "-d -j link"));
}

/** The options of a table that the kernel and iproute2 both know, and those only the kernel knows. */
function optionsOf<Options>(rows: readonly Row<Options>[], known: object) {
  const supported = rows.filter(({ option }) => Object.hasOwn(known, option));
  const object = (rows: readonly Row<Options>[]) =>
    Object.fromEntries(rows.map(({ option, value }) => [option, value])) as Options;
  return {
    both: object(supported.filter(({ words }) => words)),
    others: supported.filter(({ words }) => !words),
  };
}

/** Runs `act` here and its command lines in another namespace, and compares the links. */
function compare(act: (netns: { ref: Ref }) => void): string[] {
  using ours = newNetNs("ours");
  using theirs = newNetNs("theirs");
  const commands = commandsOf(ours, act);
  for (const command of commands) run(theirs, command);
  assertEquals(links(theirs), links(ours), commands.join("\n"));
  return commands;
}

const mac = (n: number): string => `02:00:00:00:00:0${n}`;

const known = (() => {
  using ref = newNetNs("probe");
  const bridge = bridgeWithBackup({ ref });
  const options = bridge.options();
  const port = bridge.port("backup").options();
  // Shown also where the kernel lacks it.
  if (options.vlanProtocol === undefined) delete options.vlanFiltering;
  if (options.vlanProtocol === undefined) delete options.mcastVlanSnooping;
  if (options.vlanProtocol === undefined) delete options.mstEnabled;
  return { bridge: options, port: { ...port, backupPort: 0 } };
})();

/** A bridge with the port `backup`, which rows refer to. */
function bridgeWithBackup(netns: { ref: Ref }): Bridge {
  const bridge = Bridge.create({ name: "br0", netns, mac: mac(1) });
  const linkInfo = { kind: "veth", data: { peer: { name: "other", mac: mac(3) } } };
  connectionTo(netns.ref).request(
    newLink({ name: "backup", index: BACKUP_PORT, mac: mac(2), linkInfo }),
  );
  bridge.addPort("backup");
  return bridge;
}

const words = (option: string): string =>
  option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const ofBridge = optionsOf<BridgeOptions>(BRIDGE_ROWS, known.bridge);

test("iproute2 makes the same bridge with the traced command, all options given", () => {
  const [command] = compare((netns) => {
    Bridge.create({ name: "br0", netns, mac: mac(1), ...ofBridge.both });
  });
  assert(Object.keys(ofBridge.both).length >= 28, command);
});

test("iproute2 changes a bridge alike with the traced command, all options given", () => {
  compare((netns) => {
    Bridge.create({ name: "br0", netns, mac: mac(1) }).set(ofBridge.both);
  });
});

const ofPort = optionsOf<BridgePortOptions>(PORT_ROWS, known.port);
const end = (netns: { ref: Ref }, n: number) => ({ name: `v${n}`, netns, mac: mac(n) });

test("iproute2 makes the same ports with the traced commands, all options given", () => {
  assert(Object.keys(ofPort.both).length >= 20);
  const port = ofPort.both;
  compare((netns) => {
    const master = bridgeWithBackup(netns);
    Veth.create({ ...end(netns, 4), master, port, peer: end(netns, 5) });
  });
  compare((netns) => {
    const master = bridgeWithBackup(netns);
    Veth.create({ ...end(netns, 4), master, peer: { ...end(netns, 5), master, port } });
  });
});

test("iproute2 changes a port alike with the traced commands, all options given", () => {
  compare((netns) => {
    const bridge = bridgeWithBackup(netns);
    Veth.create({ ...end(netns, 4), peer: end(netns, 5) });
    bridge.addPort("v4").set({ ...ofPort.both, alias: "it" });
  });
});

test("traced commands spell options that iproute2 6.1 lacks as the kernel does", () => {
  using ref = newNetNs("test");
  for (const { option, value, beside } of ofBridge.others) {
    const settings = { ...beside, [option]: value };
    const [command] = commandsOf(ref, (netns) => {
      using _bridge = Bridge.create({ name: "br0", netns, ...settings });
    });
    assertStringIncludes(`${command} `, ` ${words(option)} ${Number(value)} `);
  }
  const port = bridgeWithBackup({ ref }).port("backup");
  for (const { option, value, beside } of ofPort.others) {
    const text = value === true ? "on" : value;
    // A port cannot stand in for itself.
    const { backupPort: _, ...rest } = beside ?? {};
    const [command] = commandsOf(ref, () => port.set({ ...rest, [option]: value }));
    assertStringIncludes(`${command} `, ` ${words(option)} ${text} `);
  }
});

test("traced commands name what each change is in iproute2's words", () => {
  const commands = compare((netns) => {
    const bridge = Bridge.create({
      name: "br0",
      netns,
      mac: mac(1),
      stp: true,
      noLinklocalLearn: true,
      mcastRouter: "permanent",
    });
    Veth.create({
      name: "v0",
      netns,
      mac: mac(2),
      master: bridge,
      port: { fastLeave: true, mcastRouter: 0, learning: false },
      peer: { name: "v1", netns, mac: mac(3) },
    });
    const port = bridge.port("v0");
    bridge.set({ noLinklocalLearn: false, fdbFlush: true });
    port.set({ fdbFlush: true, backupPort: 0 });
    bridge.deletePort("v0");
  });
  assertEquals(commands, [
    "ip link add name br0 address 02:00:00:00:00:01 type bridge stp_state 1 mcast_router 2 " +
    "no_linklocal_learn 1",
    "ip link add name v0 address 02:00:00:00:00:02 master if2 type veth peer name v1 " +
    "address 02:00:00:00:00:03",
    "ip link set dev if4 type bridge_slave fastleave on mcast_router 0 learning off",
    "ip link set dev if2 type bridge fdb_flush no_linklocal_learn 0",
    "ip link set dev if4 type bridge_slave fdb_flush nobackup_port",
    "ip link set dev if4 nomaster",
  ]);
});

test("iproute2 does the same with the traced commands for entries, VLANs and states", async () => {
  using ours = newNetNs("ours");
  using theirs = newNetNs("theirs");
  const commands = commandsOf(ours, (netns) => {
    const bridge = Bridge.create({
      name: "br0",
      netns,
      mac: mac(1),
      addrGenMode: "none",
      // No running delay shall move a port's state on.
      forwardDelay: 0,
      up: true,
    });
    for (const n of [2, 4]) {
      Veth.create({
        name: `v${n}`,
        netns,
        mac: mac(n),
        addrGenMode: "none",
        master: bridge,
        up: true,
        peer: { name: `v${n + 1}`, netns, mac: mac(n + 1), addrGenMode: "none", up: true },
      });
    }
  });
  for (const command of commands) run(theirs, command);
  const bridges = [ours, theirs].map((ref) => Bridge.get("br0", { netns: { ref } }));
  const forwards = (bridge: Bridge) =>
    bridge.ports().every((port) => port.options().state === "forwarding");
  await until(() => bridges.every(forwards));

  const more = commandsOf(ours, (netns) => {
    const bridge = Bridge.get("br0", { netns });
    const [first, second] = [bridge.port("v2"), bridge.port("v4")];
    bridge.fdb.add({ mac: "02:00:00:00:01:01" });
    bridge.fdb.add({ mac: "02:00:00:00:01:02", port: first });
    bridge.fdb.add({ mac: "02:00:00:00:01:03", port: first, state: "dynamic" });
    bridge.fdb.add({ mac: "02:00:00:00:01:04", port: second, state: "permanent" });
    second.fdb.add({ mac: "02:00:00:00:01:05", flags: ["sticky"] });
    second.fdb.add({ mac: "02:00:00:00:01:06", flags: ["ext_learned"] });
    second.fdb.add({ mac: "02:00:00:00:01:07", flags: ["self"] });
    second.fdb.replace({ mac: "02:00:00:00:01:02" });
    second.fdb.delete({ mac: "02:00:00:00:01:04" });
    second.fdb.delete({ mac: "02:00:00:00:01:07", flags: ["self"] });
    first.fdb.flush({ state: "dynamic" });
    if (bridge.options().vlanProtocol !== undefined) {
      bridge.set({ vlanFiltering: true });
      bridge.vlans.add({ vid: 7 });
      first.vlans.add({ vid: 10, end: 20, untagged: true });
      first.vlans.add({ vid: 30, pvid: true });
      first.vlans.delete({ vid: 12, end: 14 });
    }
    second.set({ state: "listening" });
  });
  for (const command of more) run(theirs, command);
  assertEquals(links(theirs), links(ours), more.join("\n"));
  for (const show of ["-j fdb show br br0", "-j -compressvlans vlan show"]) {
    assertEquals(bridgeCommand(theirs, show), bridgeCommand(ours, show), more.join("\n"));
  }
});
