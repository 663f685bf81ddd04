/**
 * An example that is a test, run as a script.
 *
 * @module
 */
import { Scope } from "@netloom/netloom";

/**
 * Runs the tests of a file with the arguments of the script, prints the verdict, and ends the script.
 * On Ctrl-C Deno ends tests at once; this function removes their scope then.
 */
export async function runTests(file: string, scope: string): Promise<never> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", file, "--", ...Deno.args],
  }).spawn();
  // Ctrl-C on a terminal reaches the child as well, which must end first.
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
