/**
 * The system's own ping, as a second witness.
 *
 * @module
 */
import type { NetNs } from "@netloom/netloom";

/** What it says at its end, and whether every request was answered; `undefined` without such a program. */
export async function systemPing(
  from: NetNs,
  address: string,
): Promise<{ good: boolean; summary: string } | undefined> {
  const args = ["-c", "5", "-i", "0.2", address];
  try {
    const { success, stdout } = await from.command("ping", { args, mounts: false }).output();
    const [packets, times] = new TextDecoder().decode(stdout).trim().split("\n").slice(-2);
    return { good: success, summary: `${packets}\n${times}` };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
