import { assertEquals } from "@std/assert";
import { Ipvtap } from "../../mod.ts";
import { parseFrame, Wire } from "./wire.ts";
import { HOSTS, Rig, SWITCH } from "./rig.ts";
import { deviceTest } from "./tap.ts";
import { ETH_P, frame, packet } from "./wire.ts";

const OTHER = "02:00:00:00:00:01";

deviceTest("ipvtap", "openDevice() of an ipvtap carries a frame each way", async () => {
  await using rig = new Rig();
  const { scope, hosts: [netns], parent } = rig;
  const [address, addresses] = [HOSTS[0], [`${HOSTS[0]}/24`]];
  const common = { scope, name: "tap0", netns, parent, up: true } as const;
  const link = Ipvtap.create({ ...common, mode: "l2", addresses });
  using device = link.openDevice();
  using outside = new Wire(rig.outside, rig.port);
  const mac = parent.read().mac!;
  outside.send(frame(mac, OTHER, packet(SWITCH, address), ETH_P.IP));
  const buffer = new Uint8Array(2048);
  let ip;
  do ip = parseFrame(buffer.subarray(0, await device.read(buffer))).ip; while (ip?.to !== address);
  assertEquals(ip.from, SWITCH);
  await device.write(frame(OTHER, mac, packet(address, SWITCH), ETH_P.IP));
  const answer = await outside.until((it) => it.ip?.from === address);
  assertEquals([answer.to, answer.ip?.to], [OTHER, SWITCH]);
}, "ipvtap");
