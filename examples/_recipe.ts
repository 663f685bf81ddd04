/**
 * What the example scripts share: options, the table of what was built, the verdict.
 *
 * @module
 */
import { NetNs, type PingResult, type Scope } from "@netloom/netloom";
import { parseArgs } from "@std/cli/parse-args";

/** Reads `--keep` and `--help`; anything else ends the script with code 2. */
export function options(title: string): { keep: boolean } {
  const unknown: string[] = [];
  const flags = parseArgs(Deno.args, {
    boolean: ["keep", "help"],
    unknown: (arg: string) => {
      unknown.push(arg);
      return false;
    },
  });
  if (flags.help || unknown.length > 0) {
    const usage = `${title}.

Options:
  --keep  holds the network up for exploring, until Ctrl-C
  --help  prints this`;
    if (unknown.length === 0) {
      console.log(usage);
      Deno.exit(0);
    }
    console.error(`Unknown argument ${unknown.join(" ")}\n\n${usage}`);
    Deno.exit(2);
  }
  return { keep: flags.keep };
}

/** What {@link finish} needs to know. */
export interface Finish {
  /** What came of the ping. */
  result: PingResult;
  /** Hold the network up. */
  keep: boolean;
  /** What owns the network. */
  lab: Scope;
  /** Name of a namespace to explore from. */
  from: string;
  /** The namespaces whose links to print; `undefined` is the machine's own. */
  show: (NetNs | undefined)[];
}

/** Prints what was built and whether the ping came across, then holds the network up if asked to. */
export async function finish({ result, keep, lab, from, show }: Finish): Promise<void> {
  console.table(show.flatMap((netns) => rows(lab, netns)));
  const { address, received, sent, min = 0, avg = 0, max = 0 } = result;
  const times = [min, avg, max].map((time) => time.toFixed(3)).join("/");
  console.log(
    received === sent
      ? `ping ${address}: ${received} of ${sent} replies, ${times} ms (min/avg/max)`
      : `ping ${address}: only ${received} of ${sent} replies`,
  );
  if (received < sent) Deno.exitCode = 1;
  if (keep) {
    console.log(`The network stays up. Look around: ip netns exec ${from} ip address`);
    console.log("Ctrl-C removes it.");
    await new Promise(() => setInterval(() => {}, 1 << 30));
  }
}

/** The links the lab has in a namespace, one row each. */
function rows(lab: Scope, netns: NetNs | undefined): Record<string, string>[] {
  using here = netns ? undefined : NetNs.current();
  const at = netns ?? here!;
  const links = at.links.list({ stats: false });
  const addresses = at.addresses.list({ family: 2 });
  const name = (index?: number) => links.find((link) => link.index === index)?.name ?? "";
  return links.filter((link) => link.group === lab.group).map((link) => ({
    netns: netns?.name ?? "(this one)",
    link: link.name,
    kind: link.linkInfo?.kind ?? "",
    state: String(link.operstate),
    master: name(link.master),
    mac: link.mac ?? "",
    address: addresses.filter((a) => a.index === link.index).map((a) => a.address).join(" "),
  }));
}
