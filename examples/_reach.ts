/**
 * Pings between all hosts.
 *
 * @module
 */
import { type NetNs, SyscallError } from "@netloom/netloom";
import { printTable } from "./_table.ts";

/** A namespace and its address. */
export interface Host {
  readonly netns: NetNs;
  readonly address: string;
}

/** Whether one namespace reaches another, by their names. */
export type Reach = (from: string, to: string) => boolean;

/** Pings from each host to each other host, all at once, and prints a matrix with a title. */
export async function printReach(
  title: string,
  hosts: readonly Host[],
): Promise<Reach> {
  const reached = await Promise.all(
    hosts.map((from) =>
      Promise.all(hosts.map((to) => from !== to && answers(from.netns, to.address)))
    ),
  );
  printTable(hosts.map((from, i) => ({
    [title]: `from ${from.netns.name}`,
    ...Object.fromEntries(
      hosts.map((
        to,
        j,
      ) => [`to ${to.netns.name}`, from === to ? "." : reached[i]![j] ? "yes" : "no"]),
    ),
  })));
  const at = (name: string) => hosts.findIndex(({ netns }) => netns.name === name);
  return (from, to) => reached[at(from)]![at(to)]!;
}

/** Whether a ping is answered; `false` also without a route to the address. */
export async function answers(from: NetNs, address: string): Promise<boolean> {
  try {
    return (await from.ping(address, { timeout: 1000 })).received === 1;
  } catch (error) {
    if (error instanceof SyscallError && error.code === "ENETUNREACH") return false;
    throw error;
  }
}
