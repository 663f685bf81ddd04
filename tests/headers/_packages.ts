// Where the kernel headers of one architecture are: installed by the system, or else unpacked from
// Debian's package into the project's ignored cache, which needs neither root nor an installation.

const CACHE = new URL("../../.cache/headers/", import.meta.url).pathname;

/** What must be in a header tree for it to be usable. */
const NEEDED = ["linux/if_link.h", "asm/unistd.h", "asm-generic/fcntl.h"];

/** The header directories under `root` for a package, or undefined when they are not complete. */
function complete(root: string, dirs: readonly string[]): string[] | undefined {
  const found = dirs.map((dir) => `${root}${dir}`);
  if (!NEEDED.every((file) => exists(found, file))) return undefined;
  return found.filter((dir) => exists([dir]));
}

/** Says whether one of the directories exists, or holds `file` when one is given. */
export function exists(dirs: readonly string[], file = ""): boolean {
  return dirs.some((dir) => {
    try {
      Deno.statSync(`${dir}/${file}`);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
}

/** Finds or fetches the directories (absolute, as installed by `pkg`) that hold kernel headers. */
export function headerDirs(pkg: string, label: string, dirs: readonly string[]): string[] {
  const installed = complete("", dirs) ?? complete(`${CACHE}${label}`, dirs);
  if (installed !== undefined) return installed;
  let reason: string;
  try {
    fetchPackage(pkg, `${CACHE}${label}`);
    const fetched = complete(`${CACHE}${label}`, dirs);
    if (fetched !== undefined) return fetched;
    reason = `${pkg} lacks ${NEEDED.join(" or ")}`;
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  throw new Error(`No ${label} kernel headers in ${dirs.join(" and ")} (${reason})`);
}

/** Downloads a Debian package and unpacks it into `target`, all or nothing. */
function fetchPackage(pkg: string, target: string): void {
  Deno.mkdirSync(CACHE, { recursive: true });
  const work = Deno.makeTempDirSync({ dir: CACHE, prefix: `${pkg}-` });
  try {
    try {
      run(work, "apt-get", ["download", pkg]);
    } catch {
      // The system's package lists may be empty or old: fetch lists of our own and leave those be.
      Deno.mkdirSync(`${work}/lists/partial`, { recursive: true });
      Deno.mkdirSync(`${work}/cache/archives/partial`, { recursive: true });
      const own = ["-o", `Dir::State::Lists=${work}/lists`, "-o", `Dir::Cache=${work}/cache`];
      run(work, "apt-get", [...own, "-o", "APT::Sandbox::User=root", "update"]);
      run(work, "apt-get", [...own, "-o", "APT::Sandbox::User=root", "download", pkg]);
    }
    const deb = [...Deno.readDirSync(work)].find((entry) => entry.name.endsWith(".deb"));
    if (deb === undefined) throw new Error(`apt-get download ${pkg} left no .deb`);
    run(work, "dpkg", ["-x", `${work}/${deb.name}`, `${work}/root`]);
    if (!exists([target])) Deno.renameSync(`${work}/root`, target);
  } finally {
    Deno.removeSync(work, { recursive: true });
  }
}

function run(cwd: string, command: string, args: string[]): void {
  const { success, stderr } = new Deno.Command(command, { args, cwd }).outputSync();
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
  throw new Error(`${command} ${args.at(-2)} ${args.at(-1)} failed: ${said}`);
}
