// What an ordinary user may name: run by ../rootless_test.ts.
import { ownsMounts } from "../../ffi/namespace.ts";
import { Bridge, NetNs, Scope, SyscallError } from "../../mod.ts";

function attempt(make: () => void): string {
  try {
    make();
    return "made";
  } catch (error) {
    if (error instanceof SyscallError) return error.code;
    throw error;
  }
}

console.log(JSON.stringify({
  own: ownsMounts(),
  netns: attempt(() => NetNs.create("rootless-names")[Symbol.dispose]()),
  scope: attempt(() => Scope.open({ name: "rootless-names" }).close()),
  // A scope without a name does without a record where there can be none.
  unnamed: attempt(() => {
    const scope = Scope.open();
    Bridge.create({ scope, name: "rootless-br" });
    scope.close();
  }),
}));
