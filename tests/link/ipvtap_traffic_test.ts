import { assert, assertEquals } from "@std/assert";
import { Ipvtap } from "../../mod.ts";
import { HOSTS, Rig, SWITCH } from "./rig.ts";
import { deviceTest, Tap } from "./tap.ts";
import { ETH_P, frame, packet, Wire } from "./wire.ts";

const OTHER = "02:00:00:00:00:01";

deviceTest("ipvtap", "ipvtap l2: its device carries a frame each way", async () => {
  await using rig = new Rig();
  const { scope, hosts: [netns], parent } = rig;
  const address = HOSTS[0];
  const link = Ipvtap.create({
    scope,
    name: "tap0",
    netns,
    parent,
    mode: "l2",
    up: true,
    addresses: [`${address}/24`],
  });
  const mac = parent.read().mac!;
  assertEquals(link.read().mac, mac);
  using tap = new Tap(netns, link);
  using outside = new Wire(rig.outside, rig.port);

  // Told apart by IP address: one for another address stays with the parent.
  outside.send(frame(mac, OTHER, packet(SWITCH, HOSTS[1]), ETH_P.IP));
  outside.send(frame(mac, OTHER, packet(SWITCH, address), ETH_P.IP));
  const { to, from } = await tap.until(({ ip }) => ip?.to === address);
  assertEquals([to, from], [mac, OTHER]);
  assertEquals(tap.drain().filter(({ ip }) => ip?.to === HOSTS[1]).length, 0);

  tap.send(frame(OTHER, mac, packet(address, SWITCH), ETH_P.IP));
  const answer = await outside.until(({ ip }) => ip?.from === address);
  assertEquals([answer.to, answer.from, answer.ip?.to], [OTHER, mac, SWITCH]);
  assert(answer.payload.length >= 24);
}, "ipvtap");
