// Messages that the kernel refuses, in place of those that a call sends.
import { interceptSends } from "../../src/netlink/socket.ts";

/** Above the last message type of rtnetlink: the kernel answers EOPNOTSUPP. */
export const NO_SUCH_TYPE = 0x7f0;

/** Counts the messages sent while `fn` runs, and breaks the n-th of them; with 0 none. */
export function withFault(n: number, fn: () => void): number {
  let count = 0;
  using _hook = interceptSends((bytes, length) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    for (let at = 0; at < length; at += (view.getUint32(at, true) + 3) & ~3) {
      if (++count === n) view.setUint16(at + 4, NO_SUCH_TYPE, true);
    }
  });
  fn();
  return count;
}
