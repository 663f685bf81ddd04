// Network cards of the machine. A guest of the kernel matrix has a spare one, named by NETLOOM_SPARE_NIC.
// QEMU answers behind it as 10.0.2.2.
import { assertEquals, assertThrows } from "@std/assert";
import { Link, NetNs, Scope } from "@netloom/netloom";
import { homeNetNs } from "../../ffi/namespace.ts";
import { ip, type Json } from "../helpers.ts";
import { test } from "../leaks.ts";
import { start } from "../script.ts";

const nic = Deno.env.get("NETLOOM_SPARE_NIC") ?? "";
const GATEWAY = "10.0.2.2";
const ADDRESS = "10.0.2.15";

function spareTest(name: string, fn: () => Promise<void>): void {
  test(name, { lacks: nic === "" ? "no network card to spare" : undefined }, fn);
}

/** The card in the namespace of the machine, as `ip` shows it. */
function card(): Json {
  const [{ ifindex: _, ...rest }] = ip(homeNetNs(), `-d -j address show dev ${nic}`) as [Json];
  return rest;
}

/** Waits until the card is there again: the end of a namespace is asynchronous. */
async function home(): Promise<Json> {
  for (let i = 0;; i++) {
    try {
      return card();
    } catch (error) {
      if (i === 500) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Fails unless the card is in the namespace, with its own MAC and all it was given, and carries packets. */
async function assertUsable(netns: NetNs, before: Json): Promise<void> {
  assertThrows(card, Error, "does not exist");
  const [there] = ip(netns.ref, `-j address show dev ${nic}`) as [Json];
  const addresses = (there.addr_info as Json[]).filter(({ family }) => family === "inet");
  assertEquals(there.address, before.address);
  assertEquals((there.flags as string[]).includes("UP"), true);
  assertEquals(addresses.map(({ local }) => local), [ADDRESS]);
  assertEquals((await netns.ping(GATEWAY)).loss, 0);
}

spareTest("A network card moves into a namespace, and is home when that is dropped", async () => {
  const before = card();
  {
    await using netns = NetNs.create();
    using link = Link.get(nic);
    link.move(netns).up();
    link.addresses.add(`${ADDRESS}/24`);
    await assertUsable(netns, before);
  }
  assertEquals(await home(), before);
});

spareTest("A scope gives a network card back, and does not delete it", async () => {
  const before = card();
  {
    await using scope = Scope.open();
    const netns = NetNs.create(undefined, { scope });
    const link = Link.get(nic);
    link.move(netns).up();
    link.addresses.add(`${ADDRESS}/24`);
    await assertUsable(netns, before);
  }
  assertEquals(await home(), before);
});

/** Moves the card into a namespace and stays. */
const holder = (making: string) => `
  import { Link, NetNs, Scope } from "./mod.ts";
  ${making}
  const link = Link.get("${nic}").move(netns).up();
  link.addresses.add("${ADDRESS}/24");
  console.log("moved");
  setInterval(() => {}, 1000);
`;

spareTest("A network card is home when the owner of its namespace is killed", async () => {
  const before = card();
  await using running = await start(holder("const netns = NetNs.create();"));
  await running.writes("moved");
  running.kill("SIGKILL");
  await running.end();
  assertEquals(await home(), before);
});

spareTest("A network card in a killed scope is home when the scope is replaced", async () => {
  const before = card();
  await using running = await start(holder(`
    const scope = Scope.open({ name: "spare-nic" });
    const netns = NetNs.create("spare-nic", { scope });
  `));
  await running.writes("moved");
  running.kill("SIGKILL");
  await running.end();
  {
    using netns = NetNs.open("spare-nic");
    await assertUsable(netns, before);
  }
  {
    await using _replacing = Scope.open({ name: "spare-nic", replace: true });
  }
  assertEquals(await home(), before);
});
