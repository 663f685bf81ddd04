import type { Field } from "../../src/netlink/attribute.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { newNetNs } from "../../ffi/namespace.ts";
import {
  Bridge,
  type BridgePort,
  type BridgePortInfo,
  type BridgePortOptions,
  type BridgePortSettings,
  Link,
  NetlinkError,
  Veth,
} from "../../mod.ts";
import { bridgePortSchema } from "../../src/rtnetlink/link_kinds/bridge_port.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { newLink } from "../../src/rtnetlink/link.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { BACKUP_PORT, lasting, PORT_ROWS, type Row, until } from "./bridge_table.ts";

const ERRORS = { RangeError, TypeError };

type Ref = ReturnType<typeof newNetNs>;

/** A namespace with the bridge `br0`, and a port `backup` on it. */
class Lab implements Disposable {
  readonly ref: Ref = newNetNs("test");
  readonly bridge: Bridge;

  constructor() {
    const netns = { ref: this.ref };
    this.bridge = Bridge.create({ name: "br0", netns });
    const backup = { name: "backup", index: BACKUP_PORT, linkInfo: { kind: "veth" } };
    connectionTo(this.ref).request(newLink(backup));
    this.bridge.addPort("backup");
  }

  /** Makes `v0`, a port with these options, and its other end `v1`. */
  port(port: BridgePortOptions = {}): BridgePort {
    const netns = { ref: this.ref };
    Veth.create({ name: "v0", netns, master: this.bridge, port, peer: { name: "v1", netns } });
    return this.bridge.port("v0");
  }

  /** The options of `v0` as iproute2 shows them. */
  shown(name = "v0"): Json {
    const [link] = ip(this.ref, `-d -j link show dev ${name}`) as {
      linkinfo: { info_slave_data: Json };
    }[];
    return link!.linkinfo.info_slave_data;
  }

  links(): unknown {
    return lasting(ip(this.ref, "-d -j link"));
  }

  [Symbol.dispose](): void {
    this.ref.close();
  }
}

function read(port: BridgePort, { option }: Row<BridgePortOptions>): unknown {
  return port.options()[option];
}

/** What the kernel says of a port with nothing set: options it lacks are not there. */
const defaults: BridgePortInfo = (() => {
  using lab = new Lab();
  return lab.port({ backupPort: BACKUP_PORT }).options();
})();

/** Shown only where it is set; of Linux 6.6, as is nothing that is always shown. */
const hasBackupNhid = (() => {
  using lab = new Lab();
  try {
    lab.port({ backupNhid: 1 });
    return true;
  } catch {
    return false;
  }
})();

function supported({ option }: Row<BridgePortOptions>): boolean {
  return option === "backupNhid" ? hasBackupNhid : defaults[option] !== undefined;
}

test("PORT_ROWS has every option of a port", () => {
  const known = Object.entries<Field<unknown>>(bridgePortSchema.fields as never)
    .filter(([, { write }]) => !/is read only|is for BridgePort.set/.test(errorOf(write)))
    .map(([key]) => key);
  assertEquals([...PORT_ROWS.map(({ option }) => option), "fdbFlush"].sort(), known.sort());
});

