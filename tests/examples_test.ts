import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "./leaks.ts";
import { machine } from "./machine.ts";
import { run } from "./script.ts";

const EXAMPLES = ["veth", "bridge"];

for (const name of EXAMPLES) {
  const file = `examples/${name}.ts`;

  test(`${file} pings across, prints what it built and leaves nothing`, async () => {
    const before = machine();
    const { code, stdout, stderr } = await run([file]).end();
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, "192.168.123.1/24");
    assertMatch(stdout, /ping 192\.168\.123\.2: 3 of 3 replies/);
    assertEquals(machine(), before);
  });

  test(`${file} --keep holds the network up until Ctrl-C`, async () => {
    const before = machine();
    await using kept = run([file, "--keep"]);
    await kept.writes("Ctrl-C removes it");
    assertStringIncludes(machine(), "netns ns1:");
    kept.kill("SIGINT");
    assertEquals((await kept.end()).code, 130);
    assertEquals(machine(), before);
  });

  test(`${file} clears up what a killed run left`, async () => {
    const before = machine();
    await using killed = run([file, "--keep"]);
    await killed.writes("Ctrl-C removes it");
    killed.kill("SIGKILL");
    await killed.end();
    assertStringIncludes(machine(), "netns ns1:");
    assertEquals((await run([file]).end()).code, 0);
    assertEquals(machine(), before);
  });

  test(`${file} tells its options, and refuses others`, async () => {
    const help = await run([file, "--help"]).end();
    assertEquals(help.code, 0);
    assertStringIncludes(help.stdout, "--keep");
    const refused = await run([file, "--kep"]).end();
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.stderr, "--kep");
  });
}
