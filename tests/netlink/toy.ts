// A message family of the tests' own: a header of four bytes and a few attributes.
import { flag, text, u16, u32, u8 } from "../../src/netlink/attribute.ts";
import type { Source, Writer } from "../../src/netlink/bytes.ts";
import type { DumpRequest, MessageFormat, Request } from "../../src/netlink/message.ts";
import { nested, type Schema, schema } from "../../src/netlink/schema.ts";

export const TOY = { SIZE: 1, NAME: 2, PARTS: 3, LOUD: 4, PAD: 5 } as const;
export const TOY_PART = { WIDTH: 1, DEEP: 2, HEIGHT: 3 } as const;

export interface ToyPart {
  width?: number;
  deep?: { depth?: number };
  height?: number;
}

export interface Toy {
  size?: number;
  name?: string;
  parts?: ToyPart;
  loud?: boolean;
}

const deep = schema<{ depth?: number }>("TOY_DEEP_", { DEPTH: 1 }, { depth: u8(1, { max: 9 }) });

const part = schema<ToyPart>("TOY_PART_", TOY_PART, {
  width: u16(TOY_PART.WIDTH),
  deep: nested(TOY_PART.DEEP, deep),
  height: u16(TOY_PART.HEIGHT),
});

export const toySchema: Schema<Toy> = schema<Toy>("TOY_", TOY, {
  size: u32(TOY.SIZE),
  name: text(TOY.NAME, 7),
  parts: nested(TOY.PARTS, part),
  loud: flag(TOY.LOUD),
}, [TOY.PAD]);

const toyFormat: MessageFormat<Toy> = {
  headerLength: 4,
  schemaOf: () => toySchema,
  write: (writer: Writer, toy: Toy) => {
    writer.reserve(4);
    toySchema.write(writer, toy);
  },
  read: (source: Source, start: number, end: number) => toySchema.read(source, start + 4, end),
};

export const NEW_TOY = 100;
export const GET_TOY = 102;

/** A request that is acknowledged. */
export function newToy(toy: Toy): Request<undefined> {
  return {
    type: NEW_TOY,
    typeName: "NEW_TOY",
    flags: 0,
    operation: `make toy ${toy.name ?? "?"}`,
    format: toyFormat,
    message: toy,
    command: () => `toy add ${toy.name}`,
  };
}

/** A request that is answered with a toy. */
export function getToy(name: string): Request<Toy> {
  return {
    ...newToy({ name }),
    type: GET_TOY,
    operation: `get toy ${name}`,
    reply: toyFormat.read,
  };
}

/** A request for all toys. */
export function dumpToys(filter?: (toy: Toy) => boolean): DumpRequest<Toy> {
  const request = { ...getToy("x"), operation: "list toys", message: {}, reply: toyFormat.read };
  return filter ? { ...request, filter } : request;
}
