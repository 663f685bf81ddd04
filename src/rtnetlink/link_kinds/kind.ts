/**
 * The form of a link kind: one entry of the table in `table.ts`, from which the codec, the checks of
 * options, the verification, the trace, `supports()` and the documentation follow.
 *
 * @module
 */
import type { NetNsRef } from "../../../ffi/namespace.ts";
import type { Schema } from "../../netlink/schema.ts";

/** Something that is a link: a `Link`. */
export interface LinkHandle {
  /** Its namespace. */
  readonly ref: NetNsRef;
  /** Its index there. */
  readonly index: number;
}

/** Another link: a handle, a name or alternative name, or an index; the last two in this link's namespace. */
export type LinkTarget = LinkHandle | string | number;

/** Options of a kind that has none. */
export type NoOptions = Record<never, never>;

/** Option names of a kind: `true`, or the names inside where an option is an object of options. */
export type KindOptionNames = Readonly<Record<string, true | Readonly<Record<string, unknown>>>>;

/** iproute2's word for an option, or a function that returns all its words (none: iproute2 has none). */
export type CommandNames = Readonly<Record<string, string | ((value: unknown) => string)>>;

/** Requirement of an option on the kernel. */
export interface OptionRequirement {
  /** The kernel's build option: `BRIDGE_VLAN_FILTERING`. */
  readonly config?: string;
  /** The first Linux version with the option: `6.7`. */
  readonly linux?: string;
  /** For `supports()`: a value to try, or several options where one does not do. */
  readonly probe: unknown;
}

/** An attribute set of a kind with the public options it stands for. */
export interface KindOptions<O extends object, I extends object, D extends object> {
  /** The attribute set on the wire. */
  readonly data: Schema<D>;
  /** The public names of the options; default: none. */
  readonly options?: KindOptionNames;
  /** Options whose value is another link. On the wire they are indexes. */
  readonly links?: readonly string[];
  /**
   * Public options as the wire groups them; default: unchanged.
   *
   * @param options Checked against `options`; links are indexes by now.
   * @param current Reads the options of the living link; absent at creation.
   */
  encode?(options: O, current?: () => I): D;
  /** The wire's values as public options; default: unchanged. */
  decode?(data: D): I;
  /** Options that not every kernel has. */
  readonly requires?: Readonly<Record<string, OptionRequirement>>;
  /** Times that the kernel keeps in clock ticks: a value read back may differ by one. */
  readonly rounded?: readonly string[];
  /** Options that the kernel does not report: commands, and options that it ignores. */
  readonly notReadBack?: readonly string[];
  /** Whether an option was taken though it reads back otherwise. */
  tolerates?(option: string, asked: unknown, read: object): boolean;
  /** iproute2's words for options whose name is not the kernel's in lower case. */
  readonly commandNames?: CommandNames;
}

/** The options of a link as a port of its master (IFLA_INFO_SLAVE_DATA). */
export interface PortKind<
  O extends object = object,
  I extends object = object,
  D extends object = object,
> extends KindOptions<O, I, D> {
  /** Whether the master takes only links that are down, and brings them up itself. */
  readonly joinsDown?: true;
  /** Why a port does not carry packets yet; `undefined` when it does. */
  waitsFor?(port: I): string | undefined;
}

/** A link kind. */
export interface LinkKind<
  O extends object = object,
  I extends object = object,
  D extends object = object,
> extends KindOptions<O, I, D> {
  /** The kernel's name: `bridge`. */
  readonly kind: string;
  /** The kernel's build option that brings the kind, without `CONFIG_`. */
  readonly config: string;
  /** The kernel module with the kind, where its name is not the kind's. */
  readonly module?: string;
  /** Whether the link sits on another one, its parent (IFLA_LINK). */
  readonly parent?: "required" | "optional";
  /** Whether the kernel refuses an MTU above the parent's. */
  readonly mtuUpToParent?: true;
  /** The call that creates such links, where RTM_NEWLINK does not. */
  readonly createdBy?: string;
  /** Whether IFLA_LINK is the other end of a pair. */
  readonly pair?: true;
  /** The options of a port, where links of this kind are masters with such options. */
  readonly port?: PortKind;
}

/** A kind whose links are masters with options for their ports. */
export interface MasterKind<
  O extends object,
  I extends object,
  D extends object,
  PO extends object,
  PI extends object,
> extends LinkKind<O, I, D> {
  /** The options of a port. */
  readonly port: PortKind<PO, PI>;
}

/** The public options that a kind reports. */
export type InfoOf<K> = K extends LinkKind<infer _O, infer I> ? I : never;

/** The public options of a port of a kind, as reported; `never` for kinds without. */
export type PortInfoOf<K> = K extends { readonly port: PortKind<infer _O, infer I> } ? I : never;

/** The public options of a port of a kind, to be set; `never` for kinds without. */
export type PortOptionsOf<K> = K extends { readonly port: PortKind<infer O> } ? O : never;
