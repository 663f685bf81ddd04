/**
 * The two ends of the codec: a growing buffer to write a message into, and a buffer to read one from; what a field
 * does between them; and the memory for one exchange with the kernel.
 *
 * @module
 */

/** A buffer and the view on the same memory: what attribute values are read from. */
export interface Source {
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** A view on all of {@link Source.bytes}. */
  readonly view: DataView<ArrayBuffer>;
  /** The same as words in the machine's byte order, where they are aligned. */
  readonly words?: Int32Array;
}

/** Makes a {@link Source} of bytes. */
export function source(bytes: Uint8Array<ArrayBuffer>): Source {
  const { buffer, byteOffset, byteLength } = bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  if (byteOffset % 4 !== 0) return { bytes, view };
  return { bytes, view, words: new Int32Array(buffer, byteOffset, byteLength >> 2) };
}

const encoder = new TextEncoder();

// Names are ASCII nearly always, and short: a loop is several times as fast as the encoder.

/** How many bytes a string has in UTF-8. */
export function byteLength(value: string): number {
  for (let i = 0; i < value.length; i++) {
    if (value.charCodeAt(i) > 127) return encoder.encode(value).length;
  }
  return value.length;
}

/** Writes a string's UTF-8 bytes and returns how many there were. There must be room for them. */
function writeText(value: string, bytes: Uint8Array<ArrayBuffer>, at: number): number {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code > 127) return encoder.encodeInto(value, bytes.subarray(at)).written;
    bytes[at + i] = code;
  }
  return value.length;
}

/** A growing buffer for messages and attributes; kept and reused, so that writing allocates nothing. */
export class Writer implements Source {
  /** The memory; replaced when it grows. */
  bytes: Uint8Array<ArrayBuffer>;
  /** A view on all of it. */
  view: DataView<ArrayBuffer>;
  /** Number of bytes written. */
  length = 0;

  /**
   * Makes an empty buffer.
   *
   * @param size Initial capacity in bytes; it doubles as needed.
   */
  constructor(size = 4096) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Reserves `size` zeroed bytes and returns where they start. */
  reserve(size: number): number {
    const at = this.length;
    const end = at + size;
    if (end > this.bytes.length) this.#grow(end);
    // A call takes longer than to clear the few bytes of a header.
    if (size > 32) this.bytes.fill(0, at, end);
    else for (let i = at; i < end; i++) this.bytes[i] = 0;
    this.length = end;
    return at;
  }

  /** Pads to the next multiple of four, as netlink aligns messages and attributes. */
  align(): void {
    this.reserve(-this.length & 3);
  }

  /** Appends bytes. */
  append(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** Appends a string's UTF-8 bytes and returns how many there were. */
  text(value: string): number {
    const most = this.length + value.length * 3;
    if (most > this.bytes.length) this.#grow(most);
    const written = writeText(value, this.bytes, this.length);
    this.length += written;
    return written;
  }

  /** Starts an attribute; {@link Writer.end} takes what it returns. */
  begin(type: number): number {
    const at = this.reserve(4);
    this.view.setUint16(at + 2, type, true);
    return at;
  }

  /** Closes the attribute (or other length-prefixed thing) begun at `at`. */
  end(at: number): void {
    const length = this.length - at;
    if (length > 0xffff) throw new RangeError(`An attribute of ${length} bytes exceeds 65535`);
    this.view.setUint16(at, length, true);
    this.align();
  }

  #grow(least: number): void {
    const bytes = new Uint8Array(Math.max(least, this.bytes.length * 2));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}

/** The kernel's names of an attribute set, for errors that name an attribute. */
export interface AttributeNames {
  /** The name of an attribute: `IFLA_BR_PRIORITY`; `IFLA_BR_99` for a number without a name here. */
  nameOf(type: number): string;
  /** The field of an attribute. */
  fieldOf(type: number): Field<unknown> | undefined;
}

/** Writes and reads the payload of one attribute. */
export interface Field<T> {
  /** The attribute's number in its set. */
  readonly type: number;
  /** Appends the payload. `path` names the value in an error: `peer.mtu`. */
  write(writer: Writer, value: T, path: string): void;
  /** Reads the payload of `length` bytes at `at`. */
  read(source: Source, at: number, length: number): T;
  /** The attributes inside, for nests. */
  readonly schema?: AttributeNames;
  /** Bytes of a fixed header before the attributes inside: 16 where a nest starts with `ifinfomsg`. */
  readonly innerHeader?: number;
  /** Written with `NLA_F_NESTED`. */
  readonly nested?: boolean;
  /** Presence is the value: `false` is not written. */
  readonly flag?: boolean;
}

/**
 * Bytes of a receive buffer at first: the kernel fills no more of one in a dump, unless a single entry
 * is larger.
 */
const RECEIVE_SIZE = 32 << 10;
/** A writer that has grown beyond this is not kept. */
const KEPT_SIZE = 1 << 20;

/** A buffer to send from and one to receive into. */
export class Memory implements Disposable {
  /** What is sent. */
  readonly writer: Writer = new Writer();
  /** What the requests do, one after the other, for errors: a string of parts takes ten times as much. */
  readonly operations: Writer = new Writer(512);
  /** What was received: valid until the next receive. */
  received: Source = source(new Uint8Array(RECEIVE_SIZE));

  /** Replaces the receive buffer by one of at least `least` bytes. */
  grow(least: number): void {
    this.received = source(new Uint8Array((least + 0xfff) & ~0xfff));
  }

  /** Gives the memory back. */
  [Symbol.dispose](): void {
    const { length } = this.writer.bytes;
    if (length + this.operations.bytes.length <= KEPT_SIZE) idle.push(this);
  }
}

const idle: Memory[] = [];

/** Lends memory to the caller alone: a decoder may make requests while another exchange goes on. */
export function lend(): Memory {
  const memory = idle.pop() ?? new Memory();
  memory.writer.length = memory.operations.length = 0;
  return memory;
}
