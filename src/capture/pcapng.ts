/**
 * Constants of capture files (draft-ietf-opsawg-pcapng, draft-ietf-opsawg-pcap), and their error.
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

/** The byte order of a section shows in this number. */
export const BYTE_ORDER = 0x1a2b3c4d;

/**
 * First words of a pcap file: with times in microseconds or nanoseconds, or with larger packet headers (an old
 * patch of libpcap).
 */
export const PCAP_MAGIC = {
  MICROSECONDS: 0xa1b2c3d4,
  NANOSECONDS: 0xa1b23c4d,
  PATCHED: 0xa1b2cd34,
} as const;

/** The longest packet that Wireshark and libpcap read. */
export const LONGEST_PACKET = 262_144;

/** A capture file cannot be read further. */
export class CaptureFileError extends Error {
  /** The class: `CaptureFileError`. */
  override readonly name = "CaptureFileError";
  /** Offset in the file, in bytes. */
  readonly offset: number;

  /** Composes the message. */
  constructor(message: string, offset: number) {
    super(`${message}, at byte ${offset} of the capture file`);
    this.offset = offset;
  }
}
