// Preloaded before each example of the documentation: gives it a network and mount namespace of its
// own, with an empty /run and only `lo`, as a machine has that was just started. So examples may use
// the names people use, and none can leave anything behind or find what another left.
import { namespace } from "../ffi/libc.ts";
import { C } from "../ffi/constants.ts";
import { errno, SyscallError } from "../ffi/errno.ts";

const CLONE_NEWNS = 0x20000;

// Deno runs each example as a module on a thread; the thread moves, and what it starts with it.
if (namespace().unshare(C.CLONE_NEWNET | CLONE_NEWNS) !== 0) {
  throw new SyscallError("give the example namespaces of its own", {
    syscall: "unshare",
    errno: errno(),
  });
}
const script = "mount --make-rprivate / && mount -t tmpfs none /run && ip link set lo up";
const { success, stderr } = new Deno.Command("sh", { args: ["-c", script] }).outputSync();
if (!success) throw new Error(new TextDecoder().decode(stderr));

// The test runner waits for ever. An example takes a second; one that takes this long hangs.
const LIMIT = 60_000;
Deno.unrefTimer(setTimeout(() => {
  throw new Error(`The example still runs after ${LIMIT} ms`);
}, LIMIT));
