/**
 * What the running kernel and user must have for an example.
 *
 * @module
 */
import { Bridge, Link, NetNs, supports, SyscallError, UnsupportedError } from "@netloom/netloom";

/** Why the machine cannot run an example, and the exit code for that. */
export interface Lack {
  readonly code: 1 | 77;
  readonly message: string;
}

/** What is lacking, if anything, of link kinds, `bridge vlan_filtering` and `device nodes`. */
export function lacking(needs: readonly string[]): Lack | undefined {
  try {
    for (const need of needs) {
      if (need === "device nodes") {
        if (hasDeviceNodes()) continue;
        return {
          code: 77,
          message: `This user namespace lacks ${need}: run it as the machine's root`,
        };
      }
      const [kind, feature] = need.split(" ");
      const bringer = !supports(kind!)
        ? whatBrings(kind!)
        : feature === "vlan_filtering" && !filtersVlans()
        ? "CONFIG_BRIDGE_VLAN_FILTERING brings it"
        : undefined;
      if (bringer) return { code: 77, message: `This kernel lacks ${need}: ${bringer}` };
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== "EPERM") throw error;
    return { code: 1, message: "This takes root, or namespaces of your own" };
  }
}

/** The build option and the module that bring a kind. */
function whatBrings(kind: string): string {
  using netns = NetNs.create();
  try {
    Link.create({ kind, name: "probe", netns });
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    if (error.config) return `${error.config}, module ${error.module}, brings it`;
  }
  return `a module with the alias rtnl-link-${kind} brings it`;
}

function filtersVlans(): boolean {
  using netns = NetNs.create();
  return Bridge.create({ name: "probe", netns }).options().vlanProtocol !== undefined;
}

/** They cannot be opened in a user namespace other than the first. */
function hasDeviceNodes(): boolean {
  return /^\s*0\s+0\s+4294967295$/m.test(Deno.readTextFileSync("/proc/self/uid_map"));
}
