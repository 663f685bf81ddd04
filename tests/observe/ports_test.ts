import { assert, assertEquals } from "@std/assert";
import { bridge, ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import type { LinkInfo } from "../../src/rtnetlink/link_info.ts";
import { monitor } from "../../src/observe/monitor.ts";
import { collect, inNetNs, line, snapshotOf } from "./lab.ts";

const portOf = (link: LinkInfo) => link.port?.kind === "bridge" ? link.port.options : undefined;

test("monitor() reports the state of bridge ports in their links", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add br0 type bridge");
    ip(ref, "link add v0 type veth peer name v1");
    ip(ref, "link set v1 master br0");
    for (const name of ["br0", "v0", "v1"]) ip(ref, `link set ${name} up`);
    await using events = monitor({ netns: { ref }, links: true });
    await snapshotOf(events);
    await collect(events, ref);

    for (const [number, name] of [[1, "listening"], [2, "learning"], [3, "forwarding"]] as const) {
      bridge(ref, `link set dev v1 state ${number}`);
      const ofPort = (await collect(events, ref)).filter((event) =>
        event.type === "link" && event.link.name === "v1"
      );
      assertEquals(ofPort.map(line), ["link change v1 port"]);
      const [event] = ofPort;
      assert(event?.type === "link" && event.action === "change");
      assertEquals(portOf(event.link)?.state, name);
      assert(portOf(event.previous)?.state !== name);
      assertEquals(event.link.kind, "veth");
    }
    ip(ref, "link set v1 type bridge_slave cost 77");
    const costs = (await collect(events, ref)).flatMap((event) =>
      event.type === "link" && event.link.name === "v1" ? [portOf(event.link)?.cost] : []
    );
    assertEquals(costs, [77]);
  }));

test("monitor() does not mistake messages about bridge ports for new or removed links", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add br0 type bridge");
    ip(ref, "link add v0 type veth peer name v1");
    await using events = monitor({ netns: { ref }, links: true });
    await snapshotOf(events);
    ip(ref, "link set v1 master br0");
    ip(ref, "link set v1 nomaster");
    const seen = await collect(events, ref);
    assert(seen.every((event) => event.type === "link" && event.action === "change"));
    const masters = seen.flatMap((event) =>
      event.type === "link" && event.action === "change" && event.changed.includes("master")
        ? [event.link.master ?? 0]
        : []
    );
    assertEquals(masters.length, 2);
    const last = seen.findLast((event) => event.type === "link" && event.link.name === "v1");
    assert(last?.type === "link" && last.link.port === undefined);
  }));
