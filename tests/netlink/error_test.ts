// Errors of the kernel: one base class, and a message with operation, namespace, reason and remedy.
import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { C } from "../../ffi/libc.ts";
import { ERRNO, errnoName, errnoText, KernelError, SyscallError } from "../../ffi/errno.ts";
import * as file from "../../ffi/file.ts";
import { NetlinkError } from "../../src/netlink/error.ts";
import { Bridge, NetNs } from "../../mod.ts";
import { test } from "../leaks.ts";

function refusal(call: () => unknown): KernelError {
  return assertThrows(call, KernelError);
}

test("KernelError is the base of what a system call and a request throw", () => {
  using netns = NetNs.create("kernel-error");
  Bridge.create({ name: "br0", netns });
  const request = refusal(() => Bridge.create({ name: "br0", netns }));
  assertInstanceOf(request, NetlinkError);
  assertEquals(
    [request.operation, request.netns, request.errno, request.code, request.name],
    ['create bridge "br0"', 'netns "kernel-error"', ERRNO.EEXIST, "EEXIST", "NetlinkError"],
  );
  const call = refusal(() => NetNs.open("kernel-error-nowhere"));
  assertInstanceOf(call, SyscallError);
  assertEquals(
    [call.operation, call.netns, call.errno, call.code, call.syscall, call.object],
    [
      'open netns "kernel-error-nowhere"',
      "",
      ERRNO.ENOENT,
      "ENOENT",
      "open",
      "/run/netns/kernel-error-nowhere",
    ],
  );
});

test("A SyscallError names the namespace once", () => {
  const init = { syscall: "socket", errno: ERRNO.EMFILE, netns: 'netns "a"' };
  assertEquals(
    new SyscallError("open a socket", init).message,
    'open a socket in netns "a": Too many open files (EMFILE, socket)',
  );
  assertEquals(
    new SyscallError('enter netns "a"', { ...init, syscall: "setns" }).message,
    'enter netns "a": Too many open files (EMFILE, setns)',
  );
});

test("Error numbers beyond those for programs have a name or their number", () => {
  assertEquals([errnoName(ERRNO.EXFULL), errnoText(ERRNO.EXFULL)], ["EXFULL", "Exchange full"]);
  assertEquals([errnoName(524), errnoText(524)], ["ENOTSUPP", "Operation is not supported"]);
  assertEquals(errnoName(523), "errno 523");
});

test("Errors of files name the path", () => {
  const directory = Deno.makeTempDirSync();
  const missing = `${directory}/missing/file`;
  const calls: [() => unknown, syscall: string, code: string][] = [
    [() => file.open(missing, C.O_RDONLY, "open a thing"), "open", "ENOENT"],
    [() => file.readText(missing), "open", "ENOENT"],
    [() => file.readText(directory), "read", "EISDIR"],
    [() => file.writeText(missing, ""), "open", "ENOENT"],
    [() => file.writeText(directory, ""), "rename", "EISDIR"],
    [() => file.lock(missing), "open", "ENOENT"],
    [() => file.makeDirectory(missing), "mkdir", "ENOENT"],
    [() => file.removeFile(directory), "unlink", "EISDIR"],
    [() => file.readDirectory("/proc/self/status"), "open", "ENOTDIR"],
  ];
  try {
    for (const [call, syscall, code] of calls) {
      const error = assertThrows(call, SyscallError);
      assertEquals([error.syscall, error.code], [syscall, code], error.message);
      const path = syscall === "open" && code === "ENOTDIR" ? "/proc/self/status" : directory;
      assertEquals(error.message.includes(path), true, error.message);
    }
    assertEquals(file.exists(`${directory}.new`), false);
  } finally {
    Deno.removeSync(directory);
  }
});
