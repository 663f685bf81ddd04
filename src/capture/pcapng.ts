/**
 * What capture files are made of (draft-ietf-opsawg-pcapng, draft-ietf-opsawg-pcap).
 *
 * @module
 */

/** Block types of a pcapng file. */
export const BLOCK = {
  SECTION_HEADER: 0x0a0d0d0a,
  INTERFACE: 1,
  PACKET: 2,
  SIMPLE_PACKET: 3,
  STATISTICS: 5,
  ENHANCED_PACKET: 6,
} as const;

/** Options of blocks, by the names of the draft. */
export const OPTION = {
  END: 0,
  SHB_USERAPPL: 4,
  IF_NAME: 2,
  IF_TSRESOL: 9,
  IF_TSOFFSET: 14,
  EPB_FLAGS: 2,
  ISB_STARTTIME: 2,
  ISB_ENDTIME: 3,
  ISB_FILTERACCEPT: 6,
  ISB_OSDROP: 7,
  ISB_USRDELIV: 8,
} as const;

/** Tells a section's byte order. */
export const BYTE_ORDER = 0x1a2b3c4d;

/** First words of a pcap file: its times are in microseconds, or in nanoseconds. */
export const PCAP_MAGIC = { MICROSECONDS: 0xa1b2c3d4, NANOSECONDS: 0xa1b23c4d } as const;

/** A file cannot be understood. */
export class CaptureFileError extends Error {
  /** The class: `CaptureFileError`. */
  override readonly name = "CaptureFileError";
  /** Where in the file, in bytes from its start. */
  readonly offset: number;

  /** Composes the message. */
  constructor(message: string, offset: number) {
    super(`${message}, at byte ${offset} of the capture file`);
    this.offset = offset;
  }
}