function errorOf(write: unknown): string {
  try {
    (write as (...args: unknown[]) => void)({}, undefined, "it");
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

for (const row of PORT_ROWS) {
  const { option, value, beside, words } = row;
  const options = { ...beside, [option]: value } as BridgePortOptions;

  if (supported(row)) {
    test(`a port gets ${option} at its creation, and iproute2 agrees`, () => {
      using lab = new Lab();
      assertEquals(read(lab.port(options), row), value);
      if (row.shown) assertEquals(lab.shown()[row.shown[0]], row.shown[1]);
    });

    test(`the inner end of a veth gets ${option} at its creation`, () => {
      using lab = new Lab();
      const netns = { ref: lab.ref };
      const peer = { name: "v1", netns, master: lab.bridge, port: options };
      Veth.create({ name: "v0", netns, master: lab.bridge, peer });
      assertEquals(read(lab.bridge.port("v1"), row), value);
      if (row.shown) assertEquals(lab.shown("v1")[row.shown[0]], row.shown[1]);
    });

    test(`BridgePort.set() changes ${option} and changes it back, and iproute2 agrees`, () => {
      using lab = new Lab();
      const port = lab.port(beside);
      const before = row.shown && lab.shown()[row.shown[0]];
      assertEquals(read(port, row), row.initial);
      port.set(options);
      assertEquals(read(port, row), value);
      if (row.shown) assertEquals(lab.shown()[row.shown[0]], row.shown[1]);
      port.set({ [option]: row.initial ?? 0 });
      assertEquals(read(port, row), row.initial);
      if (row.shown) assertEquals(lab.shown()[row.shown[0]], before);
    });

    if (words) {
      test(`BridgePort.options() reads the ${option} that iproute2 has set`, () => {
        using lab = new Lab();
        const port = lab.port(beside);
        run(lab.ref, `ip link set dev v0 type bridge_slave ${words}`);
        assertEquals(read(port, row), value);
      });
    }
  } else {
    test(`a port refuses ${option} where the kernel does not have it`, () => {
      using lab = new Lab();
      const before = lab.links();
      assertThrows(() => lab.port(options), NetlinkError);
      assertEquals(lab.links(), before);
      assertThrows(() => lab.bridge.port("backup").set({ [option]: value }), NetlinkError);
    });
  }

  test(`a port names ${option} and a bad value, and leaves nothing`, () => {
    using lab = new Lab();
    const netns = { ref: lab.ref };
    const port = lab.bridge.port("backup");
    const before = lab.links();
    for (const [bad, kind] of row.bad) {
      const options = { [option]: bad } as BridgePortOptions;
      const own = { master: lab.bridge, port: options };
      const attempts = [
        () => lab.port(options),
        () => Veth.create({ name: "v0", netns, peer: { name: "v1", netns, ...own } }),
        () => Link.create({ kind: "veth", name: "v0", netns, ...own }),
        () => port.set({ alias: "it", ...options }),
        () => port.set({ alias: "it", port: options }),
      ];
      for (const attempt of attempts) {
        const { message } = assertThrows(attempt, ERRORS[kind]);
        assertStringIncludes(message, option);
        assertStringIncludes(message, typeof bad === "string" ? JSON.stringify(bad) : `${bad}`);
      }
    }
    assertEquals(lab.links(), before);
  });
}

test("a port gets all options at once, and iproute2 agrees", () => {
  using lab = new Lab();
  const rows = PORT_ROWS.filter(supported);
  const options = Object.fromEntries(rows.map(({ option, value }) => [option, value]));
  // With mab a port has to learn.
  options.learning = true;
  const port = lab.port(options);
  const data = lab.shown();
  for (const row of rows) {
    if (row.option === "learning") continue;
    assertEquals(read(port, row), row.value, row.option);
    if (row.shown) assertEquals(data[row.shown[0]], row.shown[1], row.option);
  }
});

test("BridgePort.options() reads the state of the spanning tree as iproute2 does", () => {
  using lab = new Lab();
  const port = lab.port();
  const { state, id, no, designatedPort, designatedCost, rootId, bridgeId } = port.options();
  const data = lab.shown();
  assertEquals(state, data.state);
  assertEquals([id, no], [Number(data.id), Number(data.no)]);
  assertEquals([designatedPort, designatedCost], [data.designated_port, data.designated_cost]);
  assertEquals([rootId, bridgeId], Array(2).fill(lab.bridge.options().bridgeId));
});

test("BridgePort.set() gives options to a new master, not to the old one", () => {
  using lab = new Lab();
  const port = lab.port({ cost: 5 });
  const other = Bridge.create({ name: "br1", netns: { ref: lab.ref } });
  port.set({ master: other, cost: 7, alias: "moved" });
  assertEquals([other.port("v0").options().cost, port.read().alias], [7, "moved"]);
  port.set({ master: lab.bridge, port: { hairpin: true } });
  assertEquals(lab.bridge.port("v0").options().hairpin, true);
  Link.get("v1", { netns: { ref: lab.ref } }).set({ master: other, port: { priority: 3 } });
  assertEquals(other.port("v1").options().priority, 3);
});

test("BridgePort.set() sets the state of a port that carries packets", async () => {
  using lab = new Lab();
  const port = lab.port();
  // No running delay shall move the state on.
  lab.bridge.set({ forwardDelay: 0, up: true });
  port.up();
  Link.get("v1", { netns: { ref: lab.ref } }).up();
  await until(() => port.options().state === "forwarding");
  const states: [NonNullable<BridgePortSettings["state"]>, string][] = [
    ["disabled", "disabled"],
    ["listening", "listening"],
    ["learning", "learning"],
    ["forwarding", "forwarding"],
    [1, "listening"],
  ];
  for (const [state, shown] of states) {
    port.set({ state, alias: `alias ${state}` });
    assertEquals([port.options().state, lab.shown().state], [shown, shown]);
  }
  run(lab.ref, "bridge link set dev v0 state 2");
  assertEquals(port.options().state, "learning");
  // Spanning tree is off: the kernel has no reason to block.
  assertThrows(
    () => port.set({ state: "blocking" }),
    NetlinkError,
    'asked for "blocking" and has "forwarding"',
  );
});

test("BridgePort.set() names a bad state, or one that the port cannot have", () => {
  using lab = new Lab();
  const port = lab.port();
  const before = lab.links();
  for (const [state, error] of [["open", TypeError], [5, RangeError], [null, TypeError]] as const) {
    const settings = { alias: "it", state } as unknown as BridgePortSettings;
    const { message } = assertThrows(() => port.set(settings), error);
    assertStringIncludes(message, "state");
    assertStringIncludes(message, JSON.stringify(state));
  }
  assertEquals(lab.links(), before);
  const error = assertThrows(() => port.set({ state: "listening" }), NetlinkError);
  assertEquals([error.code, error.operation], ["ENETDOWN", 'set state of port "v0"']);
  lab.bridge.set({ stp: true });
  assertEquals(assertThrows(() => port.set({ state: "disabled" }), NetlinkError).code, "EBUSY");
  const state = { state: "disabled" } as BridgePortOptions;
  for (const attempt of [() => lab.port(state), () => port.set({ port: state })]) {
    assertThrows(attempt, TypeError, 'Unknown option "port.state"');
  }
});

test("BridgePort.set() refuses what a port only reports, and unknown options", () => {
  using lab = new Lab();
  const port = lab.port();
  const options = ["rootId", "bridgeId", "no", "id", "holdTimer", "designatedCost", "mcastNGroups"];
  for (const option of options) {
    const settings = { [option]: 1 } as BridgePortOptions;
    assertThrows(() => port.set(settings), TypeError, `Unknown option "${option}"`);
  }
  const settings = { learningSync: true } as BridgePortOptions;
  assertThrows(() => port.set(settings), TypeError, 'Unknown option "learningSync"');
  assertThrows(() => port.set({ port: settings }), TypeError, 'Unknown option "port.learningSync"');
  assertEquals(lab.bridge.ports().length, 2);
});

test("BridgePort.set() passes the kernel's refusal on, with its words", () => {
  using lab = new Lab();
  const port = lab.port();
  const error = assertThrows(() => port.set({ backupPort: port.index }), NetlinkError);
  assertEquals(error.code, "EINVAL");
  assertStringIncludes(error.message, 'set backupPort of veth "v0"');
  assertEquals(port.options().backupPort, undefined);
});

test("BridgePort.set() with fdbFlush forgets what was learned on this port", async () => {
  using lab = new Lab();
  const netns = { ref: lab.ref };
  const [master, up] = [lab.bridge.up(), true];
  for (const n of [1, 2]) {
    Veth.create({ name: `a${n}`, netns, master, up, peer: { name: `b${n}`, netns, up } });
  }
  const ports = [1, 2].map((n) => master.port(`a${n}`));
  await until(() => ports.every((port) => port.options().state === "forwarding"));
  for (const [i, port] of ports.entries()) {
    port.fdb.add({ mac: `02:00:00:00:00:0${i}`, state: "dynamic" });
  }
  ports[0]!.set({ fdbFlush: true });
  const macs = master.fdb.list().map(({ mac }) => mac).filter((mac) => mac.startsWith("02:00:00"));
  assertEquals([...new Set(macs)], ["02:00:00:00:00:01"]);
});
