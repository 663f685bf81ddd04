/**
 * Making a link: as few messages as the kernel allows, checked, and undone when any of them fails.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import { open, write } from "../../ffi/file.ts";
import { type NetNsRef, within } from "../../ffi/namespace.ts";
import { Writer } from "../netlink/bytes.ts";
import type { Result } from "../netlink/outbox.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { type ResolvedNetNs, resolveNetNs } from "../netlink/target.ts";
import { newAddress } from "../rtnetlink/address.ts";
import { IFF } from "../rtnetlink/constants.ts";
import {
  addAltNames,
  deleteLink,
  getLink,
  type LinkInfo,
  type LinkMessage,
  newLink,
  setLink,
} from "../rtnetlink/link.ts";
import type { Scope } from "../scope/scope.ts";
import {
  type End,
  endAddress,
  type LinkEndOptions,
  type LinkOptions,
  prepareEnd,
  settingNames,
} from "./options.ts";
import { UnsupportedError } from "./unsupported.ts";
import { verify } from "./verify.ts";
import { show } from "../options.ts";

/** A link that was made. */
export interface Created {
  /** Its namespace. */
  readonly netns: ResolvedNetNs;
  /** As the kernel reported it last. */
  readonly info: LinkInfo;
}

/** Makes a link without a peer. `message` adds what the kind needs beyond its options. */
export function createLink(
  kind: string,
  options: LinkOptions,
  data: object | undefined,
  message: (ref: NetNsRef) => LinkMessage = () => ({}),
): Created {
  const netns = resolveEnd(options);
  try {
    const prepared = prepareEnd(options, netns.ref, options.scope);
    checkLater(kind, prepared);
    options.scope?.visit(netns.ref);
    const extra = message(netns.ref);
    const { end, info } = extra.linkNetnsId === undefined
      ? { end: prepared, info: createEnd(kind, prepared, data, extra) }
      : createElsewhere(kind, prepared, data, extra);
    const finished = undoing(
      end.ref,
      kind,
      info,
      () => finishEnd(kind, end, info.index, info, data),
    );
    own(options.scope, kind, end, finished, netns);
    return { netns, info: finished };
  } catch (error) {
    if (netns.owned) netns.ref.close();
    throw error;
  }
}

/** Resolves where an end lives: with its master when that is a handle and nothing else is said. */
export function resolveEnd(options: LinkEndOptions): ResolvedNetNs {
  const { netns, master } = options;
  if (netns === undefined && typeof master === "object" && master !== null) {
    return { ref: master.ref, owned: false };
  }
  return resolveNetNs(netns);
}

/** Sends the creating message, and reads the link back in the same send. */
export function createEnd(
  kind: string,
  end: End,
  data: object | undefined,
  extra: LinkMessage = {},
  what: string = `${kind} ${show(end.options.name)}`,
): LinkInfo {
  const message: LinkMessage = {
    ...end.first,
    ...extra,
    linkInfo: data && Object.keys(data).length > 0 ? { kind, data } : { kind },
  };
  const connection = connectionTo(end.ref);
  const [made, read] = connection.batch([
    { ...newLink(message), operation: `create ${what}` },
    getLink(end.options.name, { stats: false }),
  ]) as [Result<undefined>, Result<LinkInfo>];
  if (!made.ok) throw UnsupportedError.of(kind, made.error) ?? made.error;
  if (!read.ok) {
    // Made, and nothing known of it but the name it was given a moment ago.
    connection.request(deleteLink({ name: end.options.name }));
    throw read.error;
  }
  return read.value;
}

/**
 * Makes a link whose parent is in another namespace. Before Linux 6.15 the kernel makes it there and
 * moves it: it goes down on the way, and its name must not be taken there either.
 */
