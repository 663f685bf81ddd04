import { assertEquals } from "@std/assert";
import { publish } from "./local_registry.ts";

const ROOT = new URL("../../", import.meta.url);

const SCRIPT = `
import { NetNs } from "jsr:@netloom/netloom";

using netns = NetNs.create();
console.log(JSON.stringify(netns.links.list().map((link) => link.name)));
`;

Deno.test("A script in an empty folder imports the published package", async () => {
  const temporary = Deno.makeTempDirSync({ prefix: "netloom-registry-" });
  try {
    const registry = new URL(`file://${temporary}/registry/`);
    await publish(ROOT, registry);
    const folder = `${temporary}/script`;
    Deno.mkdirSync(folder);
    Deno.writeTextFileSync(`${folder}/main.ts`, SCRIPT);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-lock", "--check", "main.ts"],
      cwd: folder,
      env: { JSR_URL: registry.href, NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder();
    assertEquals(text.decode(stdout), '["lo"]\n', text.decode(stderr));
  } finally {
    Deno.removeSync(temporary, { recursive: true });
  }
});
