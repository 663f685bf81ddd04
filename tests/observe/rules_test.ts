import { assertEquals } from "@std/assert";
import { connectionTo } from "../../src/netlink/connections.ts";
import { monitor } from "../../src/observe/monitor.ts";
import { dumpPolicyRules, newPolicyRule } from "../../src/rtnetlink/rule.ts";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { collect, inNetNs, line, Replica, snapshotOf } from "./lab.ts";

const WATCHED = { rules: true, links: true };

test("monitor() reports each change of a policy rule once", () =>
  inNetNs(async (ref) => {
    await using events = monitor({ netns: { ref }, ...WATCHED });
    const snapshot = await snapshotOf(events);
    assertEquals(snapshot.rules, connectionTo(ref).dump(dumpPolicyRules()));
    const replica = new Replica(snapshot);
    const lines = async () => {
      const seen = await collect(events, ref);
      for (const event of seen) replica.apply(event);
      const sorted = (rules: readonly object[]) => rules.map((it) => JSON.stringify(it)).sort();
      assertEquals(
        sorted(replica.tables.rules),
        sorted(connectionTo(ref).dump(dumpPolicyRules())),
      );
      return seen.filter(({ type }) => type === "rule").map(line);
    };
    ip(ref, "rule add priority 100 from 10.0.0.0/8 lookup 7");
    ip(ref, "-6 rule add priority 200 from fd00::/8 lookup 7");
    assertEquals(await lines(), ["rule add inet 100", "rule add inet6 200"]);
    ip(ref, "rule del priority 100");
    assertEquals(await lines(), ["rule remove inet 100"]);
  }));

test("monitor() reports the state of policy rules, which the kernel changes silently", () =>
  inNetNs(async (ref) => {
    await using events = monitor({ netns: { ref }, ...WATCHED });
    await snapshotOf(events);
    const lines = async () =>
      (await collect(events, ref)).filter(({ type }) => type === "rule").map(line);
    ip(ref, "rule add priority 100 iif br0 lookup 7");
    ip(ref, "rule add priority 110 goto 300");
    await lines();
    ip(ref, "link add br0 type bridge");
    assertEquals(await lines(), ["rule change inet 100 flags"]);
    ip(ref, "rule add priority 300 from 10.0.0.0/8 lookup 7");
    assertEquals((await lines()).sort(), ["rule add inet 300", "rule change inet 110 flags"]);
    ip(ref, "link delete br0");
    ip(ref, "rule delete priority 300");
    assertEquals((await lines()).sort(), [
      "rule change inet 100 flags",
      "rule change inet 110 flags",
      "rule remove inet 300",
    ]);
  }));

test("monitor() reports the removal of a policy rule that was there twice when the last one goes", () =>
  inNetNs(async (ref) => {
    await using events = monitor({ netns: { ref }, ...WATCHED });
    await snapshotOf(events);
    const lines = async () => (await collect(events, ref)).map(line);
    const rule = newPolicyRule({ priority: 100, from: "10.0.0.0/8", table: 7 });
    for (let i = 0; i < 2; i++) connectionTo(ref).request({ ...rule, flags: 0x400 }); // no NLM_F_EXCL
    assertEquals(await lines(), ["rule add inet 100"]);
    ip(ref, "rule del priority 100");
    assertEquals(await lines(), []);
    ip(ref, "rule del priority 100");
    assertEquals(await lines(), ["rule remove inet 100"]);
  }));
