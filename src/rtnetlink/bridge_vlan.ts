/**
 * VLANs of bridges and their ports: RTM_SETLINK, RTM_DELLINK and RTM_GETLINK with family AF_BRIDGE
 * (`linux/if_bridge.h`).
 *
 * @module
 */
import {
  type Field,
  forEachAttribute,
  struct,
  u16,
  u32,
  writeAttribute,
} from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import type { DumpRequest, MessageFormat, Request } from "../netlink/message.ts";
import { nested, type Schema, schema } from "../netlink/schema.ts";
import { AF, RTEXT_FILTER, RTM } from "./constants.ts";
import { IFLA } from "./link_attributes.ts";
import { checkOptions, integer, type OptionNames } from "../options.ts";

/** Attribute numbers inside IFLA_AF_SPEC of family AF_BRIDGE. */
export const IFLA_BRIDGE = {
  FLAGS: 0,
  MODE: 1,
  VLAN_INFO: 2,
  VLAN_TUNNEL_INFO: 3,
  MRP: 4,
  CFM: 5,
  MST: 6,
} as const;

/** Addressee of a bridge message: the bridge that the link is a port of, or the link itself. */
export const BRIDGE_FLAGS = { MASTER: 1, SELF: 2 } as const;

/** Flags of a VLAN. */
export const BRIDGE_VLAN_INFO = {
  MASTER: 1 << 0,
  PVID: 1 << 1,
  UNTAGGED: 1 << 2,
  RANGE_BEGIN: 1 << 3,
  RANGE_END: 1 << 4,
  BRENTRY: 1 << 5,
  ONLY_OPTS: 1 << 6,
} as const;

/** Attribute numbers of VLAN messages (RTM_GETVLAN), and of a VLAN in them. */
export const BRIDGE_VLANDB = { ENTRY: 1, GLOBAL_OPTIONS: 2 } as const;

/** Attribute numbers of a VLAN in a VLAN message. */
export const BRIDGE_VLANDB_ENTRY = { INFO: 1, RANGE: 2 } as const;

/** One VLAN, or all from `vid` to `end`. */
export interface BridgeVlanRange {
  /** VLAN id, 1..4094. */
  readonly vid: number;
  /** The last VLAN id of a range, 1..4094. */
  readonly end?: number;
}

/** VLANs a bridge or a port is in. */
export interface BridgeVlan extends BridgeVlanRange {
  /** Frames that come in without a tag are in this VLAN. */
  readonly pvid: boolean;
  /** Frames of it go out without a tag. */
  readonly untagged: boolean;
}

/** VLANs to be added to a port or a bridge, or to be removed from it. */
export interface BridgeVlanMessage extends BridgeVlanSelector {
  /** Frames that come in without a tag are in this VLAN: one VLAN only. Default: false. */
  readonly pvid?: boolean;
  /** Frames of it go out without a tag. Default: false. */
  readonly untagged?: boolean;
}

/** VLANs to be removed from a port or a bridge. */
export interface BridgeVlanSelector extends BridgeVlanRange {
  /** Index of the port, or of the bridge. */
  readonly index: number;
  /** The bridge itself, not a port of it. Default: false. */
  readonly self?: boolean;
}

const SELECTOR: OptionNames<BridgeVlanSelector> = {
  vid: true,
  end: true,
  index: true,
  self: true,
};

const MESSAGE: OptionNames<BridgeVlanMessage> = { ...SELECTOR, pvid: true, untagged: true };

/** The VLANs of a port or a bridge as the kernel reports them. */
export interface BridgeVlanInfo {
  /** Index of the port, or of the bridge. */
  readonly index: number;
  /** Its VLANs, ascending. */
  readonly vlans: BridgeVlan[];
}

/** `struct bridge_vlan_info`. */
interface VlanEntry {
  readonly flags: number;
  readonly vid: number;
}

const vlanEntry: Field<VlanEntry> = struct(IFLA_BRIDGE.VLAN_INFO, 4, (view, at, value) => {
  view.setUint16(at, value.flags, true);
  view.setUint16(at + 2, value.vid, true);
}, (view, at) => ({ flags: view.getUint16(at, true), vid: view.getUint16(at + 2, true) }));

const vlanSchema: Schema<{ flags?: number; vlan?: VlanEntry }> = schema(
  "IFLA_BRIDGE_",
  IFLA_BRIDGE,
  {
    flags: u16(IFLA_BRIDGE.FLAGS),
    vlan: vlanEntry,
  },
);

