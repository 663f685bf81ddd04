/**
 * Capturing frames: the ring the kernel fills, filters that run in it, and files as tcpdump and Wireshark
 * have them.
 *
 * A capture is opened by `link.capture()` or `netns.capture()`.
 *
 * @module
 */
export { type Instruction, parseProgram } from "./bpf.ts";
export type { Capture, CaptureStatistics } from "./capture.ts";
export { compileFilter, type CompileOptions } from "./compile.ts";
export type { Filter, FilterPort, FilterProtocol } from "./filter.ts";
export { type CaptureInterface, type Frame, type FrameInit, OwnFrame } from "./frame.ts";
export type { CaptureOptions } from "./options.ts";
export { CaptureFileError, LINKTYPE } from "./pcapng.ts";
export { type CaptureSource, readCapture } from "./reader.ts";
export { type PcapngTarget, PcapngWriter } from "./writer.ts";
