import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  capabilities,
  Link,
  NetlinkError,
  NetNs,
  supports,
  trace,
  UnsupportedError,
} from "../../mod.ts";
import { script } from "../script.ts";
import { test } from "../leaks.ts";
import { ip } from "../helpers.ts";
import { caught } from "./oracle.ts";

const KINDS = [
  "bridge",
  "dummy",
  "ifb",
  "ipvlan",
  "ipvtap",
  "macvlan",
  "macvtap",
  "veth",
  "vlan",
];

test("supports() says what iproute2 finds out by trying", () => {
  for (const kind of [...KINDS, "vxlan", "nonsense"]) {
    using netns = NetNs.create();
    let refusal = "";
    try {
      ip(netns.ref, `link add t0 type ${kind}`);
    } catch (error) {
      refusal = String(error);
    }
    assertEquals(supports(kind), !refusal.includes("Unknown device type"), `${kind}: ${refusal}`);
  }
});

test("supports() asks the kernel once for each kind, and leaves nothing behind", () => {
  supports("nlmon");
  const asked: string[] = [];
  using _trace = trace(({ command }) => asked.push(command));
  supports("nlmon");
  supports("bridge");
  assertEquals(asked, []);
});

test("supports() takes names of kinds only", () => {
  for (const kind of ["", "a b", "x".repeat(56), undefined, 5]) {
    assertThrows(() => supports(kind as string), TypeError, "kind must name a link kind");
  }
  assertEquals(supports("x".repeat(55)), false);
});

test("capabilities() tells the kernel's release and all kinds that netloom has a class for", () => {
  const { kernel, links } = capabilities();
  const uname = new Deno.Command("uname", { args: ["-r"] }).outputSync();
  assertEquals(kernel, new TextDecoder().decode(uname.stdout).trim());
  for (const kind of KINDS) assertEquals(links[kind], supports(kind), kind);
  assertEquals(Object.keys(links), Object.keys(links).sort());
});

test("Link.create() of a kind without a class says what brings it", () => {
  using netns = NetNs.create();
  const kind = ["gtp", "hsr", "nlmon", "wireguard"].find((kind) => !supports(kind));
  for (const [missing, brings] of [[kind, "CONFIG_"], ["nonsense", "alias rtnl-link-nonsense"]]) {
    if (missing === undefined) continue;
    const error = caught(() => Link.create({ kind: missing, name: "t0", netns }));
    assert(error instanceof UnsupportedError && error instanceof NetlinkError);
    assertEquals([error.kind, error.code, error.name], [missing, "EOPNOTSUPP", "UnsupportedError"]);
    assert(error.message.includes(brings!), error.message);
  }
  assertEquals(netns.links.list().length, 1);
});

test("A refused option is no UnsupportedError", () => {
  using netns = NetNs.create();
  const error = caught(() => Link.create({ kind: "bridge", name: "lo", netns }));
  assert(error instanceof NetlinkError && !(error instanceof UnsupportedError));
});

test("supports() without privileges is EPERM", async () => {
  const { code, stdout } = await script(
    `import { supports } from "./mod.ts";
     try { supports("veth"); } catch (error) { console.log(error.code); }`,
    { through: ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] },
  );
  assertEquals([code, stdout], [0, "EPERM\n"]);
});
