/**
 * Creating a link: as few messages as the kernel allows, verified, and undone when any of them fails.
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { SyscallError, withHint } from "../../ffi/errno.ts";
import { open, write } from "../../ffi/file.ts";
import { type NetNsRef, sameNetNs, within } from "../../ffi/namespace.ts";
import { Writer } from "../netlink/bytes.ts";
import type { Result } from "../netlink/outbox.ts";
import { connectionTo, type ResolvedNetNs, resolveNetNs } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { inPlace, show } from "../options.ts";
import { newAddress } from "../rtnetlink/address.ts";
import { IFF } from "../rtnetlink/constants.ts";
import {
  addAltNames,
  deleteLink,
  getLinkMessage,
  type LinkMessage,
  newLink,
  setLink,
} from "../rtnetlink/link.ts";
import type { LinkKind, LinkTarget } from "../rtnetlink/link_kinds/kind.ts";
import { linkKind } from "../rtnetlink/link_info.ts";
import { indexOf, isHandle } from "../rtnetlink/link_target.ts";
import { nsidOf } from "../scope/removal.ts";
import { type Scope, scopes } from "../scope/scope.ts";
import {
  type End,
  endAddress,
  kindData,
  LINK_OPTIONS,
  type LinkEndOptions,
  type LinkOptions,
  type ParentOptions,
  prepareEnd,
  settingNames,
  splitOptions,
  WITH_PARENT,
} from "./options.ts";
import { explainRefusal } from "./supports.ts";
import { verify, withReason } from "./verify.ts";

/** Bytes in an Ethernet address: links of all kinds in the table have one, except TUN. */
export const ETHERNET = 6;

/** A link that was created. */
export interface Created {
  /** Its namespace. */
  readonly netns: ResolvedNetNs;
  /** Its kind. */
  readonly kind: string;
  /** Its index. */
  readonly index: number;
  /** Its name. */
  readonly name: string;
}

/** A link without a kind's own entry: its options are bytes. */
export interface BareKind {
  /** The kernel's name of the kind. */
  readonly kind: string;
  /** IFLA_INFO_DATA. */
  readonly bytes: Uint8Array | undefined;
}

/**
 * Creates a link of a kind of the table: one that is no pair.
 *
 * @param kind The entry of the table.
 * @param options The options of every link, the kind's own, and `parent` for kinds that have one.
 */
export function createKind(kind: LinkKind, options: object): Created {
  const { common, own } = splitOptions<LinkOptions & Partial<ParentOptions>>(
    options,
    kind.options ?? {},
    kind.parent ? WITH_PARENT : LINK_OPTIONS,
  );
  const { parent, ...rest } = common;
  if (kind.parent === "required" || parent !== undefined) checkParent(parent);
  return createLink(kind.kind, rest, (ref, below) => {
    const { data, below: found } = kindData(kind, own, ref, {
      elsewhere: true,
      ...(below && { below }),
    });
    const message: LinkMessage = parent === undefined ? {} : parentMessage(parent, ref);
    message.linkInfo = { kind: kind.kind };
    if (Object.keys(data).length > 0) message.linkInfo.data = data;
    const elsewhere = found ?? below;
    if (elsewhere && !sameNetNs(elsewhere, ref)) message.linkNetnsId ??= nsidOf(ref, elsewhere);
    return message;
  });
}

/** Creates a link of a kind that the table does not have. */
export function createBare(
  { kind, bytes }: BareKind,
  options: LinkOptions & Partial<ParentOptions>,
): Created {
  const { common } = splitOptions<LinkOptions & Partial<ParentOptions>>(options, {}, WITH_PARENT);
  const { parent, ...rest } = common;
  if (parent !== undefined) checkParent(parent);
  return createLink(kind, rest, (ref) => ({
    ...(parent !== undefined && parentMessage(parent, ref)),
    linkInfo: bytes ? { kind, data: bytes } : { kind },
  }));
}

