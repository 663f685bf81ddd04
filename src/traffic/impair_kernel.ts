/**
 * Impairments by the kernel: netem or tbf at the root of a link, or of an ifb that a filter leads packets to.
 *
 * A discipline sends packets, so a direction is impaired where its packets are sent: at the link, and for those
 * that it receives at the other end of its veth pair. At the root it needs no other link. An ifb is needed for packets
 * that no end within reach sends, for those of one flow, and where the root has a discipline of the user.
 *
 * All state is in the kernel: any process finds it there.
 *
 * @module
 */
import type { Instruction } from "../capture/filter.ts";
import { checkProgram } from "../capture/filter.ts";
import { compileFilter } from "../capture/compile.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { IMPAIRMENT, isHookOurs, leadsToIfb, readHooks } from "../scope/redirects.ts";
import { show } from "../options.ts";
import type { FilterInfo, FilterOptions } from "../rtnetlink/filter.ts";
import {
  deleteLink,
  getLink,
  type LinkMessage,
  newLink,
  setLink,
  upFlags,
} from "../rtnetlink/link.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import { describeLink, type NamedLink } from "../rtnetlink/link_target.ts";
import type { QdiscInfo, QdiscOptions } from "../rtnetlink/qdisc.ts";
import { isUnknownKind, lackingKind, UnsupportedError } from "../rtnetlink/unsupported.ts";
import { ERRNO } from "../../ffi/errno.ts";
import { LinkFilters } from "./filters.ts";
import {
  type DisciplineContext,
  disciplineFor,
  disciplineKind,
  EVERYTHING,
  passing,
  valuesOf,
} from "./impair_discipline.ts";
import { drain, Steps } from "./impair_steps.ts";
import { type DirectionStats, type DirectionValues, sameValues } from "./impairment_values.ts";
import { LinkQdiscs } from "./qdiscs.ts";

/** A place where packets of one direction can be impaired. */
export interface Spot {
  /** The link. */
  readonly link: NamedLink;
  /** Packets that it sends, or those that it receives. */
  readonly side: "egress" | "ingress";
}

/** An impairment of one direction, as the kernel has it. */
interface Found {
  readonly spot: Spot;
  /** The link with the discipline: the spot's, or an ifb. */
  readonly device: NamedLink;
  readonly qdisc: QdiscInfo;
  readonly values: DirectionValues;
  /** Leads packets to the ifb. */
  readonly filter?: Lead;
}

/** A filter of this file. */
type Lead = FilterInfo & { readonly kind: "bpf" };

/** What is at a spot. */
interface Look {
  readonly found: readonly Found[];
  /** Whether the root has the kernel's own discipline. */
  readonly free: boolean;
}

/** What one direction should be. */
export interface Wanted {
  /** The places for it, the best first. */
  readonly spots: readonly Spot[];
  /** The values; absent: none. */
  readonly values: DirectionValues | undefined;
  /** The packets; absent: all. */
  readonly program: readonly Instruction[] | undefined;
}

/** The place for filters. */
const CLSACT: QdiscOptions = { kind: "clsact" };

/** The program of `match`, as it is loaded. */
export function programOf(
  match: Parameters<typeof compileFilter>[0] | readonly Instruction[],
): readonly Instruction[] {
  if (!Array.isArray(match)) return compileFilter(match as Parameters<typeof compileFilter>[0]);
  checkProgram(match);
  return match;
}

/** Puts all directions in force, or changes nothing. Gives the number of packets lost by that. */
export function enforce(directions: readonly Wanted[]): number {
  return Steps.run((steps) => {
    const looks = directions.map(({ spots }) => spots.map(look));
    const kept = directions.map((wanted, i) => settle(wanted, looks[i]!, steps));
    // Removals come last: they take the longest time to undo.
    for (const found of looks.flat().flatMap(({ found }) => found)) {
      if (!kept.includes(found)) remove(found, steps);
    }
  }).lost;
}

/** The values and counters of one direction, and the program of its packets. */
export function inspect(
  spots: readonly Spot[],
):
  | { values: DirectionValues; stats: DirectionStats; program?: readonly Instruction[] }
  | undefined {
  for (const spot of spots) {
    const [found] = look(spot).found;
    if (!found) continue;
    const { values, qdisc, filter } = found;
    const { packets, bytes, drops, qlen: backlog } = qdisc.stats;
    const program = filter?.options.program;
    return {
      values,
      stats: { packets, bytes, drops, backlog },
      ...(program && !sameProgram(program, EVERYTHING) ? { program } : {}),
    };
  }
  return undefined;
}

function look(spot: Spot): Look {
  const { link, side } = spot;
  const qdiscs = new LinkQdiscs(link).list();
  const root = qdiscs.find(({ parent }) => parent === "root");
  const hook = qdiscs.find(({ parent }) => parent === "ingress")?.kind;
  const found: Found[] = [];
  if (hook === "clsact" || (hook === "ingress" && side === "ingress")) {
    for (const filter of new LinkFilters(link).list({ parent: side })) {
      if (isLead(filter)) found.push(follow(spot, filter));
    }
  }
  const values = root && side === "egress" ? valuesOf(root) : undefined;
  if (values) found.push({ spot, device: link, qdisc: root!, values });
  // A link that was never up has no discipline that the kernel tells of.
  return { found, free: root === undefined || root.handle === "0:" };
}

