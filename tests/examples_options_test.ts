// The options of every script in examples/: help, and arguments that are refused.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { homeNetNs } from "../ffi/namespace.ts";
import { exampleFiles } from "./files.ts";
import { ip } from "./helpers.ts";
import { test } from "./leaks.ts";
import { run } from "./script.ts";

for (const name of exampleFiles()) {
  const file = `examples/${name}`;
  test(`${file} prints its options for --help and -h, and refuses others in one line`, async () => {
    const [help, short, other] = await Promise.all(
      ["--help", "-h", "--kep"].map((arg) => run([file, arg]).end()),
    );
    assertEquals([help!.code, help!.stderr], [0, ""]);
    assertStringIncludes(help!.stdout, `Usage: deno run -A ${file} [`);
    assertStringIncludes(help!.stdout, "--keep");
    assertEquals(short, help);
    assertEquals([other!.code, other!.stdout], [2, ""]);
    assertMatch(other!.stderr, /^Unknown argument --kep; .*\n$/);
  });
}

const REFUSED: Readonly<Record<string, readonly [args: string, error: RegExp][]>> = {
  "capture.ts": [
    ["--write /no/such/file", /^--write names a file that cannot be written: .*\/no\/such\/file/],
    ["--write", /^--write takes a value: FILE$/],
    ["more", /^Unknown argument more; allowed are --write, --keep, --help$/],
  ],
  "connect_compare.ts": [
    ["--svg /no/such/file", /^--svg names a file that cannot be written: .*\/no\/such\/file/],
    ["--seconds -1", /^--seconds takes a number above 0: got "-1"$/],
    ["--rounds 0.5", /^--rounds takes a whole number above 0: got "0.5"$/],
  ],
  "local_breakout.ts": [
    ["--nic nosuch", /^--nic takes .*; got "nosuch"$/],
    ["--nic lo", /^--nic takes .*; got "lo"$/],
  ],
};

for (const [name, cases] of Object.entries(REFUSED)) {
  test(`examples/${name} refuses values it cannot use in one line, before it builds anything`, async () => {
    for (const [args, error] of cases) {
      const { code, stdout, stderr } = await run([`examples/${name}`, ...args.split(" ")]).end();
      assertEquals([code, stdout], [2, ""], stderr);
      assertMatch(stderr.trimEnd(), error);
    }
  });
}

test("examples/local_breakout.ts refuses the link that the default route leaves by", async () => {
  ip(homeNetNs(), "link add card up type veth peer name plug");
  try {
    ip(homeNetNs(), "address add 192.0.2.1/24 dev card");
    ip(homeNetNs(), "route add default via 192.0.2.2 metric 4294967295");
    const { code, stderr } = await run(["examples/local_breakout.ts", "--nic", "card"]).end();
    assertEquals(code, 2);
    assertMatch(stderr, /^--nic card would cut the machine off: .*\n$/);
  } finally {
    ip(homeNetNs(), "link delete card");
  }
});
