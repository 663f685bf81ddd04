/**
 * `netloom doctor`: everything that stops a person here, with the command that mends it.
 *
 * @module
 */
import "../traffic/mod.ts";
import { SyscallError } from "../../ffi/errno.ts";
import { list } from "../lab/mod.ts";
import { type Capabilities, capabilities } from "../link/supports.ts";
import { NetlinkError } from "../netlink/error.ts";
import { Nftables } from "../nftables/nftables.ts";
import { homeNetNs } from "../../ffi/namespace.ts";
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
    ...kinds(),
    tun(),
    ...limits(),
    ...forwarding(),
    ...policies(),
    ...labs(),
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
        mend: "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root",
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

/** The module of a part of the kernel, where it differs from its name. */
const MODULES: Readonly<Record<string, string>> = {
  links: "",
  qdiscs: "sch_",
  filters: "cls_",
  actions: "act_",
};

/** What the parts of {@link Capabilities} are called, and what they are for. */
const PARTS = [
  ["links", "link kinds"],
  ["qdiscs", "queueing disciplines"],
  ["filters", "filters"],
  ["actions", "actions of filters"],
] as const;

function kinds(): Finding[] {
  let all: Capabilities;
  try {
    all = capabilities();
  } catch (error) {
    if (!(error instanceof NetlinkError) && !(error instanceof SyscallError)) throw error;
    return [{
      check: "link kinds",
      state: "warn",
      found: `not known: ${error.message}`,
      mend: "run it as root, or in unshare -Urmn",
    }];
  }
  return PARTS.map(([part, check]): Finding => {
    const found: Readonly<Record<string, boolean>> = all[part];
    const lacking = Object.keys(found).filter((kind) => !found[kind]).sort();
    if (lacking.length === 0) {
      return { check, state: "ok", found: `all ${Object.keys(found).length}` };
    }
    const modules = lacking.map((kind) => `${MODULES[part]}${kind}`).join(" ");
    return {
      check,
      state: "warn",
      found: `no ${lacking.join(", ")}`,
      mend:
        `modprobe -a ${modules}; where the kernel lacks them: apt-get install linux-image-generic`,
    };
  });
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
  const reverse = setting("net.ipv4.conf.all.rp_filter");
  const filtered = ["iptables", "ip6tables", "arptables"]
    .map((name) => `net.bridge.bridge-nf-call-${name}`)
    .filter((name) => setting(name) === 1);
  return [
    filtered.length === 0 ? undefined : {
      check: "bridge-nf-call",
      state: "warn",
      found:
        "frames of bridges in this namespace go through the firewall of IP, as Docker asks for",
      mend: `sysctl ${
        filtered.map((name) => `${name}=0`).join(" ")
      }, or bridges in namespaces of their own`,
    },
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

/** Chains of this namespace that drop what it forwards, such as that of Docker. */
function policies(): Finding[] {
  try {
    const tables = new Nftables({ ref: homeNetNs() }).list();
    const isDocker = tables.some(({ chains = [] }) =>
      chains.some(({ name }) => name === "DOCKER-USER")
    );
    return tables.flatMap(({ family, name: table, chains = [] }) =>
      chains.filter(({ hook, policy }) => hook === "forward" && policy === "drop")
        .map(({ name }): Finding => ({
          check: "forward policy",
          state: "warn",
          found: `chain ${name} of table ${family} ${table} drops packets that pass this namespace${
            isDocker ? "; Docker has set this" : ""
          }`,
          mend: isDocker
            ? "iptables -I DOCKER-USER -j ACCEPT"
            : `nft chain ${family} ${table} ${name} '{ policy accept; }'`,
        }))
    );
  } catch (error) {
    // Only root reads them; and a kernel may have no nftables.
    if (error instanceof NetlinkError || error instanceof SyscallError) return [];
    throw error;
  }
}

/** Labs that a killed process has left: its wires lose all packets, or are half changed. */
function labs(): Finding[] {
  return list().flatMap(({ name, state, keeper, note }): Finding[] => {
    const found = keeper?.state === "gone"
      ? "its keeper is gone: commands have ended, and impaired wires may lose all packets"
      : state === "interrupted"
      ? "a command was killed while it changed the lab"
      : state === "unreadable"
      ? `its record cannot be read: ${note}`
      : undefined;
    const mend = `netloom up FILE --name ${name}, or netloom down ${name}`;
    return found === undefined ? [] : [{ check: `lab ${name}`, state: "warn", found, mend }];
  });
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
