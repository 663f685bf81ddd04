/**
 * Every public call that creates, changes or removes something, with each of its system calls failing:
 * once, and from then on. Afterwards all is as before, or as asked for; never something between.
 */
import { assert, assertEquals } from "@std/assert";
import { ERRNO, KernelError } from "../../ffi/errno.ts";
import { removeFile } from "../../ffi/file.ts";
import { interceptCalls } from "../../ffi/libc.ts";
import { homeNetNs } from "../../ffi/namespace.ts";
import {
  Bridge,
  Ifb,
  Link,
  Macvlan,
  Macvtap,
  NetNs,
  PacketSocket,
  RawSocket,
  Scope,
  ScopeError,
  Tap,
  Tun,
  UdpSocket,
  Veth,
} from "../../mod.ts";
import type { DumpRequest } from "../../src/netlink/message.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import {
  dumpAddresses,
  dumpBridgeVlans,
  dumpFdb,
  dumpLinks,
  dumpNeighbors,
  dumpRoutes,
} from "../../src/rtnetlink/mod.ts";
import { added, descriptors, list, test } from "../leaks.ts";
import { withoutKind } from "../link/oracle.ts";

/** The name of what calls make. */
const NAME = "fault";
const MAC = "02:00:00:00:00:07";

/** Two namespaces, and in the first a bridge `br0` with the port `v0`, whose peer `v1` is in the other. */
class Place implements Disposable {
  readonly near: NetNs = NetNs.create();
  readonly far: NetNs = NetNs.create();
  readonly bridge: Bridge;
  readonly veth: Veth;
  /** For calls that need one. */
  scope: Scope | undefined;

  constructor() {
    for (const netns of [this.near, this.far]) {
      for (const which of ["all", "default"]) {
        netns.sysctl(`net.ipv6.conf.${which}.disable_ipv6`, 1); // Addresses would come later.
      }
    }
    const { near, far } = this;
    this.bridge = Bridge.create({ name: "br0", netns: near, mac: "02:00:00:00:00:01", up: true });
    this.veth = Veth.create({
      name: "v0",
      netns: near,
      master: this.bridge,
      mac: "02:00:00:00:00:02",
      up: true,
      peer: { name: "v1", netns: far, mac: "02:00:00:00:00:03", up: true },
    });
    this.bridge.addresses.add("10.0.0.1/24");
    near.routes.add({ destination: "10.1.0.0/16", gateway: "10.0.0.2" });
    near.neighbors.add({ address: "10.0.0.9", lladdr: MAC, dev: "br0" });
    this.bridge.fdb.add({ mac: MAC, port: "v0" });
  }

  /** All that there is, in lines; without what changes by itself, and numbers that are given anew. */
  state(): string[] {
    const lines = ["/run/netns", "/run/netloom"].flatMap(list).filter((it) => it.startsWith(NAME));
    for (const { ref } of [this.near, this.far]) {
      const connection = connectionTo(ref);
      for (
        const request of [
          dumpLinks(),
          dumpAddresses(),
          dumpRoutes(),
          dumpNeighbors(),
          dumpFdb(),
          dumpBridgeVlans(),
        ]
      ) {
        for (const entry of connection.dump(request as DumpRequest<object>)) {
          // The kernel's own, of multicast.
          if ("state" in entry && entry.state === "noarp") continue;
          lines.push(`${request.operation}: ${JSON.stringify(entry, plain)}`);
        }
      }
    }
    return lines;
  }

  [Symbol.dispose](): void {
    this.scope?.close();
    this.near[Symbol.dispose]();
    this.far[Symbol.dispose]();
    NetNs.delete(NAME);
    removeFile(`/run/netloom/${NAME}.jsonl`);
  }
}

/** Statistics, times, numbers that are given anew; carrier and what follows from it comes a moment later. */
const VOLATILE =
  /^(stats|lifetime|cacheInfo|used|operstate|index|oif|link|ifindex|probes)$|^carrier|Timer$/;
const CARRIER = ["RUNNING", "LOWER_UP", "linkdown"];

function plain(key: string, value: unknown): unknown {
  if (VOLATILE.test(key)) return undefined;
  if (["master", "parent", "peer"].includes(key)) return "another link";
  if (key === "flags" && Array.isArray(value)) return value.filter((it) => !CARRIER.includes(it));
  // Chosen at random.
  if (key === "mac" && !String(value).startsWith("02:00:00")) return "random";
  if (key === "group" && value !== 0) return "the scope's";
  return value;
}