function createElsewhere(
  kind: string,
  prepared: End,
  data: object | undefined,
  extra: LinkMessage,
): { end: End; info: LinkInfo } {
  const { flags = 0, change = 0, ...first } = prepared.first;
  const later = change ? { ...prepared.later, flags, change } : prepared.later;
  const end: End = { ...prepared, first, later };
  try {
    return { end, info: createEnd(kind, end, data, extra) };
  } catch (error) {
    const { options, ref } = end;
    if (!(error instanceof NetlinkError) || error.code !== "EEXIST") throw error;
    const [here] = connectionTo(ref).batch([getLink(options.name, { stats: false })]);
    if (here!.ok) throw error;
    const name = `nl${crypto.randomUUID().slice(-12)}`;
    const draft: End = { ...end, first: { ...first, name }, options: { ...options, name } };
    try {
      const info = createEnd(kind, draft, data, extra);
      return { end: { ...end, later: { name: options.name, ...later } }, info };
    } catch {
      // It was not the name.
      throw error;
    }
  }
}

/** The requests for what could not be in the creating message. */
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
 * message: where both change, the port options need one of their own.
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
  const { linkInfo: { memberKind, memberData, ...info } = {}, ...rest } = message;
  const settings = settingNames(message);
  // The kernel seldom says which one it refuses.
  if (settings.length > 0) what = `${settings.join(", ")} of ${what}`;
  if (!message.master || memberData === undefined) return [setLink({ ...message, index }, what)];
  const first: LinkMessage = { ...rest, index };
  if (Object.keys(info).length > 0) first.linkInfo = info;
  const member = memberKind === undefined ? { memberData } : { memberKind, memberData };
  return [setLink(first, what), setLink({ index, linkInfo: member }, what)];
}

/** Finds bad input ahead of the first message: encodes everything that is to follow it. */
export function checkLater(kind: string, end: End): void {
  const writer = new Writer(512);
  for (const request of laterRequests(kind, end, 1)) {
    request.format.write(writer, request.message);
  }
}

/**
 * Does what could not be in the creating message, and checks that everything asked for is so.
 *
 * @param info The link as read back after its creation; without it, it is read here.
 */
export function finishEnd(
  kind: string,
  end: End,
  index: number,
  info?: LinkInfo,
  data?: object,
): LinkInfo {
  const { ref, options, first, later } = end;
  const what = `${kind} ${show(options.name)}`;
  if (options.nodad) disableDad(ref, info?.name ?? options.name);
  const requests = laterRequests(kind, end, index);
  let last = info;
  if (requests.length > 0 || !last) {
    const results = connectionTo(ref).batch([...requests, getLink(index, { stats: false })]);
    for (const result of results) if (!result.ok) throw result.error;
    last = (results.at(-1) as { value: LinkInfo }).value;
  }
  const asked: LinkMessage = { ...first, ...later, linkInfo: { ...later.linkInfo } };
  if (data) asked.linkInfo!.data = data;
  verify(asked, last, kind, what, ref);
  return last;
}

/** Runs `step`; when it throws, the link goes. */
export function undoing<T>(ref: NetNsRef, kind: string, info: LinkInfo, step: () => T): T {
  try {
    return step();
  } catch (error) {
    try {
      connectionTo(ref).request(deleteLink({ index: info.index }, `${kind} ${show(info.name)}`));
    } catch (undo) {
      if (!(undo instanceof NetlinkError) || undo.code !== "ENODEV") {
        throw new SuppressedError(undo, error);
      }
    }
    throw error;
  }
}

/** Hands a finished end to its scope, and a reference that was opened for it. */
export function own(
  scope: Scope | undefined,
  kind: string,
  { options, ref }: End,
  info: LinkInfo,
  netns: ResolvedNetNs,
  close?: () => void,
): void {
  if (netns.owned) scope?.use(ref);
  scope?.addLink({
    ref,
    index: info.index,
    what: `${kind} ${show(options.name)}`,
    ipv6: (options.addresses ?? []).some((address) =>
      (typeof address === "string" ? address : address.address).includes(":")
    ),
    ...(close && { close }),
  });
}

/** Duplicate address detection off, before the link comes up. */
function disableDad(ref: NetNsRef, name: string): void {
  within(ref, () => {
    const path = `/proc/sys/net/ipv6/conf/${name}/accept_dad`;
    const operation = `switch off duplicate address detection of ${show(name)}`;
    using file = open(path, C.O_WRONLY, operation);
    write(file, new TextEncoder().encode("0"), operation);
  });
}
