/**
 * What sockets that are packet devices have in common.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import type { Socket } from "../../ffi/socket.ts";
import { show } from "../options.ts";

/** Checks the option `receiveBuffer`. */
export function receiveBufferOf(bytes: number | undefined): number | undefined {
  if (bytes === undefined) return undefined;
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > 0x7fffffff) {
    throw new RangeError(
      `receiveBuffer must be in 1..2147483647: got ${show(bytes)}`,
    );
  }
  return bytes;
}

/** Sets it: beyond the system's limit where the privileges allow it, otherwise up to that. */
export function setReceiveBuffer(socket: Socket, bytes: number | undefined, what: string): void {
  if (bytes === undefined) return;
  // The kernel doubles the value, for its own bookkeeping.
  const half = Math.max(1, bytes >> 1);
  if (socket.setOption(C.SOL_SOCKET, C.SO_RCVBUFFORCE, half)) return;
  socket.setOptionInt(C.SOL_SOCKET, C.SO_RCVBUF, half, `set receiveBuffer of ${what}`);
}
