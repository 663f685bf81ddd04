/**
 * The slot of traffic control, which `@netloom/netloom/tc` fills: what links, monitors and `supports()` use of it.
 *
 * @module
 */
import type { dumpFilters, filterFormat, isFilter } from "../rtnetlink/filter.ts";
import type { dumpQdiscs, qdiscFormat } from "../rtnetlink/qdisc.ts";
import type { classFormat, dumpClasses } from "../rtnetlink/qdisc_class.ts";
import { Slot } from "../slot.ts";
import type { LinkClasses } from "./classes.ts";
import type { filterPlaces, LinkFilters } from "./filters.ts";
import type { clear, impair, impairment } from "./impair.ts";
import type { kernelValues } from "./impair_discipline.ts";
import type { Intercept } from "./intercept.ts";
import type { LinkQdiscs } from "./qdiscs.ts";
import type { supportsTraffic, trafficCapabilities } from "./supports.ts";

/** The parts of traffic control that layers above it use. */
export interface TrafficControl {
  readonly LinkQdiscs: typeof LinkQdiscs;
  readonly LinkClasses: typeof LinkClasses;
  readonly LinkFilters: typeof LinkFilters;
  readonly impair: typeof impair;
  readonly impairment: typeof impairment;
  readonly clear: typeof clear;
  readonly Intercept: typeof Intercept;
  readonly kernelValues: typeof kernelValues;
  readonly supportsTraffic: typeof supportsTraffic;
  readonly trafficCapabilities: typeof trafficCapabilities;
  readonly dumpQdiscs: typeof dumpQdiscs;
  readonly qdiscFormat: typeof qdiscFormat;
  readonly dumpClasses: typeof dumpClasses;
  readonly classFormat: typeof classFormat;
  readonly dumpFilters: typeof dumpFilters;
  readonly filterFormat: typeof filterFormat;
  readonly filterPlaces: typeof filterPlaces;
  readonly isFilter: typeof isFilter;
}

/** Traffic control, once its entry point is loaded. */
export const trafficControl: Slot<TrafficControl> = new Slot({
  part: "traffic control",
  entry: "@netloom/netloom/tc",
});
