// Preloaded before each example of the documentation: gives it network and mount namespaces of its own,
// with an empty /run and only `lo`, as after a boot. So examples may use common names, and leave nothing
// for each other.
import { C, namespace } from "../ffi/libc.ts";
import { errno, SyscallError } from "../ffi/errno.ts";

const CLONE_NEWNS = 0x20000;

// Deno runs each example as a module on a thread. The thread moves, with everything it starts.
if (namespace().unshare(C.CLONE_NEWNET | CLONE_NEWNS) !== 0) {
  throw new SyscallError("give the example namespaces of its own", {
    syscall: "unshare",
    errno: errno(),
  });
}
const script = "mount --make-rprivate / && mount -t tmpfs none /run && ip link set lo up";
const { success, stderr } = new Deno.Command("sh", { args: ["-c", script] }).outputSync();
if (!success) throw new Error(new TextDecoder().decode(stderr));

// The test runner waits for ever. An example takes a second; a longer one hangs.
const LIMIT = 60_000;
Deno.unrefTimer(setTimeout(() => {
  throw new Error(`The example still runs after ${LIMIT} ms`);
}, LIMIT));