/** Creates a link without a peer. `message` is the part of the creating message that is the kind's. */
function createLink(
  kind: string,
  options: LinkOptions,
  message: (ref: NetNsRef, below: NetNsRef | undefined) => LinkMessage,
): Created {
  const { linkNetns, scope, ...end } = options;
  const netns = resolveEnd(end);
  let below: ResolvedNetNs | undefined;
  try {
    if (linkNetns !== undefined) below = resolveNetNs(linkNetns);
    const addressLength = linkKind(kind) ? ETHERNET : undefined;
    const prepared = prepareEnd(end, { ref: netns.ref, scope, addressLength });
    const extra = message(netns.ref, below?.ref);
    checkEncoding({ ...prepared.first, ...extra });
    const later = new LaterRequests(kind, prepared);
    if (scope !== undefined) scopes.visit(scope, netns.ref);
    const made = extra.linkNetnsId === undefined
      ? { end: prepared, later, got: createEnd(kind, prepared, extra)[0]! }
      : createElsewhere(kind, prepared, later, extra);
    const { index, name } = undoing(
      netns.ref,
      kind,
      made.got,
      () => finishEnd(kind, made.end, made.later, made.got, extra.linkInfo),
    );
    own(scope, kind, made.end, index!, netns);
    return { netns, kind, index: index!, name: name! };
  } catch (error) {
    if (netns.owned) netns.ref.close();
    throw error;
  } finally {
    if (below?.owned) below.ref.close();
  }
}

/** The namespace of an end: its master's, when that is a handle and no namespace is given. */
export function resolveEnd(options: LinkEndOptions): ResolvedNetNs {
  const { netns, master } = options;
  if (netns === undefined && isHandle(master)) return { ref: master.ref, owned: false };
  return resolveNetNs(netns);
}

function checkParent(parent: unknown): void {
  if (parent === undefined) {
    throw new TypeError("parent is missing: the link this one sits on, by handle, name or index");
  }
  if (isHandle(parent) || typeof parent === "string" || typeof parent === "number") return;
  throw new TypeError(`parent must be a link, a name or an index: got ${show(parent)}`);
}

/** A parent in a creating message, also one in another namespace. */
function parentMessage(parent: LinkTarget, ref: NetNsRef): LinkMessage {
  if (isHandle(parent) && !sameNetNs(parent.ref, ref)) {
    return { parent: parent.index, linkNetnsId: nsidOf(ref, parent.ref) };
  }
  return { parent: indexOf(parent, ref, "parent") };
}

/**
 * Finds bad input in the creating message before anything of it is sent.
 *
 * @param message The message.
 * @param place The place of its settings in the options of the call, for errors.
 */
export function checkEncoding(message: LinkMessage, place?: string): void {
  const { format } = newLink(message);
  inPlace(place, () => format.write(new Writer(512), message));
}

/**
 * Sends the creating message, and reads the link back in the same send.
 *
 * @param options The link in an error, and names of other links to read in the same send.
 * @returns The link, and the others.
 */
export function createEnd(
  kind: string,
  end: End,
  extra: LinkMessage,
  options: { readonly what?: string; readonly also?: readonly string[] } = {},
): LinkMessage[] {
  const { what = `${kind} ${show(end.options.name)}`, also = [] } = options;
  const message: LinkMessage = { ...end.first, ...extra };
  const connection = connectionTo(end.ref);
  const [made, ...reads] = connection.batch([
    { ...newLink(message), operation: `create ${what}` },
    ...[message.name!, ...also].map((name) => getLinkMessage(name)),
  ]) as [Result<undefined>, ...Result<LinkMessage>[]];
  if (!made.ok) throw refusal(kind, made.error, message, end.ref);
  return reads.map((read) => {
    if (read.ok) return read.value;
    // The link exists, but only its name is known.
    connection.request(deleteLink({ name: message.name! }));
    throw read.error;
  });
}

/**
 * Creates a link whose parent is in another namespace. Before Linux 6.15 the kernel creates it there and
 * moves it: it goes down on the way, and its name must not be taken there either.
 */
