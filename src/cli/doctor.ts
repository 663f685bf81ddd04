/**
 * `netloom doctor`: everything that stops a person here, with the command that mends it.
 *
 * @module
 */
import { capabilities } from "../link/supports.ts";
import { Scope } from "../scope/scope.ts";
import type { Row } from "./out.ts";
import type { Call } from "./verb.ts";

/** The result of a check. */
interface Finding {
  /** The name of the check. */
  readonly check: string;
  /** `warn`: some calls fail or behave differently. `fail`: nothing works. */
  readonly state: "ok" | "warn" | "fail";
  /** The state of the machine. */
  readonly found: string;
  /** The command or setting that mends it. */
  readonly mend?: string;
}

/** Prints all findings; the exit code is 1 when nothing works. */
export function run(call: Call): number {
  const findings = [
    kernel(),
    privileges(),
    ...userNamespaces(),
    kinds(),
    tun(),
    ...limits(),
    ...forwarding(),
    leftovers(),
  ].filter((finding) => finding !== undefined);
  call.out.result(
    findings,
    findings.map(({ check, state, found, mend }): Row => ({
      CHECK: check,
      STATE: state,
      FOUND: found,
      "MENDED BY": mend,
    })),
  );
  const wrong = findings.filter(({ state }) => state !== "ok").length;
  call.out.say(wrong === 0 ? "All is well" : `${wrong} of ${findings.length} checks say something`);
  return findings.some(({ state }) => state === "fail") ? 1 : 0;
}

/** The content of a file of /proc or /sys; `undefined` where there is none, or it may not be read. */
function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.PermissionDenied) return undefined;
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw error;
  }
}

/** A number in a file of /proc. */
function setting(name: string): number | undefined {
  const text = read(`/proc/sys/${name.replaceAll(".", "/")}`);
  return text === undefined ? undefined : Number(text);
}

function kernel(): Finding {
  const release = Deno.osRelease();
  const [major = 0, minor = 0] = release.split(".").map(Number);
  const old = major < 6 || major === 6 && minor < 1;
  return {
    check: "kernel",
    state: old ? "warn" : "ok",
    found: `Linux ${release}`,
    ...old ? { mend: "Linux 6.1 or newer, the oldest that netloom is tested on" } : {},
  };
}

function privileges(): Finding {
  const status = read("/proc/self/status") ?? "";
  const [, effective = "0"] = /^CapEff:\s*([0-9a-f]+)/m.exec(status) ?? [];
  const bits = BigInt(`0x${effective}`);
  const lacking = Object.entries({ CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n, CAP_SYS_ADMIN: 21n })
    .filter(([, bit]) => (bits >> bit & 1n) === 0n).map(([name]) => name);
  return lacking.length === 0
    ? { check: "privileges", state: "ok", found: `all, as user ${Deno.uid()}` }
    : {
      check: "privileges",
      state: "warn",
      found: `user ${Deno.uid()} lacks ${lacking.join(", ")}`,
      mend: "unshare -Urmn COMMAND, or run as root",
    };
}

function userNamespaces(): (Finding | undefined)[] {
  const restricted = setting("kernel.apparmor_restrict_unprivileged_userns") === 1;
  const forbidden = setting("kernel.unprivileged_userns_clone") === 0;
  return [
    restricted
      ? {
        check: "user namespaces",
        state: "warn",
        found: "AppArmor restricts them for ordinary users",
        mend: "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
      }
      : forbidden
      ? {
        check: "user namespaces",
        state: "warn",
        found: "forbidden for ordinary users",
        mend: "sysctl kernel.unprivileged_userns_clone=1",
      }
      : { check: "user namespaces", state: "ok", found: "allowed" },
    ...["user", "net", "mnt"].map((kind): Finding | undefined => {
      const most = setting(`user.max_${kind}_namespaces`);
      return most === undefined || most >= 1024 ? undefined : {
        check: `max ${kind} namespaces`,
        state: most === 0 ? "fail" : "warn",
        found: String(most),
        mend: `sysctl user.max_${kind}_namespaces=10000`,
      };
    }),
  ];
}

function kinds(): Finding {
  try {
    const { links } = capabilities();
    const lacking = Object.keys(links).filter((kind) => !links[kind]).sort();
    return lacking.length === 0
      ? { check: "link kinds", state: "ok", found: `all ${Object.keys(links).length}` }
      : {
        check: "link kinds",
        state: "warn",
        found: `no ${lacking.join(", ")}`,
        mend: `modprobe ${
          lacking.join(" ")
        }, or a kernel that has them (Debian: linux-image-generic)`,
      };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { check: "link kinds", state: "warn", found: `not known: ${error.message}` };
  }
}

function tun(): Finding {
  try {
    using _file = Deno.openSync("/dev/net/tun", { read: true, write: true });
    return { check: "/dev/net/tun", state: "ok", found: "opens" };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return {
      check: "/dev/net/tun",
      state: "warn",
      found: `TUN and TAP do not work: ${error.message}`,
      mend: "modprobe tun; in a container: --device /dev/net/tun",
    };
  }
}

/** Nodes of a large lab need this many of the kernel's tables. */
function limits(): (Finding | undefined)[] {
  const neighbors = setting("net.ipv4.neigh.default.gc_thresh3");
  const limit = /^Max open files\s+(\d+)/m.exec(read("/proc/self/limits") ?? "")?.[1];
  const watches = setting("fs.inotify.max_user_instances");
  return [
    neighbors === undefined ? undefined : {
      check: "neighbour table",
      state: neighbors <= 1024 ? "warn" : "ok",
      found: `${neighbors} entries for all namespaces together`,
      ...neighbors <= 1024
        ? { mend: "sysctl net.ipv4.neigh.default.gc_thresh3=16384, for more than some 500 nodes" }
        : {},
    },
    limit === undefined ? undefined : {
      check: "descriptors",
      state: Number(limit) < 1024 ? "warn" : "ok",
      found: `${limit} for each process`,
      ...Number(limit) < 1024 ? { mend: "ulimit -n 65536" } : {},
    },
    watches === undefined ? undefined : {
      check: "inotify instances",
      state: watches < 128 ? "warn" : "ok",
      found: `${watches} for each user`,
      ...watches < 128 ? { mend: "sysctl fs.inotify.max_user_instances=1024" } : {},
    },
  ];
}

/** Settings of this namespace that drop packets of bridges and routers. */
function forwarding(): (Finding | undefined)[] {
  const filtered = setting("net.bridge.bridge-nf-call-iptables");
  const reverse = setting("net.ipv4.conf.all.rp_filter");
  return [
    filtered === 1
      ? {
        check: "bridge-nf-call",
        state: "warn",
        found:
          "frames of bridges in this namespace go through iptables; Docker's FORWARD policy drops them",
        mend: "sysctl net.bridge.bridge-nf-call-iptables=0, or bridges in a namespace of their own",
      }
      : undefined,
    reverse === 1
      ? {
        check: "rp_filter",
        state: "warn",
        found: "strict: packets on paths that differ between the directions are dropped here",
        mend: "sysctl net.ipv4.conf.all.rp_filter=2",
      }
      : undefined,
  ];
}

function leftovers(): Finding {
  const left = Scope.list().filter(({ state }) => state === "left").length;
  return left === 0 ? { check: "leftovers", state: "ok", found: "none" } : {
    check: "leftovers",
    state: "warn",
    found: `${left} scopes of killed programs`,
    mend: "netloom clean",
  };
}
