/**
 * One end of a link to be created, checked: the messages that its options become.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { boolean, inPlace, show } from "../options.ts";
import { type AddressMessage, addressMessage, type AddressOptions } from "../rtnetlink/address.ts";
import { checkIndex, checkLinkName } from "../rtnetlink/fields.ts";
import type { LinkMessage } from "../rtnetlink/link.ts";
import type { Scope } from "../scope/scope.ts";
import { checkAddressLengths, type LinkEndOptions, settingsMessage } from "./options.ts";

/** One end of a link to be created: its options, and the messages they become. */
export interface End {
  /** Its place in the options of the call, for errors: `peer`. Default: they are its options. */
  readonly place?: string | undefined;
  /** Its options. */
  readonly options: LinkEndOptions;
  /** Its namespace. */
  readonly ref: NetNsRef;
  /** Attributes that the creating message can carry. */
  readonly first: LinkMessage;
  /** Attributes that have to follow it. */
  readonly later: LinkMessage;
}

/** The context of one end's options. */
export interface EndContext {
  /** The namespace of the end. */
  readonly ref: NetNsRef;
  /** The owner of the link. */
  readonly scope?: Scope | undefined;
  /** Bytes in its link-layer address, where they are known before it is there. */
  readonly addressLength?: number | undefined;
  /** The place of the options in those of the call, for errors: `peer`. */
  readonly place?: string;
}

/** Splits one end's options into those of the creating message and those of later messages. */
export function prepareEnd(options: LinkEndOptions, context: EndContext): End {
  const { ref, scope, place, addressLength } = context;
  return inPlace(place, () => {
    checkEnd(options, scope);
    checkAddressLengths(options, () => addressLength);
    const { alias, afSpec, linkInfo, carrier, protoDown, flags = 0, change = 0, ...first } =
      settingsMessage(options, ref);
    first.name = options.name;
    if (options.index !== undefined) first.index = checkIndex(options.index);
    if (scope) first.group = scope.group;
    if (options.numTxQueues !== undefined) first.numTxQueues = options.numTxQueues;
    if (options.numRxQueues !== undefined) first.numRxQueues = options.numRxQueues;
    const later: LinkMessage = {};
    // The kernel ignores these in a creating message.
    if (alias !== undefined) later.alias = alias;
    if (carrier !== undefined) later.carrier = carrier;
    if (protoDown !== undefined) later.protoDown = protoDown;
    if (linkInfo !== undefined) later.linkInfo = linkInfo;
    // IPv6 starts when the link comes up: its settings have to be there before.
    if (afSpec !== undefined) later.afSpec = afSpec;
    const waits = afSpec !== undefined || options.nodad === true;
    if (change && waits) Object.assign(later, { flags, change });
    else if (change) Object.assign(first, { flags, change });
    for (const [i, address] of (options.addresses ?? []).entries()) {
      inPlace(`addresses[${i}]`, () => endAddress(address, 1, options.nodad));
    }
    return { options, ref, place, first, later };
  });
}

/** Checks the options of one end that are no settings of a living link, and what they need. */
function checkEnd(options: LinkEndOptions, scope: Scope | undefined): void {
  const { name, group, port, master, addresses, altNames, nodad } = options;
  checkLinkName(name);
  if (scope && group !== undefined) {
    throw new TypeError(
      `group ${group} of link ${show(name)}: links of a scope are in the scope's group`,
    );
  }
  if (port !== undefined && (master ?? null) === null) {
    throw new TypeError(`port of link ${show(name)} needs a master, whose port the link is`);
  }
  for (const [key, list] of Object.entries({ addresses, altNames })) {
    if (list === undefined || Array.isArray(list)) continue;
    throw new TypeError(`${key} must be an array: got ${show(list)}`);
  }
  if (nodad !== undefined) boolean(nodad, "nodad");
}

/** An address as a message; with `nodad` an IPv6 one is used at once. Throws for a malformed address. */
export function endAddress(address: AddressOptions, index: number, nodad = false): AddressMessage {
  const message = addressMessage(address, index);
  const { flags = [] } = message;
  if (!nodad || !message.address.includes(":") || flags.includes("nodad")) return message;
  return { ...message, flags: [...flags, "nodad"] };
}
