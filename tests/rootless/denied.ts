// Prints the errors of what a user may not do, one a line.
import { NetNs, Scope } from "../../mod.ts";

const calls: (() => unknown)[] = [
  () => Scope.open({ name: "denied" }),
  () => Scope.list(),
  () => NetNs.open({ pid: 1 }),
  () => NetNs.create("denied"),
];
for (const call of calls) {
  try {
    call();
    console.log("allowed");
  } catch (error) {
    console.log((error as Error).message);
  }
}
