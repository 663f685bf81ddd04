/**
 * Reads the layout of C structs from the kernel's UAPI headers.
 *
 * @module
 */
import { exists } from "./_packages.ts";

/** Where the members of a struct are. */
export interface Layout {
  /** Size in bytes. */
  readonly size: number;
  /** Offset of each member in bytes, in the order of declaration. */
  readonly offsets: ReadonlyMap<string, number>;
}

const WIDTHS: Readonly<Record<string, number>> = {
  "char": 1,
  "unsigned char": 1,
  "__u8": 1,
  "__s8": 1,
  "short": 2,
  "unsigned short": 2,
  "__kernel_sa_family_t": 2,
  "__u16": 2,
  "__be16": 2,
  "int": 4,
  "unsigned": 4,
  "unsigned int": 4,
  "__s32": 4,
  "__u32": 4,
  "__be32": 4,
  "__poll_t": 4,
  "__u64": 8,
  "__s64": 8,
};

/**
 * The layout of a struct of integers, arrays of them, and structs of the same header.
 *
 * @param includeDirs Where to search the header
 * @param file The header: `linux/if_link.h`
 * @param name The struct's name
 * @param packed Without room for alignment
 * @throws {Error} If there is no such struct, or a member is of a type that is not known here
 */
export function readStruct(
  includeDirs: readonly string[],
  file: string,
  name: string,
  packed = false,
): Layout {
  const dir = includeDirs.find((dir) => exists([dir], file));
  // Members that depend on a condition would come out wrong; the structs of the UAPI have none.
  const text = Deno.readTextFileSync(`${dir}/${file}`)
    .replace(/\/\*[^]*?\*\/|\/\/.*/g, "").replace(/^\s*#.*$/gm, "");
  return layoutOf(text, name, packed);
}

function layoutOf(text: string, name: string, packed: boolean): Layout {
  const body = new RegExp(`struct\\s+${name}\\s*\\{([^}]*)\\}`).exec(text)?.[1];
  if (body === undefined) throw new Error(`There is no struct ${name}`);
  const offsets = new Map<string, number>();
  let size = 0;
  let alignment = 1;
  for (const declaration of body.split(";").map((it) => it.trim()).filter(Boolean)) {
    const [, type, list] = /^((?:struct\s+)?(?:unsigned\s+)?\w+)\s+(.+)$/s.exec(declaration) ?? [];
    if (type === undefined || list === undefined) throw new Error(`${name}: ${declaration}`);
    const inner = type.startsWith("struct ") ? layoutOf(text, type.slice(7), packed).size : 0;
    const width = WIDTHS[type.replace(/\s+/g, " ")] ?? inner;
    if (width === 0) throw new Error(`${name}: what is ${type}?`);
    const natural = packed ? 1 : inner ? 4 : width;
    alignment = Math.max(alignment, natural);
    for (const member of list.split(",")) {
      const [, key, count] = /^\s*(\w+)\s*(?:\[(\d*)\])?\s*$/.exec(member) ?? [];
      if (key === undefined) throw new Error(`${name}: ${declaration}`);
      size = Math.ceil(size / natural) * natural;
      offsets.set(key, size);
      size += width * (count === undefined ? 1 : Number(count));
    }
  }
  return { size: Math.ceil(size / alignment) * alignment, offsets };
}