/** The attributes a VLAN message has, for naming them in errors. */
const attributes: Schema<{ vlans?: object; extMask?: number }> = schema("IFLA_", IFLA, {
  vlans: { ...vlanEntry, type: IFLA.AF_SPEC, schema: vlanSchema },
  extMask: u32(IFLA.EXT_MASK),
});

/** Reads the VLANs in a bridge message. */
export function readBridgeVlans(source: Source, start: number, end: number): BridgeVlanInfo {
  const vlans: BridgeVlan[] = [];
  let begin = 0;
  forEachAttribute(source, start + 16, end, (type, at, length) => {
    if (type !== IFLA.AF_SPEC) return;
    forEachAttribute(source, at, at + length, (type, at, length) => {
      if (type !== IFLA_BRIDGE.VLAN_INFO) return;
      const { flags, vid } = vlanEntry.read(source, at, length);
      if (flags & BRIDGE_VLAN_INFO.RANGE_BEGIN) {
        begin = vid;
        return;
      }
      vlans.push({
        ...(flags & BRIDGE_VLAN_INFO.RANGE_END ? { vid: begin, end: vid } : { vid }),
        pvid: (flags & BRIDGE_VLAN_INFO.PVID) !== 0,
        untagged: (flags & BRIDGE_VLAN_INFO.UNTAGGED) !== 0,
      });
    });
  });
  return { index: source.view.getInt32(start + 4, true), vlans };
}

/** Appends `struct ifinfomsg` of family AF_BRIDGE. */
function writeHeader(writer: Writer, index: number): void {
  const at = writer.reserve(16);
  writer.view.setUint8(at, AF.BRIDGE);
  writer.view.setInt32(at + 4, index, true);
}

/**
 * Checks the ids of a VLAN or a range of them.
 *
 * @throws {TypeError} For what is no integer.
 * @throws {RangeError} For an id out of range, and for an `end` below `vid`.
 */
export function checkVlanRange({ vid, end = vid }: BridgeVlanRange): void {
  integer(vid, "vid", 1, 4094);
  integer(end, "end", 1, 4094);
  if (end < vid) throw new RangeError(`end must not be below vid ${vid}: got ${end}`);
}

function writeVlans(writer: Writer, message: BridgeVlanMessage): void {
  const { index, vid, end, self = false, pvid = false, untagged = false } = message;
  checkVlanRange(message);
  const isRange = end !== undefined && end > vid;
  if (pvid && isRange) {
    throw new TypeError(`pvid is for one VLAN: got the range ${vid}-${end}`);
  }
  const flags = (pvid ? BRIDGE_VLAN_INFO.PVID : 0) | (untagged ? BRIDGE_VLAN_INFO.UNTAGGED : 0);
  writeHeader(writer, index);
  const at = writer.begin(IFLA.AF_SPEC);
  writeAttribute(
    writer,
    vlanSchema.fields.flags,
    self ? BRIDGE_FLAGS.SELF : BRIDGE_FLAGS.MASTER,
    "self",
  );
  const entry = (flags: number, vid: number) =>
    writeAttribute(writer, vlanEntry, { flags, vid }, "");
  if (isRange) {
    entry(flags | BRIDGE_VLAN_INFO.RANGE_BEGIN, vid);
    entry(flags | BRIDGE_VLAN_INFO.RANGE_END, end);
  } else entry(flags, vid);
  writer.end(at);
}

/** The framing of VLAN messages. */
export const bridgeVlanFormat: MessageFormat<BridgeVlanMessage, BridgeVlanInfo> = {
  headerLength: 16,
  schemaOf: () => attributes,
  write: writeVlans,
  read: readBridgeVlans,
};

function words({ index, vid, end, self, pvid, untagged }: BridgeVlanMessage): string {
  return ` dev if${index} vid ${vid}${end === undefined || end === vid ? "" : `-${end}`}` +
    (pvid ? " pvid" : "") + (untagged ? " untagged" : "") + (self ? " self" : " master");
}

function request(
  type: number,
  typeName: string,
  verb: string,
  message: BridgeVlanMessage,
  what: string,
): Request<undefined> {
  const { vid, end } = message;
  return {
    type,
    typeName,
    flags: 0,
    operation: `${verb} vlan ${vid}${end === undefined ? "" : `-${end}`} of ${what}`,
    format: bridgeVlanFormat,
    message,
    command: () => `bridge vlan ${verb}${words(message)}`,
  };
}

/**
 * Adds VLANs to a port, or with `self` to a bridge. Where they are there already, they get the `pvid`
 * and `untagged` of this message.
 *
 * @param message The VLANs.
 * @param what The port or bridge in an error: `port "tap1"`.
 * @throws {TypeError} For an unknown option.
 */
