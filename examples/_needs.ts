/**
 * The needs of an example that the kernel or the user may lack.
 *
 * @module
 */
import {
  Bridge,
  Link,
  type LinkCreateOptions,
  NetNs,
  supports,
  SyscallError,
  Tun,
  UnsupportedError,
} from "@netloom/netloom";
import "@netloom/netloom/tc";

/** Why the machine cannot run an example, and the exit code for that. */
export interface Lack {
  readonly code: 1 | 77;
  readonly message: string;
}

/** The first need that is lacking, if any, of link kinds, `bridge vlan_filtering` and `qdisc tbf`. */
export function lacking(needs: readonly string[]): Lack | undefined {
  try {
    for (const need of needs) {
      const [kind, feature] = need.split(" ");
      const bringer = kind === "qdisc"
        ? !supports({ qdisc: feature! }) && bringerOfQdisc(feature!)
        : !supports(kind!)
        ? bringerOf(kind!)
        : feature === "vlan_filtering" && !filtersVlans()
        ? "CONFIG_BRIDGE_VLAN_FILTERING brings it"
        : undefined;
      if (kind === "tun" && !bringer) openTun();
      if (bringer) return { code: 77, message: `This kernel lacks ${need}: ${bringer}` };
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    // It names the file, and what helps.
    if (error.object !== undefined) return { code: 1, message: error.message };
    if (error.code !== "EPERM") throw error;
    const how = "run it as root, or in namespaces of your own: unshare -Urmn SCRIPT";
    return { code: 1, message: `This example needs privileges; ${how}` };
  }
}

/** A kernel may have TUNs, and a user none: `/dev/net/tun` decides. */
function openTun(): void {
  using netns = NetNs.create();
  Tun.create({ netns }).close();
}

/** The options that kinds cannot do without. */
const OPTIONS: Readonly<Record<string, object>> = { vrf: { table: 1 } };

/** The build option and the module that bring a kind. */
function bringerOf(kind: string): string {
  using netns = NetNs.create();
  const { [kind]: options } = OPTIONS;
  try {
    Link.create({ kind, name: "probe", netns, ...(options && { options }) } as LinkCreateOptions);
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    if (error.config) return `${error.config}, module ${error.module}, brings it`;
  }
  return `a module with the alias rtnl-link-${kind} brings it`;
}

function bringerOfQdisc(kernelKind: string): string {
  using netns = NetNs.create();
  try {
    Link.get("lo", { netns }).qdiscs.add({ kind: "unknown", kernelKind });
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    if (error.config) return `${error.config}, module ${error.module}, brings it`;
  }
  return `a module sch_${kernelKind} brings it`;
}

function filtersVlans(): boolean {
  using netns = NetNs.create();
  return Bridge.create({ name: "probe", netns }).options().vlanProtocol !== undefined;
}
