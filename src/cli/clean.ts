/**
 * `netloom clean`.
 *
 * @module
 */
import { Scope } from "../scope/scope.ts";
import type { Row } from "./out.ts";
import type { Call } from "./verb.ts";

/** Removes the leftovers of killed programs, or lists them. */
export function run(call: Call): void {
  const [name] = call.args;
  const left = Scope.list().filter((scope) =>
    scope.state === "left" && (name === undefined || scope.name === name)
  );
  const removed = call.options["dry-run"] ? left : Scope.clean(name === undefined ? {} : { name });
  call.out.result(
    removed,
    removed.map((scope): Row => ({
      SCOPE: scope.name ?? "(unnamed)",
      PROCESS: scope.pid,
      NAMESPACES: scope.netns,
    })),
  );
  if (removed.length === 0) call.out.say("Nothing is left of killed programs");
}
