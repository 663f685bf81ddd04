import { assertEquals } from "@std/assert";
import { Macvtap } from "../../mod.ts";
import { Rig } from "./rig.ts";
import { deviceTest, Tap } from "./tap.ts";
import { ETH_P, frame, textOf, Wire } from "./wire.ts";

const OTHER = "02:00:00:00:00:01";

for (const mode of ["bridge", "vepa", "private", "passthru"] as const) {
  deviceTest("macvtap", `macvtap ${mode}: its device carries a frame each way`, async () => {
    await using rig = new Rig();
    const { scope, hosts: [netns], parent } = rig;
    const link = Macvtap.create({ scope, name: "tap0", netns, parent, mode, up: true });
    const mac = link.read().mac!;
    using tap = new Tap(netns, link);
    using outside = new Wire(rig.outside, rig.port);

    outside.send(frame(mac, OTHER, "hello"));
    const { to, from, type } = await tap.until((it) => textOf(it) === "hello");
    assertEquals({ to, from, type }, { to: mac, from: OTHER, type: ETH_P.TEST });

    tap.send(frame(OTHER, mac, "answer"));
    const answer = await outside.until((it) => textOf(it) === "answer");
    assertEquals([answer.to, answer.from], [OTHER, mac]);
  });
}

deviceTest("macvtap", "macvtap source: its device has frames of listed senders only", async () => {
  await using rig = new Rig();
  const { scope, hosts: [netns], parent } = rig;
  const link = Macvtap.create({
    scope,
    name: "tap0",
    netns,
    parent,
    mode: "source",
    macs: [OTHER],
    up: true,
  });
  using tap = new Tap(netns, link);
  using outside = new Wire(rig.outside, rig.port);
  outside.send(frame(link.read().mac!, "02:00:00:00:00:02", "stranger"));
  outside.send(frame(link.read().mac!, OTHER, "friend"));
  await tap.until((it) => textOf(it) === "friend");
  assertEquals(tap.drain().filter((it) => textOf(it) === "stranger").length, 0);
});

deviceTest("macvtap", "Two macvtaps in two namespaces have devices of their own", async () => {
  await using rig = new Rig();
  const { scope, hosts, parent } = rig;
  const links = hosts.map((netns) =>
    Macvtap.create({ scope, name: "tap0", netns, parent, mode: "bridge", up: true })
  );
  using first = new Tap(hosts[0], links[0]!);
  using second = new Tap(hosts[1], links[1]!);
  const [a, b] = links.map((link) => link.read().mac!) as [string, string];
  first.send(frame(b, a, "to the second"));
  second.send(frame(a, b, "to the first"));
  await second.until((it) => textOf(it) === "to the second");
  await first.until((it) => textOf(it) === "to the first");
});
