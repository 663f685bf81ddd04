// nft as the oracle: it reads what netloom sets, and sets what netloom reads.
import type { NetNsHandle } from "../../src/netlink/connections.ts";
import { within } from "../../ffi/namespace.ts";

const decoder = new TextDecoder();

/** Runs `nft` with a script on its standard input, or with words. */
export function nft(netns: NetNsHandle, script: string): string {
  const output = within(
    netns.ref,
    () =>
      new Deno.Command("sh", { args: ["-c", 'printf %s "$0" | nft -f -', script] }).outputSync(),
  );
  if (output.success) return decoder.decode(output.stdout);
  throw new Error(`${script}: ${decoder.decode(output.stderr).trim()}`);
}

/** The ruleset as `nft` prints it. */
export function listed(netns: NetNsHandle): string {
  return nft(netns, "list ruleset");
}

/** The lines of `nft` for the rules of a chain. Sets in them have braces, too. */
export function rulesOf(netns: NetNsHandle, chain = "c"): string[] {
  const [, body = ""] = new RegExp(`\\tchain ${chain} \\{\\n(.*?)\\n?\\t\\}\\n`, "s")
    .exec(listed(netns)) ?? [];
  return body.split("\n").map((line) => line.trim()).filter((line) => line && !/^type /.test(line));
}

/** The ruleset in nft's JSON, without numbers that the kernel gives. */
export function json(netns: NetNsHandle): unknown {
  const output = within(
    netns.ref,
    () => new Deno.Command("nft", { args: ["-j", "list", "ruleset"] }).outputSync(),
  );
  if (!output.success) throw new Error(decoder.decode(output.stderr));
  const { nftables } = JSON.parse(
    decoder.decode(output.stdout),
    (key, value) => key === "expires" ? undefined : value, // it goes by
  ) as {
    nftables: Record<string, { handle?: number }>[];
  };
  for (const entry of nftables) for (const value of Object.values(entry)) delete value.handle;
  return nftables;
}
