// The package as it is published: without `links`, so with the real standard library. Where JSR is not
// reachable, the stand-ins of tests/std/ take its place in a registry of this script's own.
import { globSync } from "node:fs";
import { publish, released } from "./integration/local_registry.ts";
import { ROOT } from "./script.ts";

/** Runs `deno publish --dry-run` on a copy of the published files; whether it succeeds. */
export async function dryRun(env: Record<string, string>): Promise<boolean> {
  const temporary = Deno.makeTempDirSync({ prefix: "netloom-publish-" });
  try {
    const registry = new URL(`file://${temporary}/registry/`);
    const whole = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
    const config = released(whole);
    // Deno checks the modules of a registry in a folder as if they were the package's own.
    delete config.compilerOptions.noUnusedParameters;
    for (const link of whole.links) await publish(new URL(`file://${ROOT}${link}/`), registry);
    const folder = `${temporary}/package`;
    for (const path of globSync(config.publish.include as string[], { cwd: ROOT })) {
      Deno.mkdirSync(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      Deno.copyFileSync(ROOT + path, `${folder}/${path}`);
    }
    Deno.writeTextFileSync(`${folder}/deno.json`, JSON.stringify(config, null, 2));
    const child = new Deno.Command(Deno.execPath(), {
      args: ["publish", "--dry-run", "--allow-dirty"],
      cwd: folder,
      env: { ...env, JSR_URL: registry.href },
      stdout: "inherit",
      stderr: "inherit",
    });
    return (await child.output()).success;
  } finally {
    Deno.removeSync(temporary, { recursive: true });
  }
}
