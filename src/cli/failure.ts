/**
 * Errors as words and exit codes.
 *
 * @module
 */
import { UnsupportedError } from "../rtnetlink/unsupported.ts";
import { JSON_VERSION } from "./out.ts";
import { UsageError, type Verb } from "./verb.ts";

/**
 * Says an error on standard error, and as JSON also on standard output.
 *
 * @param error The error.
 * @param verb The verb that failed, and whether programs read its output.
 * @returns The exit code: 2 for a wrong argument, 77 when the kernel lacks something, 1 otherwise.
 */
export function failure(
  error: unknown,
  { verb, json }: { readonly verb: Verb; readonly json: boolean },
): number {
  if (!(error instanceof Error)) throw error;
  const usage = error instanceof UsageError;
  console.error(`netloom ${verb.name}: ${error.message}`);
  if (usage) console.error(`netloom ${verb.name} --help tells more`);
  if (json) {
    const form = {
      netloom: JSON_VERSION,
      verb: verb.name,
      error: { name: error.name, message: error.message },
    };
    console.log(JSON.stringify(form)); // a line, also among events
  }
  if (usage) return 2;
  return error instanceof UnsupportedError ? 77 : 1;
}
