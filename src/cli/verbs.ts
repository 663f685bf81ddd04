/**
 * The table of verbs.
 *
 * @module
 */
import type { Verb, VerbOption } from "./verb.ts";

const NETNS: Readonly<Record<string, VerbOption>> = {
  netns: { value: "NAME", short: "n", help: "the namespace: a name, a process id or a path" },
};

const machine = () => import("./machine.ts");

/** All verbs, in the order of `--help`. */
export const VERBS: readonly Verb[] = [
  {
    name: "draw",
    summary: "Draws namespaces as SVG, DOT, Mermaid, D2, draw.io or JSON",
    usage: "[NETNS...]",
    arguments: [0, Infinity],
    completes: "netns",
    options: {
      output: { value: "FILE", short: "o", help: "the file; without it standard output" },
      format: { value: "FORMAT", help: "svg (default), dot, mermaid, d2, drawio or json" },
      theme: { value: "THEME", help: "auto (default), light or dark" },
      detail: { value: "DETAIL", help: "addresses, interfaces or nodes" },
      engine: { value: "ENGINE", help: "dot, neato, fdp, circo or twopi" },
      title: { value: "TEXT", help: "the title" },
      loopback: { help: "loopback links, too" },
    },
    load: () => import("./draw.ts"),
  },
  {
    name: "view",
    summary: "Shows namespaces as a living picture on a local page",
    usage: "[NETNS...]",
    arguments: [0, Infinity],
    completes: "netns",
    options: {
      port: { value: "PORT", help: "the port on 127.0.0.1; default: a free one" },
      title: { value: "TEXT", help: "the title" },
    },
    load: () => import("./view.ts"),
  },
  {
    name: "links",
    summary: "Lists the links of a namespace",
    usage: "",
    arguments: [0, 0],
    options: { ...NETNS, kind: { value: "KIND", help: "only links of this kind" } },
    load: async () => ({ run: (await machine()).links }),
  },
  {
    name: "addresses",
    summary: "Lists the IP addresses of a namespace",
    usage: "",
    arguments: [0, 0],
    options: { ...NETNS, dev: { value: "LINK", help: "only those of this link" } },
    load: async () => ({ run: (await machine()).addresses }),
  },
  {
    name: "routes",
    summary: "Lists the routes of a namespace",
    usage: "",
    arguments: [0, 0],
    options: {
      ...NETNS,
      table: { value: "TABLE", help: "the table; default: main" },
    },
    load: async () => ({ run: (await machine()).routes }),
  },
  {
    name: "neighbors",
    summary: "Lists the neighbors (ARP, NDP) of a namespace",
    usage: "",
    arguments: [0, 0],
    options: NETNS,
    load: async () => ({ run: (await machine()).neighbors }),
  },
  {
    name: "qdiscs",
    summary: "Lists the queueing disciplines of a namespace, with their counters",
    usage: "",
    arguments: [0, 0],
    options: NETNS,
    load: async () => ({ run: (await machine()).qdiscs }),
  },
  {
    name: "bridge",
    summary: "Lists forwarding entries or VLANs of bridges",
    usage: "fdb|vlan",
    arguments: [1, 1],
    words: ["fdb", "vlan"],
    options: NETNS,
    load: async () => ({ run: (await machine()).bridge }),
  },
  {
    name: "monitor",
    summary: "Prints each change of links, addresses, routes and neighbors as it happens",
    usage: "[links|addresses|routes|neighbors|fdb...]",
    arguments: [0, 5],
    words: ["links", "addresses", "routes", "neighbors", "fdb"],
    options: {
      ...NETNS,
      count: { value: "N", help: "ends after N events" },
    },
    load: () => import("./monitor.ts"),
  },
  {
    name: "doctor",
    summary: "Tells what this machine lacks, with the command that mends it",
    usage: "",
    arguments: [0, 0],
    load: () => import("./doctor.ts"),
  },
  {
    name: "clean",
    summary: "Removes what killed programs have left behind",
    usage: "[SCOPE]",
    arguments: [0, 1],
    options: { "dry-run": { help: "only lists it" } },
    load: () => import("./clean.ts"),
  },
  {
    name: "completion",
    summary: "Prints the completion of a shell",
    usage: "bash|zsh|fish",
    arguments: [1, 1],
    words: ["bash", "zsh", "fish"],
    load: () => import("./completion.ts"),
  },
];

/** The verb of a name, also of another name of it. */
export function verbOf(name: string): Verb | undefined {
  return VERBS.find((verb) => verb.name === name || verb.aliases?.includes(name));
}

/** The names of all verbs. */
export function verbNames(): string[] {
  return VERBS.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
}