export function addBridgeVlan(
  message: BridgeVlanMessage,
  what = `link ${message.index}`,
): Request<undefined> {
  checkOptions(message, MESSAGE);
  return request(RTM.SETLINK, "RTM_SETLINK", "add", message, what);
}

/**
 * Removes VLANs from a port, or with `self` from a bridge. Those that are not there are no error.
 *
 * @param message The VLANs.
 * @param what The port or bridge in an error: `port "tap1"`.
 */
export function deleteBridgeVlan(
  message: BridgeVlanSelector,
  what = `link ${message.index}`,
): Request<undefined> {
  checkOptions(message, SELECTOR);
  return request(RTM.DELLINK, "RTM_DELLINK", "delete", message, what);
}

/** A filter for VLANs. */
export interface BridgeVlanFilter {
  /** Only those of this port or bridge. */
  readonly index?: number;
}

const FILTER: OptionNames<BridgeVlanFilter> = { index: true };

/** Reads the VLANs of all bridges and their ports. The kernel sends all; the filter is applied here. */
export function dumpBridgeVlans(filter: BridgeVlanFilter = {}): DumpRequest<BridgeVlanInfo> {
  checkOptions(filter, FILTER);
  const { index } = filter;
  return {
    type: RTM.GETLINK,
    typeName: "RTM_GETLINK",
    flags: 0,
    operation: "list vlans",
    format: {
      ...bridgeVlanFormat,
      write: (writer: Writer) => {
        writeHeader(writer, 0);
        attributes.write(writer, { extMask: RTEXT_FILTER.BRVLAN_COMPRESSED });
      },
    },
    message: filter,
    reply: readBridgeVlans,
    filter: (entry) => index === undefined || entry.index === index,
    command: () => `bridge -compressvlans vlan show${index === undefined ? "" : ` dev if${index}`}`,
  };
}

/** Size of `struct br_vlan_msg`. */
const VLAN_HEADER = 8;

const vlanEntrySchema: Schema<{ info?: VlanEntry; range?: number }> = schema(
  "BRIDGE_VLANDB_ENTRY_",
  BRIDGE_VLANDB_ENTRY,
  {
    info: { ...vlanEntry, type: BRIDGE_VLANDB_ENTRY.INFO },
    range: u16(BRIDGE_VLANDB_ENTRY.RANGE),
  },
);

const vlanDbSchema: Schema<{ entry?: object }> = schema("BRIDGE_VLANDB_", BRIDGE_VLANDB, {
  entry: nested(BRIDGE_VLANDB.ENTRY, vlanEntrySchema),
});

/** Reads the VLANs in a VLAN message, RTM_NEWVLAN. */
function readVlanDb(source: Source, start: number, end: number): BridgeVlanInfo {
  const vlans: BridgeVlan[] = [];
  forEachAttribute(source, start + VLAN_HEADER, end, (type, at, length) => {
    if (type !== BRIDGE_VLANDB.ENTRY) return;
    const { info = { vid: 0, flags: 0 }, range } = vlanEntrySchema.read(source, at, at + length);
    vlans.push({
      vid: info.vid,
      ...(range === undefined ? {} : { end: range }),
      pvid: (info.flags & BRIDGE_VLAN_INFO.PVID) !== 0,
      untagged: (info.flags & BRIDGE_VLAN_INFO.UNTAGGED) !== 0,
    });
  });
  return { index: source.view.getUint32(start + 4, true), vlans };
}

/**
 * Reads the VLANs of one port or bridge: the kernel sends no others. A long list comes in several parts.
 * EOPNOTSUPP where the kernel has no VLANs of bridges. Linux 5.6.
 *
 * @param index Index of the port or bridge.
 */
export function dumpVlansOf(index: number): DumpRequest<BridgeVlanInfo> {
  return {
    type: RTM.GETVLAN,
    typeName: "RTM_GETVLAN",
    flags: 0,
    operation: `list vlans of link ${index}`,
    format: {
      headerLength: VLAN_HEADER,
      schemaOf: () => vlanDbSchema,
      write: (writer: Writer, { index }: { readonly index: number }) => {
        const at = writer.reserve(VLAN_HEADER);
        writer.view.setUint8(at, AF.BRIDGE);
        writer.view.setUint32(at + 4, index, true);
      },
      read: readVlanDb,
    },
    message: { index },
    reply: readVlanDb,
    command: () => `bridge -d vlan show dev if${index}`,
  };
}
