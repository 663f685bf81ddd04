import { assertEquals } from "@std/assert";
import { supports } from "@netloom/netloom";
import { parse, up } from "../../src/lab/mod.ts";

const noVlans = supports("bridge", "vlanFiltering")
  ? undefined
  : "this kernel has no bridge option vlanFiltering";

Deno.test({
  name: `Hosts of a VLAN reach each other over a trunk, and not those of another one${
    noVlans ? ` (ignored: ${noVlans})` : ""
  }`,
  ignore: noVlans !== undefined,
  async fn() {
    const spec = await parse(`
addressing: { ipv4: 10.0.0.0/16, ipv6: 'fd00::/48' }
nodes:
  sw[1-2]: { kind: switch }
  h[1-3]:
  h4: { routes: [{ destination: 10.0.0.0/16, dev: to-sw2 }] }
links:
  - { endpoints: [h1, sw1], access: 10 }
  - { endpoints: [h2, sw1], access: 20 }
  - { endpoints: [h3, sw2], access: 10 }
  - { endpoints: [h4, sw2], access: 20 }
  - { endpoints: [sw1, sw2], trunk: [10, '15-25'] }
`);
    await using lab = await up(spec);
    const received = async (from: string, to: string) =>
      (await lab.node(from).ping(to, { timeout: 1000 })).received;
    assertEquals(await received("h1", "h3"), 1);
    assertEquals(await received("h2", "h4"), 1);
    // h4 looks for all addresses on its link: nobody answers there.
    assertEquals(await received("h4", "h3"), 0);
  },
});
