/**
 * The link kinds whose options have a schema. A kind's own file registers it; a kind that is not here
 * has its options as raw bytes.
 *
 * @module
 */
import type { Schema } from "../netlink/schema.ts";

/** What the codec needs to know of a link kind. */
export interface LinkKind {
  /** The kernel's name: `bridge`. */
  readonly kind: string;
  /** The options in IFLA_INFO_DATA. */
  readonly data?: Schema<object>;
  /** The options of a member, in IFLA_INFO_SLAVE_DATA. */
  readonly member?: Schema<object>;
  /** Times the kernel keeps in its own clock ticks: what is read back may differ by one. */
  readonly rounded?: readonly string[];
  /** Options the kernel does not report: commands, and what it ignores. */
  readonly notReadBack?: readonly string[];
  /** Whether an option was taken though it reads other than asked for. */
  readonly tolerates?: (option: string, asked: unknown, read: object) => boolean;
  /** How iproute2 says options that it does not say as the kernel does, in lower case. */
  readonly commandNames?: CommandNames;
  /** The same for the options of a member. */
  readonly memberCommandNames?: CommandNames;
}

/** By option: iproute2's name for it, or what makes all the words of it (none: it has none). */
export type CommandNames = Readonly<Record<string, string | ((value: unknown) => string)>>;

const kinds = new Map<string, LinkKind>();

/** Makes a kind known. */
export function registerKind<T extends object, M extends object = object>(
  kind: Omit<LinkKind, "data" | "member"> & {
    readonly data?: Schema<T>;
    readonly member?: Schema<M>;
  },
): void {
  kinds.set(kind.kind, kind as unknown as LinkKind);
}

/** The names of the registered kinds, sorted. */
export function linkKindNames(): string[] {
  return [...kinds.keys()].sort();
}

/** A kind's registration. */
export function linkKind(kind: string | undefined): LinkKind | undefined {
  return kind === undefined ? undefined : kinds.get(kind);
}
