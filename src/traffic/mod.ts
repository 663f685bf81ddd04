/**
 * Traffic control: queueing disciplines, their classes, and filters, as `tc` sets them.
 *
 * Importing this entry point installs `link.qdiscs`, `link.classes`, `link.filters`, `link.impair()`,
 * `link.impairment()` and `link.intercept()`, the tables of traffic control in monitors, and traffic control in
 * `supports()` and `capabilities()`. Without it they throw a {@link MissingImportError}.
 *
 * @example A queue of at most 100 packets
 * ```ts
 * import { Link, NetNs } from "@netloom/netloom";
 * import "@netloom/netloom/tc";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const lo = Link.get("lo", { netns });
 * lo.qdiscs.add({ kind: "pfifo", options: { limit: 100 } });
 * const [pfifo] = lo.qdiscs.list();
 * assertEquals(pfifo!.kind === "pfifo" && pfifo!.options.limit, 100);
 * ```
 *
 * @module
 */
import { classFormat, dumpClasses } from "../rtnetlink/qdisc_class.ts";
import { dumpFilters, filterFormat, isFilter } from "../rtnetlink/filter.ts";
import { dumpQdiscs, qdiscFormat } from "../rtnetlink/qdisc.ts";
import { LinkClasses } from "./classes.ts";
import { filterPlaces, LinkFilters } from "./filters.ts";
import { clear, impair, impairment } from "./impair.ts";
import { kernelValues } from "./impair_discipline.ts";
import { Intercept } from "./intercept.ts";
import { LinkQdiscs } from "./qdiscs.ts";
import { trafficControl } from "./slot.ts";
import { supportsTraffic, trafficCapabilities } from "./supports.ts";

export { MissingImportError } from "../slot.ts";
export { type ClassTarget, LinkClasses } from "./classes.ts";
export { type LinkFilterFilter, LinkFilters } from "./filters.ts";
export { Impairment, type PeerEnd } from "./impair.ts";
export type {
  DirectionName,
  DirectionOptions,
  DirectionStats,
  DirectionValues,
  EngineName,
  ImpairmentValues,
  ImpairOptions,
} from "./impairment_values.ts";
export { LinkQdiscs, type QdiscParent, type QdiscTarget } from "./qdiscs.ts";
export type { TrafficCapabilities, TrafficKind } from "./supports.ts";
export type {
  CommonQdiscInfo,
  QdiscInfo,
  QdiscOptions,
  QdiscPlace,
  UnknownQdisc,
} from "../rtnetlink/qdisc.ts";
export type {
  ClassInfo,
  ClassKinds,
  ClassOptions,
  ClassPlace,
  CommonClassInfo,
  UnknownClass,
} from "../rtnetlink/qdisc_class.ts";
export type { FilterInfo, FilterOptions, FilterPlace } from "../rtnetlink/filter.ts";
export type { FlowerInfo, FlowerOptions } from "../rtnetlink/filter_kinds/flower.ts";
export type {
  ArpOperation,
  FlowerIpFlag,
  FlowerMatch,
  IpProtocol,
  Masked,
  MaskedNumber,
  PortRange,
  PppProtocol,
} from "../rtnetlink/filter_kinds/flower_forms.ts";
export type { FlowerMplsEntry, TunnelOptions } from "../rtnetlink/filter_kinds/flower_nests.ts";
export type {
  Action,
  ActionInfo,
  Control,
  GactAction,
  MirredAction,
  PoliceAction,
  SkbeditAction,
} from "../rtnetlink/filter_kinds/actions.ts";
export type {
  BpfInfo,
  BpfInstruction,
  BpfOptions,
  FilterActions,
  FilterActionsInfo,
  FwInfo,
  FwOptions,
  U32Info,
  U32Match,
  U32Options,
} from "../rtnetlink/filter_kinds/classifiers.ts";
export { filterKindNames, type FilterKinds } from "../rtnetlink/filter_kinds/mod.ts";
export type { FilterProtocolWord, Handle, TrafficStats } from "../rtnetlink/traffic_control.ts";
export type { LinkLayer, OptionsOf, ReportOf } from "../rtnetlink/qdisc_kinds/kind.ts";
export { qdiscKindNames, type QdiscKinds } from "../rtnetlink/qdisc_kinds/mod.ts";
export {
  parseRate,
  parseShare,
  parseSize,
  parseTime,
  type Rate,
  type Share,
  type Size,
  type Time,
} from "../rtnetlink/units.ts";
export type {
  BfifoOptions,
  FifoInfo,
  PfifoOptions,
  PrioInfo,
  PrioOptions,
} from "../rtnetlink/qdisc_kinds/plain.ts";
export type { TbfInfo, TbfOptions } from "../rtnetlink/qdisc_kinds/tbf.ts";
export type {
  FqCodelInfo,
  FqCodelOptions,
  FqCodelStats,
} from "../rtnetlink/qdisc_kinds/fq_codel.ts";
export type {
  HtbClassInfo,
  HtbClassOptions,
  HtbInfo,
  HtbOptions,
  HtbStats,
} from "../rtnetlink/qdisc_kinds/htb.ts";
export type {
  NetemChance,
  NetemGemodelLoss,
  NetemInfo,
  NetemOptions,
  NetemRate,
  NetemReorder,
  NetemSlot,
  NetemStateLoss,
  Numbers,
} from "../rtnetlink/qdisc_kinds/netem.ts";
export type { NetemDistribution } from "../rtnetlink/qdisc_kinds/netem_distribution.ts";
export {
  deleteFilter,
  dumpFilters,
  filterFormat,
  filterMessage,
  filterSelector,
  newFilter,
  readFilter,
} from "../rtnetlink/filter.ts";
export type { BpfData } from "../rtnetlink/filter_kinds/classifiers.ts";
export {
  classFormat,
  classMessage,
  deleteClass,
  dumpClasses,
  getClass,
  newClass,
  readClass,
} from "../rtnetlink/qdisc_class.ts";
export {
  deleteQdisc,
  dumpQdiscs,
  getQdisc,
  newQdisc,
  qdiscFormat,
  qdiscMessage,
  type QdiscSelector,
  readQdisc,
} from "../rtnetlink/qdisc.ts";
export type {
  ClassfulKind,
  FilterKind,
  FilterPacket,
  QdiscKind,
  TcOptions,
  TcWord,
} from "../rtnetlink/qdisc_kinds/kind.ts";
export type { StatsNest, TcMessage, TcMode } from "../rtnetlink/traffic_control.ts";
export type { TcHeader } from "../rtnetlink/fields.ts";

trafficControl.fill({
  LinkQdiscs,
  LinkClasses,
  LinkFilters,
  impair,
  impairment,
  clear,
  Intercept,
  kernelValues,
  supportsTraffic,
  trafficCapabilities,
  dumpQdiscs,
  qdiscFormat,
  dumpClasses,
  classFormat,
  dumpFilters,
  filterFormat,
  filterPlaces,
  isFilter,
});
