// A JSR registry in a folder: what `JSR_URL=file:///folder/` needs in order to import a package.
import { globSync } from "node:fs";

interface Config {
  name: string;
  version: string;
  exports: Record<string, string>;
  publish?: { include: string[] };
  imports?: Record<string, string>;
  links?: string[];
}

/**
 * The configuration of a release, which has the real standard library: `.github/workflows/publish.yml` leaves out
 * `links` and their files, too. In the checkout `deno publish --dry-run` wants those that modules import.
 */
export function released<C extends Pick<Config, "links" | "publish">>(config: C): Omit<C, "links"> {
  const { links = [], ...rest } = config;
  if (!config.publish) return rest;
  const include = config.publish.include.filter((path) =>
    !links.some((link) => `./${path}`.startsWith(`${link}/`))
  );
  return { ...rest, publish: { ...config.publish, include } };
}

/**
 * Publishes a package as its working tree is.
 *
 * @param root The folder with the package's deno.json
 * @param registry The folder to publish to
 */
export async function publish(root: URL, registry: URL): Promise<void> {
  const config = released<Config>(
    JSON.parse(Deno.readTextFileSync(new URL("deno.json", root))),
  );
  const { name, version, exports, publish: { include } = { include: ["**/*"] } } = config;
  const { imports = {} } = config;
  const manifest: Record<string, { size: number; checksum: string }> = {};
  for (const path of globSync(include, { cwd: root.pathname })) {
    const file = new URL(path, root);
    if (!Deno.statSync(file).isFile) continue;
    const bytes = path.endsWith(".ts")
      ? new TextEncoder().encode(resolved(Deno.readTextFileSync(file), imports))
      : Deno.readFileSync(file);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    manifest[`/${path}`] = { size: bytes.length, checksum: `sha256-${hash}` };
    write(new URL(`${name}/${version}/${path}`, registry), bytes);
  }
  writeJson(new URL(`${name}/${version}_meta.json`, registry), { manifest, exports });
  writeJson(new URL(`${name}/meta.json`, registry), { versions: { [version]: {} } });
}

/** A module with the targets of its imports in place of their names, as a registry keeps it. */
function resolved(module: string, imports: Readonly<Record<string, string>>): string {
  return module.replace(
    /(\bfrom |\bimport\()"([^".][^"]*)"/g,
    (all, before, name: string) => {
      const [, package_ = name, rest = ""] = /^(@[^/]+\/[^/]+)(\/.*)$/.exec(name) ?? [];
      const target = imports[name] ?? imports[package_];
      return target?.includes(":") ? `${before}"${target}${imports[name] ? "" : rest}"` : all;
    },
  );
}

function write(file: URL, bytes: Uint8Array): void {
  Deno.mkdirSync(new URL(".", file), { recursive: true });
  Deno.writeFileSync(file, bytes);
}

function writeJson(file: URL, value: unknown): void {
  write(file, new TextEncoder().encode(JSON.stringify(value)));
}
