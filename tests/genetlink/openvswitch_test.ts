import { assertEquals, assertThrows } from "@std/assert";
import {
  deleteOvsDatapath,
  getOvsDatapath,
  newOvsDatapath,
} from "../../src/genetlink/ovs_datapath.ts";
import { newOvsFlow } from "../../src/genetlink/ovs_flow.ts";
import { deleteOvsVport, getOvsVport, newOvsVport } from "../../src/genetlink/ovs_vport.ts";
import { bodyOf, readReply } from "../helpers.ts";

Deno.test("newOvsDatapath() makes a datapath that drops what has no flow", () => {
  assertEquals(
    bodyOf(newOvsDatapath(30, "dp0")),
    "01020000 00000000 08000100 64703000 08000200 00000000 08000500 00000000",
  );
});

Deno.test("getOvsDatapath() reads the index", () => {
  const reply = "01020000 07000000 08000100 64703000";
  assertEquals(readReply(getOvsDatapath(30, "dp0"), reply), { index: 7 });
});

Deno.test("newOvsVport() adds a link, or makes one", () => {
  const pid = "08000500 00000000";
  const add = (type: "netdev" | "internal") => bodyOf(newOvsVport(31, 7, { name: "v0", type }));
  assertEquals(add("netdev"), `01010000 07000000 07000300 76300000 08000200 01000000 ${pid}`);
  assertEquals(add("internal"), `01010000 07000000 07000300 76300000 08000200 02000000 ${pid}`);
});

Deno.test("getOvsVport() reads number, type, name and index", () => {
  const reply = `01010000 07000000
    08000100 02000000 08000200 02000000 07000300 76300000 08000800 09000000`;
  assertEquals(readReply(getOvsVport(31, 7, "v0"), reply), {
    number: 2,
    type: "internal",
    name: "v0",
    index: 9,
  });
});

Deno.test("newOvsFlow() matches the port alone", () => {
  const zeros = "00000000 00000000 00000000";
  const key = `08000300 01000000 10000400 ${zeros}`;
  const mask = `08000300 ffffffff 10000400 ${zeros}`;
  const actions = "14000280 08000100 02000000 08000100 03000000";
  assertEquals(
    bodyOf(newOvsFlow(32, 7, { inPort: 1, output: [2, 3] })),
    `01010000 07000000 1c000180 ${key} 1c000780 ${mask} ${actions}`,
  );
});

Deno.test("Requests to Open vSwitch tell what ovs-dpctl would do", () => {
  assertEquals(
    [
      newOvsDatapath(30, "dp0"),
      newOvsVport(31, 7, { name: "v0", type: "internal" }),
      newOvsFlow(32, 7, { inPort: 1, output: [2, 3] }),
      newOvsFlow(32, 7, { inPort: 4, output: [] }),
      deleteOvsVport(31, 7, "v0"),
      deleteOvsDatapath(30, "dp0"),
    ].map((request) => request.command()),
    [
      "ovs-dpctl add-dp dp0",
      "ovs-dpctl add-if if7 v0,type=internal",
      "ovs-dpctl add-flow if7 'in_port(1),eth()' 2,3",
      "ovs-dpctl add-flow if7 'in_port(4),eth()' drop",
      "ovs-dpctl del-if if7 v0",
      "ovs-dpctl del-dp dp0",
    ],
  );
});

Deno.test("Requests to Open vSwitch refuse names and numbers out of range", () => {
  assertThrows(() => bodyOf(newOvsDatapath(30, "x".repeat(16))), RangeError, "name");
  const flow = { inPort: -1, output: [1] };
  assertThrows(() => bodyOf(newOvsFlow(32, 7, flow)), RangeError, "inPort");
});
