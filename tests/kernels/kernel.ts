// Debian's generic kernels, unpacked from their packages into the project's ignored cache: neither root
// nor an installation is needed.
import { existsSync } from "node:fs";
import { output } from "./command.ts";

/** Where kernels, and the output of runs on them, are kept. */
export const CACHE = new URL("../../.cache/kernels/", import.meta.url).pathname;

/** Where series are that the system's own package sources lack. */
const SUITES = {
  "debian": ["bookworm", "bookworm-backports", "trixie"],
  "debian-security": ["bookworm-security", "trixie-security"],
};

/** A kernel that can be booted. */
export interface Kernel {
  /** The series: `6.12`. */
  readonly series: string;
  /** As `uname -r` prints it: `6.12.117+deb12-amd64`. */
  readonly release: string;
  /** The directory with boot/ and lib/modules/. */
  readonly root: string;
}

/**
 * Finds the newest kernel of a series in the cache, or fetches it.
 *
 * @param series The series: `6.12`
 */
export async function kernel(series: string): Promise<Kernel> {
  const root = `${CACHE}${series}`;
  if (!existsSync(root)) await fetch(series, root);
  const [release] = Array.from(Deno.readDirSync(`${root}/lib/modules`), ({ name }) => name);
  return { series, release: release!, root };
}

/** Unpacks the package of a series into `root`, all or nothing. */
async function fetch(series: string, root: string): Promise<void> {
  Deno.mkdirSync(CACHE, { recursive: true });
  const work = Deno.makeTempDirSync({ dir: CACHE, prefix: `${series}-` });
  try {
    let name: string;
    try {
      name = await download(series, work, []);
    } catch {
      // The system's package lists are empty, old, or of another release: fetch lists of our own.
      const own = ownLists(work);
      await output("apt-get", [...own, "update"]);
      name = await download(series, work, own);
    }
    const unpacked = `${work}/root`;
    await output("dpkg", ["-x", `${work}/${name}`, unpacked]);
    // Where /lib is /usr/lib, as in trixie's packages.
    if (!existsSync(`${unpacked}/lib`)) Deno.symlinkSync("usr/lib", `${unpacked}/lib`);
    const [release] = Array.from(Deno.readDirSync(`${unpacked}/lib/modules`), ({ name }) => name);
    await output("depmod", ["-b", unpacked, release!]);
    Deno.renameSync(unpacked, root);
  } catch (error) {
    throw new Error(`No Debian kernel of the series ${series}`, { cause: error });
  } finally {
    Deno.removeSync(work, { recursive: true });
  }
}

/** Downloads the newest package of a series; returns the name of its file. */
async function download(series: string, directory: string, options: string[]): Promise<string> {
  const names = await output("apt-cache", [...options, "pkgnames", `linux-image-${series}.`]);
  const generic = /^linux-image-[\d.]+([-+][a-z0-9]+)?-amd64-unsigned$/;
  const newest = names.split("\n").filter((name) => generic.test(name))
    .sort(new Intl.Collator("en", { numeric: true }).compare).at(-1);
  if (!newest) {
    throw new Error(`The package sources have no linux-image-${series}.*-amd64-unsigned`);
  }
  await output("apt-get", [...options, "download", newest], directory);
  return Array.from(Deno.readDirSync(directory), ({ name }) => name)
    .find((name) => name.endsWith(".deb"))!;
}

/** Options that give apt sources, lists and a cache of its own below a directory. */
function ownLists(directory: string): string[] {
  const options: Record<string, string> = {
    "Dir::Etc::SourceList": `${directory}/sources.list`,
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::State::Lists": `${directory}/lists`,
    "Dir::Cache": `${directory}/cache`,
    "APT::Sandbox::User": "root",
  };
  const keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
  const lines = Object.entries(SUITES).flatMap(([archive, suites]) =>
    suites.map((suite) =>
      `deb [signed-by=${keys} arch=amd64] http://deb.debian.org/${archive} ${suite} main\n`
    )
  );
  Deno.writeTextFileSync(`${directory}/sources.list`, lines.join(""));
  Deno.mkdirSync(`${directory}/lists/partial`, { recursive: true });
  Deno.mkdirSync(`${directory}/cache/archives/partial`, { recursive: true });
  return Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}
