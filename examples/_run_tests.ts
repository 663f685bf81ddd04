/**
 * An example that is a test, run as a script.
 *
 * @module
 */
import { Scope } from "@netloom/netloom";

/**
 * Runs the tests of a file with the script's arguments, gives the verdict, and ends the script. Deno
 * ends tests on Ctrl-C without a chance to clean up: that is done here then, for a scope.
 */
export async function runTests(file: string, scope: string): Promise<never> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", file, "--", ...Deno.args],
  }).spawn();
  // A terminal's Ctrl-C reaches the child by itself; it has to end first.
  const stop = () => child.kill("SIGINT");
  Deno.addSignalListener("SIGINT", stop);
  const { success, code } = await child.status;
  if (code === 130) {
    await Scope.open({ name: scope, replace: true })[Symbol.asyncDispose]();
    Deno.exit(code);
  }
  console.log(
    `\n${success ? "yes" : "NO "}  the tests pass\n\nVerdict: ${success ? "good" : "bad"}`,
  );
  Deno.exit(success ? 0 : 1);
}