function isLead(filter: FilterInfo): filter is Lead {
  return leadsToIfb(filter);
}

/** The ifb that a filter leads to. */
function follow(spot: Spot, filter: Lead): Found {
  const { ref } = spot.link;
  const action = filter.options.actions?.find((it) => it.kind === "mirred");
  const index = action?.dev as number;
  const { name } = connectionTo(ref).request(getLink(index, { stats: false }));
  const device: NamedLink = { ref, index, name, kind: "ifb" };
  const qdisc = new LinkQdiscs(device).list().find(({ parent }) => parent === "root")!;
  return { spot, device, qdisc, values: valuesOf(qdisc) ?? {}, filter };
}

/** Changes what is there to what is wanted, or adds it. Gives what stays of what was there. */
function settle(wanted: Wanted, looks: readonly Look[], steps: Steps): Found | undefined {
  const { values, program, spots } = wanted;
  if (!values) return undefined;
  const kind = disciplineKind();
  const keep = looks.flatMap(({ found }) => found).find(({ filter, qdisc }) =>
    qdisc.kind === kind && (filter !== undefined || program === undefined)
  );
  if (keep) {
    changeDiscipline(keep, values, steps);
    if (keep.filter) changeProgram(keep.filter, keep.spot, program ?? EVERYTHING, steps);
    return keep;
  }
  const [spot, { free }] = [spots[0]!, looks[0]!];
  if (spot.side === "egress" && free && !program) addRoot(spot.link, values, steps);
  else addDetour(spot, { values, program: program ?? EVERYTHING }, steps);
  return undefined;
}

function infoOf({ ref, index }: NamedLink): LinkInfo & { mtu: number } {
  const info = connectionTo(ref).request(getLink(index));
  return { ...info, mtu: info.mtu ?? 1500 };
}

function changeDiscipline(found: Found, values: DirectionValues, steps: Steps): void {
  const { device, spot, values: before } = found;
  const context = { kind: disciplineKind(), mtu: infoOf(spot.link).mtu };
  const qdiscs = new LinkQdiscs(device);
  steps.do(
    () => qdiscs.change(disciplineFor(values, { ...context, before })),
    () => qdiscs.change(disciplineBefore(found, { ...context, before: values })),
  );
  verify(device, values);
}

/** The discipline as it was found. Without its seed the kernel would choose another. */
function disciplineBefore({ qdisc, values }: Found, context: DisciplineContext): QdiscOptions {
  const discipline = disciplineFor(values, context);
  if (discipline.kind !== "netem" || qdisc.kind !== "netem") return discipline;
  const { seed } = qdisc.options;
  if (seed === undefined) return discipline;
  return { ...discipline, options: { ...discipline.options, seed } };
}

function changeProgram(
  filter: Lead,
  { link }: Spot,
  program: readonly Instruction[],
  steps: Steps,
): void {
  const { options } = filter;
  if (sameProgram(options.program ?? [], program)) return;
  const filters = new LinkFilters(link);
  steps.do(
    () => filters.change({ ...filter, options: { ...options, program } }),
    () => filters.change(filter),
  );
}

function sameProgram(a: readonly Instruction[], b: readonly Instruction[]): boolean {
  return a.length === b.length && a.every((it, i) => {
    const { code, jt, jf, k } = b[i]!;
    return it.code === code && it.jt === jt && it.jf === jf && it.k === k;
  });
}

/** Compares with the kernel's report: it ignores silently what it does not know. */
function verify(device: NamedLink, values: DirectionValues): void {
  const root = new LinkQdiscs(device).list().find(({ parent }) => parent === "root");
  const got = root && valuesOf(root);
  if (got && sameValues(got, values)) return;
  throw new NetlinkError({
    operation: `impair ${describeLink(device)}`,
    netns: device.ref.description,
    errno: ERRNO.EINVAL,
    text: `The kernel has ${show(got)} in place of ${show(values)}`,
  });
}

/** Puts a discipline at the root. */
function addRoot(link: NamedLink, values: DirectionValues, steps: Steps): void {
  const discipline = disciplineFor(values, { kind: disciplineKind(), mtu: infoOf(link).mtu });
  exchange(link, steps, () => addQdisc(link, discipline), () => deleteQdisc(link, "root"));
  verify(link, values);
}

/**
 * Exchanges a discipline of a link, and counts the packets that are lost by that. Also for clsact the kernel stops the
 * link for a moment (`dev_deactivate()`): it drops packets that are sent meanwhile, and those that wait at the root.
 */
function exchange(link: NamedLink, steps: Steps, step: () => void, undo: () => void): void {
  steps.lost += drain(link);
  const before = infoOf(link).stats!.txDropped;
  steps.do(step, undo);
  steps.lost += infoOf(link).stats!.txDropped - before;
}

/**
 * Adds a discipline. With its first one a link without a queue gets one (`qdisc_create()` of Linux); this takes it
 * off again.
 */
