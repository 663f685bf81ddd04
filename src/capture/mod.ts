/**
 * Captures: frames from a ring, filters in the kernel, files of tcpdump and Wireshark.
 *
 * `link.capture()` and `netns.capture()` open a capture. The `data` of a frame is a view of the kernel's memory:
 * it is valid until the next frame is asked for, and empty afterwards. `frame.copy()` keeps a frame.
 *
 * @example The frames of all links of a namespace, until it is enough
 * ```ts
 * import { NetNs } from "@netloom/netloom/netns";
 * import type { Frame } from "@netloom/netloom/capture";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * using frames = netns.capture({ filter: { protocol: "icmp" }, snaplen: 96 });
 * await netns.ping("127.0.0.1", { size: 1000 });
 * frames.stop(); // the frames captured before still come
 *
 * const kept: Frame[] = [];
 * for await (const frame of frames) kept.push(frame.copy());
 * assertEquals(kept.map((frame) => [frame.length, frame.capturedLength]), [[1042, 96], [1042, 96]]);
 * assertEquals(frames.statistics().drops, 0);
 * ```
 *
 * @example The frames of a link as lines
 * ```ts
 * import { NetNs } from "@netloom/netloom";
 * import { format } from "@netloom/netloom/packet";
 * import { assertMatch } from "@std/assert";
 *
 * using netns = NetNs.create();
 * using capture = netns.links.get("lo").capture({ filter: { protocol: "icmp" } });
 * await netns.ping("127.0.0.1");
 * for await (const frame of capture) {
 *   assertMatch(format(frame), /ICMP echo request/);
 *   break;
 * }
 * ```
 *
 * @module
 */
export {
  type Filter,
  type FilterPort,
  type FilterProtocol,
  type Instruction,
  parseProgram,
} from "./filter.ts";
export type { Capture, CaptureOptions, CaptureStatistics } from "./capture.ts";
export { compileFilter, type CompileOptions } from "./compile.ts";
export {
  type CapturedFrame,
  type CaptureInterface,
  type Frame,
  type FrameInit,
  OwnFrame,
} from "./ring.ts";
export { LINKTYPE } from "../packet/address.ts";
export {
  CaptureFileError,
  type PcapngTarget,
  PcapngWriter,
  type StatisticsOptions,
} from "./writer.ts";
export { type CaptureSource, readCapture } from "./reader.ts";