function createElsewhere(
  kind: string,
  prepared: End,
  later: LaterRequests,
  extra: LinkMessage,
): { end: End; later: LaterRequests; got: LinkMessage } {
  const { flags = 0, change = 0, ...first } = prepared.first;
  let end = prepared;
  if (change) {
    end = { ...prepared, first, later: { ...prepared.later, flags, change } };
    later = new LaterRequests(kind, end);
  }
  try {
    return { end, later, got: createEnd(kind, end, extra)[0]! };
  } catch (error) {
    const { options, ref } = end;
    if (!(error instanceof NetlinkError) || error.code !== "EEXIST") throw error;
    const [here] = connectionTo(ref).batch([getLinkMessage(options.name)]);
    if (here!.ok) throw error;
    const name = `nl${crypto.randomUUID().slice(-12)}`;
    const draft: End = { ...end, first: { ...first, name } };
    try {
      const got = createEnd(kind, draft, extra)[0]!;
      const renamed: End = { ...end, later: { name: options.name, ...end.later } };
      return { end: renamed, later: new LaterRequests(kind, renamed), got };
    } catch {
      // The name was not the reason.
      throw error;
    }
  }
}

/**
 * The requests for settings that the creating message cannot carry. They are encoded at once, so that bad
 * input is found before anything exists, and get the link's index as soon as it is known.
 */
export class LaterRequests {
  readonly #kind: string;
  readonly #end: End;
  readonly #bodies: readonly Uint8Array<ArrayBuffer>[];

  /** Encodes the requests for one end. */
  constructor(kind: string, end: End) {
    this.#kind = kind;
    this.#end = end;
    this.#bodies = inPlace(
      end.place,
      () =>
        laterRequests(kind, end, 1).map(({ format, message }) => {
          const writer = new Writer(256);
          format.write(writer, message);
          return writer.bytes.subarray(0, writer.length);
        }),
    );
  }

  /** The requests for the link with an index. */
  for(index: number): Request[] {
    return laterRequests(this.#kind, this.#end, index).map((request, i) => ({
      ...request,
      format: {
        ...request.format,
        write: (writer) => {
          const at = writer.length;
          writer.append(this.#bodies[i]!);
          // `ifi_index` and `ifa_index` stand at the same place.
          writer.view.setUint32(at + 4, index, true);
        },
      },
    }));
  }
}

function laterRequests(kind: string, end: End, index: number): Request[] {
  const { options, later } = end;
  const what = `${kind} ${show(options.name)}`;
  const { flags = 0, change = 0, ...settings } = later;
  const requests: Request[] = [];
  if (Object.keys(settings).length > 0) requests.push(...changeRequests(index, settings, what));
  if (change) requests.push(setLink({ index, flags, change }, what));
  if (options.altNames?.length) requests.push(addAltNames(index, [...options.altNames], what));
  for (const address of options.addresses ?? []) {
    const message = endAddress(address, index, options.nodad);
    const operation = `add address ${message.address} to ${what}`;
    requests.push({ ...newAddress(message), operation });
  }
  return requests;
}

/**
 * The requests for a change. A message's port options go to the master that the link had before the
 * message: where both change, the port options need a message of their own.
 */
export function changeRequests(
  index: number,
  message: LinkMessage,
  what: string,
): Request<undefined>[] {
  const { flags = 0, change = 0, ...still } = message;
  // Linux 6.1 brings a link up before it looks at the rest of the message.
  if (message.afSpec && flags & change & IFF.UP) {
    return [still, { flags, change }].flatMap((part) => changeRequests(index, part, what));
  }
  const { linkInfo: { portKind, portData, ...info } = {}, ...rest } = message;
  const settings = settingNames(message);
  // The kernel rarely names the setting that it refuses.
  if (settings.length > 0) what = `${settings.join(", ")} of ${what}`;
  if (!message.master || portData === undefined) return [setLink({ ...message, index }, what)];
  const first: LinkMessage = { ...rest, index };
  if (Object.keys(info).length > 0) first.linkInfo = info;
  const port = portKind === undefined ? { portData } : { portKind, portData };
  return [setLink(first, what), setLink({ index, linkInfo: port }, what)];
}