function addQdisc(link: NamedLink, discipline: QdiscOptions): void {
  const { ref, index } = link;
  const { txqlen } = infoOf(link);
  const restore = () => {
    if (txqlen === 0) connectionTo(ref).request(setLink({ index, txqlen }));
  };
  Steps.run((steps) => {
    steps.do(() => new LinkQdiscs(link).add(discipline), () => {
      deleteQdisc(link, discipline.kind === "clsact" ? "ingress" : "root");
      restore();
    });
    restore();
  });
}

function deleteQdisc(link: NamedLink, place: "root" | "ingress"): void {
  new LinkQdiscs(link).delete(place);
}

function remove(found: Found, steps: Steps): void {
  if (found.filter) removeDetour(found, found.filter, steps);
  else removeRoot(found, steps);
}

function removeRoot(found: Found, steps: Steps): void {
  const { device: link, values } = found;
  const qdiscs = new LinkQdiscs(link);
  const context = { kind: disciplineKind(), mtu: infoOf(link).mtu };
  const discipline = disciplineBefore(found, context);
  steps.do(
    () => qdiscs.change(passing(values, context)),
    () => qdiscs.change(discipline),
  );
  exchange(link, steps, () => deleteQdisc(link, "root"), () => addQdisc(link, discipline));
}

/** Leads packets through an ifb and back. */
function addDetour(
  spot: Spot,
  options: { values: DirectionValues; program: readonly Instruction[] },
  steps: Steps,
): void {
  const { link, side } = spot;
  const { values, program } = options;
  const name = IMPAIRMENT.ifb(link.index, side);
  const device = createIfb(link, { name, values }, steps);
  const filters = new LinkFilters(link);
  const hooks = readHooks(connectionTo(link.ref), link.index);
  const owner = !hooks.kind || hooks.filters.some(isHookOurs);
  if (!hooks.kind) {
    exchange(link, steps, () => addQdisc(link, CLSACT), () => deleteQdisc(link, "ingress"));
  }
  const filter: FilterOptions = {
    kind: "bpf",
    parent: side,
    priority: IMPAIRMENT.priority,
    handle: owner ? IMPAIRMENT.owner : IMPAIRMENT.guest,
    options: { program, actions: [{ kind: "mirred", action: "redirect", dev: device.index }] },
  };
  steps.do(
    () => filters.add(filter),
    () => filters.delete(filters.list({ parent: side }).filter(isLead)),
  );
}

/** Creates an ifb with a discipline, in the link's group so that it goes with it. */
function createIfb(
  link: NamedLink,
  options: { name: string; index?: number; values: DirectionValues; before?: Found },
  steps: Steps,
): NamedLink {
  const { ref } = link;
  const { name, index, values, before } = options;
  const connection = connectionTo(ref);
  const { mtu, group } = infoOf(link);
  const message: LinkMessage = { name, group: group ?? 0, linkInfo: { kind: "ifb" } };
  steps.do(
    () => newIfb(connection, { ...message, ...(index === undefined ? {} : { index }) }),
    () => connection.request(deleteLink({ name })),
  );
  const made = connection.request(getLink(name, { stats: false }));
  const device: NamedLink = { ref, index: made.index, name, kind: "ifb" };
  connection.request(setLink({ index: made.index, afSpec: { inet6: { addrGenMode: "none" } } }));
  const context = { kind: disciplineKind(), mtu };
  new LinkQdiscs(device).add(
    before ? disciplineBefore(before, context) : disciplineFor(values, context),
  );
  connection.request(setLink({ index: made.index, ...upFlags(true) }));
  verify(device, values);
  return device;
}

function newIfb(connection: Connection, message: LinkMessage): void {
  try {
    connection.request(newLink(message));
  } catch (error) {
    if (!(error instanceof NetlinkError) || !isUnknownKind(error)) throw error;
    throw new UnsupportedError(lackingKind("ifb"), error);
  }
}

/** Deletes a filter, or nothing: `delete()` sends more than one request. */
function deleteLead(filters: LinkFilters, filter: Lead): void {
  try {
    filters.delete(filter);
  } catch (error) {
    if (!filters.list({ parent: filter.parent }).some(isLead)) filters.add(filter);
    throw error;
  }
}

/** Lets packets go straight on, waits for those on the detour, and removes it. */
function removeDetour(before: Found, filter: Lead, steps: Steps): void {
  const { spot, device, values } = before;
  const filters = new LinkFilters(spot.link);
  const { link } = spot;
  steps.do(() => deleteLead(filters, filter), () => filters.add(filter));
  steps.lost += drain(device);
  if (filter.handle === IMPAIRMENT.owner && filters.list().length === 0) {
    exchange(link, steps, () => deleteQdisc(link, "ingress"), () => addQdisc(link, CLSACT));
  }
  const { index, name } = device;
  steps.do(
    () => connectionTo(device.ref).request(deleteLink({ index }, `ifb ${show(name)}`)),
    // The filter of the undo leads to this index.
    () => Steps.run((again) => createIfb(link, { name, index, values, before }, again)),
  );
}
