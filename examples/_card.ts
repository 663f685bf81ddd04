/**
 * A network card of the machine, as an option names it.
 *
 * @module
 */
import type { NetNs } from "@netloom/netloom";
import { fail } from "./_options.ts";

/** Ends the script if the machine does not have the card, or would be cut off without it. */
export function checkCard(home: NetNs, name: string): void {
  const cards = home.links.list().filter((link) => link.name !== "lo");
  const found = cards.find((link) => link.name === name);
  if (!found) {
    const names = cards.map((link) => link.name).join(", ") || "nothing: the machine has only lo";
    fail(`--nic takes ${names}; got ${JSON.stringify(name)}`);
  }
  const routes = home.routes.list({ dev: found.index });
  if (routes.some(({ destination }) => destination === "default")) {
    fail(`--nic ${name} would cut the machine off: its default route leaves by it`);
  }
}
