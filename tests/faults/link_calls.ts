// The calls that create, change and remove links, namespaces, their tables, and devices.
import { assertEquals } from "@std/assert";
import {
  Bond,
  Bridge,
  Dummy,
  Ifb,
  Ipvlan,
  Ipvtap,
  Link,
  Macvlan,
  Macvtap,
  NetNs,
  PacketSocket,
  RawSocket,
  Scope,
  Tap,
  Tun,
  UdpSocket,
  Veth,
  Vlan,
  Vrf,
  Vxlan,
} from "../../mod.ts";
import type { BridgeVlans } from "../../src/link/bridge.ts";
import * as brctl from "../../src/link/brctl.ts";
import { addAltNames } from "../../src/rtnetlink/link.ts";
import { ROUTING_CALLS } from "./routing_calls.ts";
import { withoutKind } from "../link/oracle.ts";
import { asDisposable, type Call, MAC, NAME, type Place } from "./trial.ts";

const everything = {
  mac: "02:00:00:00:00:11",
  up: true,
  alias: "alias",
  altNames: ["another-name"],
  addresses: ["10.5.0.1/24"],
};

const macvlan = withoutKind("macvlan");

export const LINK_CALLS: Readonly<Record<string, Call>> = {
  ...ROUTING_CALLS,
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
  "Vlan.create()": {
    make: ({ near, bridge }) =>
      Vlan.create({ name: "new", netns: near, parent: bridge, id: 7, ...everything }),
    lacks: withoutKind("vlan"),
  },
  "Vxlan.create()": {
    make: ({ near }) => Vxlan.create({ name: "new", netns: near, id: 7, ...everything }),
    lacks: withoutKind("vxlan"),
  },
  "Ipvlan.create()": {
    make: ({ near, veth }) =>
      Ipvlan.create({ name: "new", netns: near, parent: veth.peer, up: true, alias: "alias" }),
    prepare: ({ veth, near }) => void veth.peer.move(near),
    lacks: withoutKind("ipvlan"),
  },
  "Vrf.create()": {
    make: ({ near }) =>
      Vrf.create({ name: "new", netns: near, table: 100, up: true, alias: "alias" }),
    lacks: withoutKind("vrf"),
  },
  "Bond.create()": {
    make: ({ near }) =>
      Bond.create({ name: "new", netns: near, mode: "active-backup", up: true, alias: "alias" }),
    lacks: withoutKind("bond"),
  },
  "Bond.set()": {
    prepare: ({ near }) => void Bond.create({ name: "b0", netns: near, mode: "active-backup" }),
    make: ({ near }) => void Bond.get("b0", { netns: near }).set({ miimon: 100, alias: "b" }),
    lacks: withoutKind("bond"),
  },
  "Ipvtap.create(), Ipvtap.openDevice()": {
    prepare: ({ veth, near }) => void veth.peer.move(near),
    make: ({ near, veth }) => {
      using stack = new DisposableStack();
      const ipvtap = stack.use(Ipvtap.create({ name: "new", netns: near, parent: veth.peer }));
      stack.use(ipvtap.openDevice());
      return stack.move();
    },
    lacks: withoutKind("ipvtap"),
  },
  "Dummy.create()": {
    make: ({ near }) => Dummy.create({ name: "new", netns: near, ...everything }),
    lacks: withoutKind("dummy"),
  },
  "Macvtap.create()": {
    make: ({ near, bridge }) =>
      Macvtap.create({ name: "new", netns: near, parent: bridge, ...everything }),
    lacks: withoutKind("macvtap"),
  },
  "MacvlanMacs of a source mode": {
    prepare: ({ near, bridge }) =>
      void Macvlan.create({ name: "m", netns: near, parent: bridge, mode: "source", macs: [MAC] }),
    make: ({ near }) => {
      const { macs } = Macvlan.get("m", { netns: near });
      macs.add("02:00:00:00:00:21");
      macs.replace(["02:00:00:00:00:22", MAC]);
      macs.delete(MAC);
      macs.flush();
    },
    parts: true,
    lacks: macvlan,
  },
  "VxlanFdb of a remote": {
    prepare: ({ near }) => void Vxlan.create({ name: "x", netns: near, id: 7, mac: MAC }),
    make: ({ near }) => {
      const { fdb } = Vxlan.get("x", { netns: near });
      fdb.add({ mac: "02:00:00:00:00:21", dst: "192.0.2.1" });
      fdb.replace({ mac: "02:00:00:00:00:21", dst: "192.0.2.2" });
      fdb.delete({ mac: "02:00:00:00:00:21", dst: "192.0.2.2" });
      fdb.flush();
    },
    parts: true,
    lacks: withoutKind("vxlan"),
  },
  "MacvlanLink.set()": {
    prepare: ({ near, bridge }) =>
      void Macvlan.create({ name: "m", netns: near, parent: bridge, mode: "bridge", mac: MAC }),
    make: ({ near }) => void Macvlan.get("m", { netns: near }).set({ mode: "vepa", mtu: 1400 }),
    lacks: macvlan,
  },
  "Vxlan.set()": {
    prepare: ({ near }) => void Vxlan.create({ name: "x", netns: near, id: 7, mac: MAC }),
    make: ({ near }) => void Vxlan.get("x", { netns: near }).set({ learning: false, alias: "x" }),
    lacks: withoutKind("vxlan"),
  },
  "Vlan.set()": {
    prepare: ({ near, bridge }) =>
      void Vlan.create({ name: "v7", netns: near, parent: bridge, id: 7 }),
    make: ({ near }) => void Vlan.get("v7", { netns: near }).set({ mtu: 1400, alias: "seven" }),
    lacks: withoutKind("vlan"),
  },
  "IpvlanLink.set()": {
    prepare: ({ near, veth }) => {
      veth.peer.move(near);
      Ipvlan.create({ name: "i0", netns: near, parent: veth.peer });
    },
    make: ({ near }) => void Ipvlan.get("i0", { netns: near }).set({ mode: "l2", alias: "i" }),
    lacks: withoutKind("ipvlan"),
  },
  "Link.up()": {
    prepare: ({ bridge }) => void bridge.down(),
    make: ({ bridge }) => void bridge.up(),
  },
  "Link.deleteAltNames()": {
    prepare: ({ veth }) => void veth.addAltNames("one", "two"),
    make: ({ veth }) => void veth.deleteAltNames("one", "two"),
  },
  "addresses.replace()": {
    make: ({ bridge }) => void bridge.addresses.replace("10.2.0.1/24"),
  },
  "netns.addresses": {
    make: ({ near }) => void near.addresses.add({ address: "10.2.0.1/24", dev: "br0" }),
  },
  "netns.addresses.replace() of many": {
    make: ({ near }) => {
      near.addresses.replace([
        { address: "10.2.0.1/24", dev: "br0" },
        { address: "10.0.0.1/24", dev: "br0", label: "br0:x" },
      ]);
    },
  },
  "netns.addresses.delete()": {
    make: ({ near }) => void near.addresses.delete({ address: "10.0.0.1/24", dev: "br0" }),
  },
  "netns.addresses.flush()": { make: ({ near }) => void near.addresses.flush() },
  "routes.append()": {
    make: ({ near }) =>
      void near.routes.append({ destination: "10.1.0.0/16", gateway: "10.0.0.3", metric: 5 }),
  },
  "routes.add() of many": {
    make: ({ near }) => {
      near.routes.add([7, 8, 9].map((n) => ({ destination: `10.${n}.0.0/16`, dev: "br0" })));
    },
  },
  "neighbors.replace()": {
    make: ({ near }) => {
      near.neighbors.replace({ address: "10.0.0.9", lladdr: "02:00:00:00:00:31", dev: "br0" });
    },
  },
  "fdb.replace()": {
    make: ({ bridge }) => {
      bridge.fdb.replace([
        { mac: MAC, port: "v0", state: "static" },
        { mac: "02:00:00:00:00:31", port: "v0" },
      ]);
    },
  },
  "port.fdb.add()": {
    make: ({ bridge }) => void bridge.port("v0").fdb.add({ mac: "02:00:00:00:00:31" }),
  },
  "port.fdb.replace()": {
    make: ({ bridge }) => void bridge.port("v0").fdb.replace({ mac: MAC, state: "static" }),
  },
  "port.fdb.delete()": { make: ({ bridge }) => void bridge.port("v0").fdb.delete({ mac: MAC }) },
  "port.fdb.flush()": { make: ({ bridge }) => void bridge.port("v0").fdb.flush() },
  ...onPortVlans({
    "BridgeVlans.add()": (vlans) => vlans.add([{ vid: 7 }, { vid: 8, untagged: true }]),
    "BridgeVlans.replace()": (vlans) => vlans.replace([{ vid: 7 }, { vid: 20, untagged: true }]),
    "BridgeVlans.delete()": (vlans) => vlans.delete([{ vid: 20 }, { vid: 21 }]),
    "BridgeVlans.flush()": (vlans) => vlans.flush(),
  }),
  "NetNs.open()": {
    prepare: () => {
      using _handle = NetNs.create({ name: NAME }).persist();
    },
    make: () => NetNs.open(NAME),
  },
  "NetNs.idOf()": { make: ({ near, far }) => void near.idOf(far) },
  "NetNs.batch()": {
    make: ({ near }) => {
      const [result] = near.batch(({ add }) => add(addAltNames(1, ["batched"], 'link "lo"')));
      if (!result!.ok) throw result!.error;
    },
  },
  "NetNs.capture()": { make: ({ near }) => asDisposable(near.capture()) },
  "Tun.attach()": {
    prepare: ({ near }) => Tun.create({ name: "t0", netns: near, persistent: true }).close(),
    make: ({ near }) => Tun.attach("t0", { netns: near }),
  },
  "Tap.attach(), setFilter(), setOffloads()": {
    prepare: ({ near }) => {
      const options = { mac: MAC, persistent: true, multiQueue: true, vnetHdr: true };
      Tap.create({ name: "t0", netns: near, ...options }).close();
    },
    make: ({ near }) => {
      using stack = new DisposableStack();
      const tap = stack.use(Tap.attach("t0", { netns: near, vnetHdr: true }));
      tap.setFilter({ macs: [MAC] });
      tap.setOffloads(["checksum"]);
      tap.detach();
      tap.attach();
      return stack.move();
    },
  },
  "Tun.persist()": {
    make: ({ near }) => {
      const tun = Tun.create({ name: "t0", netns: near });
      try {
        tun.persist();
      } finally {
        tun.close();
      }
    },
    undo: ({ near }) => near.links.delete("t0"),
  },
  "Scope.close()": {
    prepare: (place) => {
      place.scope = Scope.open();
      Bridge.create({ scope: place.scope, name: "first", netns: place.near, mac: MAC });
      Bridge.create({ scope: place.scope, name: "second", netns: place.far, mac: MAC });
    },
    make: ({ scope }) => scope!.close(),
    parts: true, // the steps that did not fail are done
    // A second call does what failed in the first.
    check: ({ scope, near, far }) => {
      scope!.close();
      assertEquals(scope!.closed, true);
      assertEquals([near, far].flatMap((it) => it.links.list()).length, 5);
    },
  },
  "Scope.clean()": { make: () => void Scope.clean() },
  ...onBridge({
    "brctl.addbr()": (options) => brctl.addbr("new", options),
    "brctl.delbr()": (options) => {
      Link.get("br0", options).down();
      brctl.delbr("br0", options);
    },
    "brctl.addif(), delif()": (options) => {
      brctl.delif("br0", "v0", options);
      brctl.addif("br0", "v0", options);
    },
    "brctl.stp()": (options) => brctl.stp("br0", true, options),
    "brctl.setbridgeprio()": (options) => brctl.setbridgeprio("br0", 7, options),
    "brctl.setfd()": (options) => brctl.setfd("br0", 7, options),
    "brctl.sethello()": (options) => brctl.sethello("br0", 3, options),
    "brctl.setmaxage()": (options) => brctl.setmaxage("br0", 7, options),
    "brctl.setageing()": (options) => brctl.setageing("br0", 7, options),
    "brctl.setpathcost()": (options) =>
      brctl.setpathcost("br0", { ...options, port: "v0", cost: 7 }),
    "brctl.setportprio()": (options) =>
      brctl.setportprio("br0", { ...options, port: "v0", priority: 7 }),
    "brctl.hairpin()": (options) => brctl.hairpin("br0", { ...options, port: "v0", on: true }),
  }),
};

