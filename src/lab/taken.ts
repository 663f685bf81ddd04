/**
 * Links of the machine that move into a node, and home again with their addresses and routes.
 *
 * @module
 */
import { didYouMean, show } from "../options.ts";
import { type AddressInfo, newAddress } from "../rtnetlink/address.ts";
import { IFF } from "../rtnetlink/constants.ts";
import { type LinkMessage, setLink, upFlags } from "../rtnetlink/link.ts";
import { newRoute } from "../rtnetlink/route.ts";
import { type RouteInfo, type RouteMessage, settableRoute } from "../rtnetlink/route_message.ts";
import type { Living } from "./living.ts";
import type { ResolvedInterface } from "./resolved.ts";
import { MACHINE, type Step, type TakenLink } from "./steps.ts";

/** Notes the state of a link of the machine before it moves into a node. */
export function takenLink(
  node: string,
  { name, from }: ResolvedInterface,
  home: Living,
): TakenLink {
  const link = home.links.get(from!);
  if (!link) {
    const near = didYouMean(from!, [...home.links.keys()]);
    throw new TypeError(`${node}:${name}: the machine has no link ${show(from)}${near}`);
  }
  const index = link.index!;
  return {
    node,
    name,
    from: from!,
    index,
    ...(link.mac !== undefined && { mac: link.mac }),
    ...(link.mtu !== undefined && { mtu: link.mtu }),
    up: (link.flags! & IFF.UP) !== 0,
    addresses: (home.addresses.get(index) ?? []).filter(isLasting).map(settableAddress),
    routes: home.routes.filter((route) => route.oif === index && isSet(route)).map(settableRoute),
  };
}

/** The step that moves a link of the machine into a node. */
export function takeStep(
  taken: TakenLink,
  link: LinkMessage,
  home: Living,
): Step {
  const index = home.links.get(taken.from)!.index!;
  const { index: newIndex, ...rest } = link;
  return {
    verb: "change",
    node: taken.node,
    object: `link ${taken.from} of the machine`,
    action: {
      kind: "request",
      via: MACHINE,
      request: (fd) =>
        setLink(
          { index, ...rest, newIndex: newIndex!, netnsFd: fd(taken.node) },
          `link ${show(taken.from)}: move it into node ${show(taken.node)}`,
        ),
    },
    takes: taken,
  };
}

/**
 * The steps that bring a link home. An interrupted command may have moved it already.
 *
 * @param taken The link.
 * @param home The state of the machine.
 * @param living The state of its node; `undefined` when that is gone.
 * @returns None when the link is gone.
 */
export function returnSteps(taken: TakenLink, home: Living, living: Living | undefined): Step[] {
  const { node, name, from, mac, mtu, up } = taken;
  const object = `link ${from} of the machine`;
  const there = living?.links.get(name);
  const back = there ? undefined : home.links.get(from);
  if (!there && !back) return [];
  const index = back?.index ?? freeIndex(taken.index, home);
  const steps: Step[] = [];
  const send = (via: string, request: Extract<Step["action"], { kind: "request" }>["request"]) =>
    steps.push({ verb: "change", node, object, action: { kind: "request", via, request } });
  if (there) {
    send(node, (fd) =>
      setLink(
        { index: there.index!, name: from, newIndex: index, netnsFd: fd(MACHINE) },
        `link ${node}:${name}: move it home as ${show(from)}`,
      ));
  }
  const own: LinkMessage = { index, ...upFlags(up) };
  if (mac !== undefined && mac !== (there ?? back)?.mac) own.mac = mac;
  if (mtu !== undefined && mtu !== (there ?? back)?.mtu) own.mtu = mtu;
  send(MACHINE, setLink(own, `link ${show(from)}`));
  const has = new Set(
    (back ? home.addresses.get(index) : undefined)?.map(({ address }) => address),
  );
  for (const address of taken.addresses) {
    if (!has.has(address.address)) send(MACHINE, newAddress({ ...address, index }));
  }
  const ways = back ? home.routes.filter(({ oif }) => oif === index).map(textOf) : [];
  for (const route of taken.routes) {
    if (!ways.includes(textOf(route))) send(MACHINE, newRoute({ ...route, oif: index }));
  }
  const last = steps.pop()!;
  return [...steps, { ...last, returns: taken }];
}

function freeIndex(index: number, home: Living): number {
  const used = new Set([...home.links.values()].map((link) => link.index));
  if (!used.has(index)) return index;
  return Math.max(...used as Set<number>) + 1;
}

/** Whether an address is neither from the kernel nor from a router: IFAPROT_KERNEL_* of linux/if_addr.h. */
function isLasting({ flags, protocol = 0 }: AddressInfo): boolean {
  return flags.includes("permanent") && (protocol < 1 || protocol > 3);
}

/** The flags of an address that a program sets. */
const SET_FLAGS: readonly string[] = ["nodad", "noprefixroute", "home"];

function settableAddress(info: AddressInfo): TakenLink["addresses"][number] {
  const { address, peer, broadcast, label, scope, metric, flags } = info;
  const own = flags.filter((flag) => SET_FLAGS.includes(flag));
  const given = { peer, broadcast, label, metric };
  return {
    address,
    scope,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(own.length > 0 && { flags: own as ("nodad" | "noprefixroute" | "home")[] }),
  };
}

/** Whether a program has set a route. */
function isSet({ protocol, type }: RouteInfo): boolean {
  return protocol !== "kernel" && protocol !== "ra" && type === "unicast";
}

function textOf({ destination, gateway, metric, table }: RouteMessage | RouteInfo): string {
  return [destination, gateway, metric, table].join();
}