interface Call {
  /** Makes what the call needs. */
  readonly prepare?: (place: Place) => void;
  /** The call; what it returns is disposed of, and with that what it made. */
  readonly make: (place: Place) => Disposable | void;
  /** Takes back what it did, when there is nothing to dispose of. */
  readonly undo?: (place: Place) => void;
  /** What else must hold afterwards. */
  readonly check?: (place: Place, failed: boolean) => void;
  readonly lacks?: string | undefined;
}

const everything = {
  mac: "02:00:00:00:00:11",
  up: true,
  alias: "alias",
  altNames: ["another-name"],
  addresses: ["10.5.0.1/24"],
};

const macvlan = withoutKind("macvlan");

const CALLS: Record<string, Call> = {
  "NetNs.create()": { make: () => NetNs.create() },
  "NetNs.create({ name })": { make: () => NetNs.create({ name: NAME }) },
  "NetNs.delete()": {
    prepare: () => {
      using _handle = NetNs.create({ name: NAME }).persist();
    },
    make: () => void NetNs.delete(NAME),
  },
  "Bridge.create()": {
    make: ({ near }) => Bridge.create({ name: "new", netns: near, stp: true, ...everything }),
  },
  "Link.create()": {
    make: ({ near }) => Link.create({ kind: "bridge", name: "new", netns: near, ...everything }),
  },
  "Veth.create()": {
    make: ({ near, far }) =>
      Veth.create({
        name: "new",
        netns: near,
        ...everything,
        peer: {
          name: "new",
          netns: far,
          mac: "02:00:00:00:00:12",
          up: true,
          addresses: ["10.5.0.2/24"],
          alias: "far",
        },
      }),
  },
  "Veth.create() of ports": {
    make: ({ near, far, bridge }) =>
      Veth.create({
        name: "new",
        netns: far,
        mac: MAC,
        peer: {
          name: "new",
          netns: near,
          mac: "02:00:00:00:00:12",
          master: bridge,
          port: { cost: 7 },
        },
      }),
  },
  "Macvlan.create()": {
    make: ({ near, bridge }) =>
      Macvlan.create({ name: "new", netns: near, parent: bridge, ...everything }),
    lacks: macvlan,
  },
  "Macvlan.create() elsewhere": {
    make: ({ far, bridge }) =>
      Macvlan.create({ name: "new", netns: far, parent: bridge, mac: "02:00:00:00:00:11" }),
    lacks: macvlan,
  },
  "Macvtap.openDevice()": {
    make: ({ near, bridge }) => {
      using stack = new DisposableStack();
      const macvtap = stack.use(
        Macvtap.create({ name: "new", netns: near, parent: bridge, mac: "02:00:00:00:00:11" }),
      );
      stack.use(macvtap.openDevice());
      return stack.move();
    },
    lacks: withoutKind("macvtap"),
  },
  "Ifb.create()": {
    make: ({ near }) => Ifb.create({ name: "new", netns: near, ...everything }),
    lacks: withoutKind("ifb"),
  },
  "Tun.create()": {
    make: ({ near }) =>
      Tun.create({ name: "new", netns: near, up: true, addresses: ["10.5.0.1/24"] }),
  },
  "Tap.create() of two queues": {
    make: ({ near }) => {
      using stack = new DisposableStack();
      const tap = stack.use(
        Tap.create({ name: "new", netns: near, mac: MAC, multiQueue: true, offloads: true }),
      );
      stack.use(tap.openQueue());
      return stack.move();
    },
  },
  "Link.set()": {
    make: ({ veth }) => void veth.set({ mtu: 1400, txqlen: 77, alias: "new" }),
    undo: ({ veth }) => void veth.set({ mtu: 1500, txqlen: 1000, alias: "" }),
  },
  "Bridge.set()": {
    make: ({ bridge }) => void bridge.set({ stp: true, ageingTime: 1000 }),
    undo: ({ bridge }) => void bridge.set({ stp: false, ageingTime: 30000 }),
  },
  "Link.down()": { make: ({ bridge }) => void bridge.down() },
  "Link.rename()": {
    prepare: ({ veth }) => void veth.down(), // kernels before 6.2 rename no other link
    make: ({ veth }) => void veth.rename("other"),
  },
  "Link.addAltNames()": { make: ({ veth }) => void veth.addAltNames("one", "two") },
  "Link.move()": { make: ({ veth, far }) => void veth.move(far) },
  "Link.delete()": { make: ({ bridge }) => void bridge.delete() },
  "Veth.delete()": { make: ({ veth }) => void veth.delete() },
  "Bridge.deletePort(), addPort()": {
    make: ({ bridge }) => void bridge.deletePort("v0"),
    undo: ({ bridge }) => void bridge.addPort("v0"),
  },
  "BridgePort.set()": {
    make: ({ bridge }) => void bridge.port("v0").set({ cost: 7, priority: 3 }),
  },
  "links.delete()": { make: ({ near }) => void near.links.delete(["v0", "br0"]) },
  "addresses.add()": {
    make: ({ bridge }) => void bridge.addresses.add(["10.2.0.1/24", "10.3.0.1/24"]),
    undo: ({ bridge }) => void bridge.addresses.delete(["10.2.0.1/24", "10.3.0.1/24"]),
  },
  "addresses.delete()": { make: ({ bridge }) => void bridge.addresses.delete("10.0.0.1/24") },
  "addresses.flush()": { make: ({ bridge }) => void bridge.addresses.flush() },
  "routes.add()": {
    make: ({ near }) => void near.routes.add({ destination: "10.7.0.0/16", gateway: "10.0.0.3" }),
    undo: ({ near }) => void near.routes.delete({ destination: "10.7.0.0/16" }),
  },
  "routes.replace()": {
    make: ({ near }) =>
      void near.routes.replace({ destination: "10.1.0.0/16", gateway: "10.0.0.3" }),
  },
  "routes.delete()": {
    make: ({ near }) => void near.routes.delete({ destination: "10.1.0.0/16" }),
  },
  "routes.flush()": { make: ({ near }) => void near.routes.flush() },
  "neighbors.add()": {
    make: ({ near }) => void near.neighbors.add({ address: "10.0.0.8", lladdr: MAC, dev: "br0" }),
    undo: ({ near }) => void near.neighbors.delete({ address: "10.0.0.8", dev: "br0" }),
  },
  "neighbors.delete()": {
    make: ({ near }) => void near.neighbors.delete({ address: "10.0.0.9", dev: "br0" }),
  },
  "neighbors.flush()": { make: ({ near }) => void near.neighbors.flush() },
  "fdb.add()": {
    make: ({ bridge }) => void bridge.fdb.add({ mac: "02:00:00:00:00:08", port: "v0" }),
    undo: ({ bridge }) => void bridge.fdb.delete({ mac: "02:00:00:00:00:08", port: "v0" }),
  },
  "fdb.delete()": { make: ({ bridge }) => void bridge.fdb.delete({ mac: MAC, port: "v0" }) },
  "fdb.flush()": { make: ({ bridge }) => void bridge.fdb.flush() },
  "sysctl()": {
    make: ({ near }) => void near.sysctl("net.ipv4.ip_forward", 1),
    undo: ({ near }) => void near.sysctl("net.ipv4.ip_forward", 0),
  },
  "Scope.open({ name })": { make: () => asDisposable(Scope.open({ name: NAME })) },
  "Veth.create() in a scope": {
    prepare: (place) => {
      place.scope = Scope.open();
      // A scope keeps a reference to each namespace that it has links in.
      for (const netns of [place.near, place.far]) {
        Bridge.create({ scope: place.scope, name: "first", netns, mac: MAC });
      }
    },
    make: ({ near, far, scope }) => {
      const peer = { name: "new", netns: far, mac: MAC, alias: "far" };
      Veth.create({
        scope: scope!,
        name: "new",
        netns: near,
        mac: MAC,
        alias: "near",
        peer,
      });
    },
    check: ({ scope }, failed) => assertEquals(scope!.links.length > 2, !failed),
  },
  "PacketSocket.open()": { make: ({ near }) => PacketSocket.open({ link: "br0", netns: near }) },
  "RawSocket.open()": { make: ({ near }) => RawSocket.open({ protocol: "icmp", netns: near }) },
  "UdpSocket.open()": {
    make: ({ near }) => UdpSocket.open({ local: "10.0.0.1", netns: near }),
  },
  "NetNs.monitor()": { make: ({ near }) => asDisposable(near.monitor()) },
  "Link.capture()": { make: ({ bridge }) => asDisposable(bridge.capture()) },
};

