/**
 * The framing of generic netlink: `struct genlmsghdr` (`linux/genetlink.h`), the family's own header,
 * if it has one, and attributes.
 *
 * @module
 */
import type { Source, Writer } from "../netlink/bytes.ts";
import type { MessageFormat } from "../netlink/message.ts";
import type { Schema } from "../netlink/schema.ts";

/** Size of `struct genlmsghdr`. */
const GENL_HDRLEN = 4;

/** A message of a family whose attributes are `T`. */
export interface GenericMessage<T extends object> {
  /** What to do: `CTRL_CMD.GETFAMILY`. */
  readonly command: number;
  /** Version of the family's protocol. */
  readonly version: number;
  /** The family's own header, for families that have one of 32 bits: an index, mostly. */
  readonly header?: number;
  /** The attributes. */
  readonly attributes: T;
}

/**
 * How a family's messages are framed.
 *
 * @param schema Its attributes.
 * @param headerLength Bytes of the family's own header: 0, or 4 for a number.
 */
export function genericFormat<T extends object>(
  schema: Schema<T>,
  headerLength: 0 | 4 = 0,
): MessageFormat<GenericMessage<T>> {
  return {
    headerLength: GENL_HDRLEN + headerLength,
    schemaOf: () => schema,
    write: (writer: Writer, { command, version, header = 0, attributes }) => {
      const at = writer.reserve(GENL_HDRLEN + headerLength);
      writer.view.setUint8(at, command);
      writer.view.setUint8(at + 1, version);
      if (headerLength === 4) writer.view.setUint32(at + 4, header, true);
      schema.write(writer, attributes);
    },
    read: (source: Source, start, end) => ({
      command: source.view.getUint8(start),
      version: source.view.getUint8(start + 1),
      ...(headerLength === 4 ? { header: source.view.getUint32(start + 4, true) } : {}),
      attributes: schema.read(source, start + GENL_HDRLEN + headerLength, end),
    }),
  };
}