/** Calls of the VLANs of a port, which has two. */
function onPortVlans(calls: Readonly<Record<string, (vlans: BridgeVlans) => void>>) {
  const prepare = ({ bridge }: Place) => {
    bridge.set({ vlanFiltering: true });
    bridge.port("v0").vlans.add([{ vid: 20 }, { vid: 21 }]);
  };
  return Object.fromEntries(
    Object.entries(calls).map(([name, call]): [string, Call] => [name, {
      prepare,
      make: ({ bridge }) => call(bridge.port("v0").vlans),
      lacks: lacksVlans(),
    }]),
  );
}

function lacksVlans(): string | undefined {
  using netns = NetNs.create();
  const { vlanProtocol } = Bridge.create({ name: "probe", netns }).options();
  return vlanProtocol === undefined ? "this kernel has no VLANs of bridges" : undefined;
}

/** Calls of brctl; some are several steps, each of which may fail. */
function onBridge(calls: Readonly<Record<string, (options: { netns: NetNs }) => unknown>>) {
  return Object.fromEntries(
    Object.entries(calls).map(([name, call]): [string, Call] => [name, {
      make: ({ near }) => {
        const made = call({ netns: near });
        return made instanceof Bridge ? made : undefined;
      },
      parts: name.includes("delbr") || name.includes("addif"),
    }]),
  );
}
