/**
 * The living picture of a network on a local page.
 *
 * @module
 */
export { type ServedPage, servePage, type ServePageOptions } from "./server.ts";
export {
  type EndCounters,
  NetNsSource,
  type PageEvent,
  type PageSource,
  type PageValues,
} from "./source.ts";
export { LabSource } from "./lab.ts";