/**
 * Applies what RTM_NEWLINK cannot carry, then verifies the result.
 *
 * @param got The link as read back after its creation; with its index alone, it is read here.
 * @param linkInfo The kind and its options, as they were asked for.
 */
export function finishEnd(
  kind: string,
  end: End,
  later: LaterRequests,
  got: LinkMessage,
  linkInfo: LinkMessage["linkInfo"] = {},
): LinkMessage {
  const { ref, options, first } = end;
  if (options.nodad) disableDad(ref, got.name ?? options.name, options);
  const requests = later.for(got.index!);
  let last = got;
  if (requests.length > 0 || got.name === undefined) {
    const results = connectionTo(ref).batch([...requests, getLinkMessage(got.index!)]);
    for (const result of results) {
      if (!result.ok) throw refusal(kind, result.error, { ...end.later, index: got.index! }, ref);
    }
    last = (results.at(-1) as { value: LinkMessage }).value;
  }
  const asked: LinkMessage = {
    ...first,
    ...end.later,
    linkInfo: { ...linkInfo, ...end.later.linkInfo },
  };
  try {
    verify(asked, last, `${kind} ${show(options.name)}`, ref);
  } catch (error) {
    throw explainRefusal(kind, asked.linkInfo, error as Error);
  }
  return last;
}

/** The error for a refused message: an option that the kernel lacks, or the reason where one is known. */
export function refusal(kind: string, error: Error, message: LinkMessage, ref: NetNsRef): Error {
  const explained = explainRefusal(kind, message.linkInfo, error);
  return explained === error ? withReason(error, message, ref) : explained;
}

/** Runs `step`; when it throws, the link is deleted. */
export function undoing<T>(ref: NetNsRef, kind: string, link: LinkMessage, step: () => T): T {
  try {
    return step();
  } catch (error) {
    try {
      connectionTo(ref).request(deleteLink({ index: link.index! }, `${kind} ${show(link.name)}`));
    } catch (undo) {
      if (!(undo instanceof NetlinkError) || undo.code !== "ENODEV") {
        throw new SuppressedError(undo, error);
      }
    }
    throw error;
  }
}

/** Hands a finished end to its scope, with the reference that was opened for it. */
export function own(
  scope: Scope | undefined,
  kind: string,
  { options, ref }: End,
  index: number,
  netns: ResolvedNetNs,
  close?: () => void,
): void {
  if (netns.owned) scope?.use(ref);
  if (scope === undefined) return;
  scopes.addLink(scope, {
    ref,
    index,
    what: `${kind} ${show(options.name)}`,
    ipv6: asksForIpv6(options),
    ...(close && { close }),
  });
}

function asksForIpv6({ addresses = [] }: LinkEndOptions): boolean {
  return addresses.some((it) => (typeof it === "string" ? it : it.address).includes(":"));
}

/** Turns duplicate address detection off, before the link comes up. */
function disableDad(ref: NetNsRef, name: string, options: LinkEndOptions): void {
  const path = `/proc/sys/net/ipv6/conf/${name}/accept_dad`;
  const what = `switch off duplicate address detection of ${show(name)}`;
  try {
    within(ref, () => {
      using file = open(path, C.O_WRONLY, what);
      write(file, new TextEncoder().encode("0"), what);
    });
  } catch (error) {
    // A link without IPv6 (`ipv6.disable=1`, an MTU below 1280) detects no duplicates anyway.
    const none = error instanceof SyscallError && error.code === "ENOENT";
    if (!none) throw error;
    if (asksForIpv6(options)) {
      throw withHint(error, "the link has no IPv6: its MTU is below 1280, or ipv6.disable is set");
    }
  }
}