/** Something that is closed, as something that is disposed of. */
function asDisposable(thing: { close(): unknown }): Disposable {
  return { [Symbol.dispose]: () => void thing.close() };
}

/** Makes the `n`-th call into libc fail while `fn` runs, or all from there on; returns how many there were. */
function withFault(n: number, mode: "once" | "on", fn: () => void): number {
  const home = homeNetNs().fd.value;
  let count = 0;
  using _hook = interceptCalls((call, args) => {
    // A thread that cannot come back is beyond repair: NetNsRestoreError says so.
    if (call === "strerror" || call === "setns" && args[0] === home) return undefined;
    count++;
    if (n === 0 || (mode === "once" ? count !== n : count < n)) return undefined;
    return ["open", "openat", "socket"].includes(call) ? ERRNO.EMFILE : ERRNO.ENOMEM;
  });
  fn();
  return count;
}

/** A place that is as a call wants it, for one or more runs of the call. */
class Trial implements Disposable {
  readonly place: Place = new Place();
  readonly before: readonly string[];
  readonly #call: Call;
  #made: Disposable | void = undefined;

  constructor(call: Call) {
    this.#call = call;
    call.prepare?.(this.place);
    this.place.state(); // A socket in each namespace.
    this.before = this.place.state();
  }

  /** Makes the call with a fault, and tells what came of it. */
  run(
    n: number,
    mode: "once" | "on",
  ): { after: string[]; count: number; failure: unknown; leaked: string[] } {
    const open = descriptors();
    let count = 0;
    let failure: unknown;
    try {
      count = withFault(n, mode, () => this.#made = this.#call.make(this.place));
    } catch (error) {
      failure = error;
    }
    const after = this.place.state();
    const leaked = failure === undefined ? [] : difference(open, descriptors());
    return { after, count, failure, leaked };
  }

  /** Takes back what was done, and tells whether all is as before. */
  restored(): boolean {
    const { place } = this;
    this.#made?.[Symbol.dispose]();
    this.#made = undefined;
    const changed = () => difference(this.before, place.state()).length > 0;
    if (!changed()) return true;
    try {
      this.#call.undo?.(place);
    } catch (error) {
      // Done in part: then there is nothing to take back of the rest.
      if (!isTyped(error)) throw error;
    }
    return !changed();
  }

  [Symbol.dispose](): void {
    this.#made?.[Symbol.dispose]();
    this.place[Symbol.dispose]();
  }
}

/** The lines that only one of two states has. */
function difference(a: readonly string[], b: readonly string[]): string[] {
  return [
    ...added([...a], [...b]).map((line) => `+ ${line}`),
    ...added([...b], [...a]).map((line) => `- ${line}`),
  ];
}

function isTyped(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isTyped);
  if (error instanceof SuppressedError) return isTyped(error.error) && isTyped(error.suppressed);
  return error instanceof KernelError || error instanceof ScopeError;
}

for (const [name, call] of Object.entries(CALLS)) {
  test(
    `A fault in any system call of ${name} leaves nothing half-made`,
    { lacks: call.lacks },
    () => {
      let trial = new Trial(call);
      const { count, after } = trial.run(0, "once");
      assert(count > 0);
      for (const mode of ["once", "on"] as const) {
        for (let n = 1; n <= count; n++) {
          if (!trial.restored()) {
            trial[Symbol.dispose]();
            trial = new Trial(call);
          }
          const what = `${mode}, call ${n} of ${count}`;
          const { after: now, failure, leaked } = trial.run(n, mode);
          assert(failure === undefined || isTyped(failure), `${what}: ${Deno.inspect(failure)}`);
          const undone = difference(trial.before, now);
          const done = difference(after, now);
          // Where nothing works any more, nothing can be undone.
          if (failure === undefined) assertEquals(done, [], what);
          else if (mode === "once" && done.length > 0) {
            assertEquals(undone, [], `${what}: ${failure}`);
          }
          if (undone.length === 0) assertEquals(leaked, [], `${what}: ${failure}`);
          if (mode === "once") call.check?.(trial.place, failure !== undefined);
        }
      }
      trial[Symbol.dispose]();
    },
  );
}
