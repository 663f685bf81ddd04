import { assertEquals, assertStringIncludes } from "@std/assert";
import { ROOT } from "../script.ts";

Deno.test("deno task compile makes a program that runs, or says what it needs", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/netloom`;
    const run = async (command: string, ...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd: ROOT })
        .output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: text(stdout), stderr: text(stderr) };
    };
    const { code, stderr } = await run(Deno.execPath(), "run", "-A", "tests/compile.ts", file);
    if (code !== 0) return assertStringIncludes(stderr, "name a denort by DENORT_BIN=PATH");
    assertStringIncludes((await run(file, "--help")).stdout, "netloom VERB");
    assertEquals((await run(file, "links")).code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
