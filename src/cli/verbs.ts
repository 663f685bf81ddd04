/**
 * The table of verbs.
 *
 * @module
 */
import type { Verb, VerbOption } from "./verb.ts";

const NETNS: Readonly<Record<string, VerbOption>> = {
  netns: { value: "NAME", short: "n", help: "the namespace: a name, a process id or a path" },
};

const LAB: Readonly<Record<string, VerbOption>> = {
  lab: { value: "NAME", help: "the lab; default: the only one that runs" },
};

/** All verbs, in the order of `--help`. */
export const VERBS: readonly Verb[] = [
  {
    name: "up",
    aliases: ["deploy"],
    summary: "Brings a lab up, or a running one to what its file says now",
    usage: "[FILE]",
    arguments: [0, 1],
    completes: "file",
    options: {
      name: { value: "NAME", help: "the name of the lab; default: that of the file" },
      "dry-run": { help: "shows the plan and changes nothing" },
      timeout: { value: "SECONDS", help: "time until the lab has to carry traffic; default: 10" },
    },
    changes: true,
  },
  {
    name: "down",
    aliases: ["destroy"],
    summary: "Removes a lab; it needs neither its file nor a process of it",
    usage: "[NAME|FILE]",
    arguments: [0, 1],
    completes: "lab",
    options: LAB,
    changes: true,
  },
  {
    name: "plan",
    summary: "Shows everything that up would create, change and remove",
    usage: "[FILE]",
    arguments: [0, 1],
    completes: "file",
    options: {
      name: { value: "NAME", help: "the name of the lab; default: that of the file" },
      commands: { help: "prints only the commands of ip, bridge and sysctl" },
    },
  },
  {
    name: "check",
    summary: "Checks a lab file; each problem has its line and column",
    usage: "[FILE]",
    arguments: [0, 1],
    completes: "file",
  },
  {
    name: "init",
    summary: "Writes a lab file to begin with, or of a known form",
    usage: "",
    arguments: [0, 0],
    options: {
      clos: { value: "LEAVES,SPINES,HOSTS", help: "a fabric; hosts at each leaf" },
      ring: { value: "N", help: "routers in a ring" },
      star: { value: "N", help: "hosts at one router" },
      tree: { value: "DEPTH,FANOUT", help: "routers in a tree, hosts below the last" },
      grid: { value: "COLUMNS,ROWS", help: "routers in a grid" },
      torus: { value: "COLUMNS,ROWS", help: "a grid with joined edges" },
      mesh: { value: "N", help: "routers, each joined to each" },
      random: { value: "N,SEED", help: "routers, joined at random; a seed gives one network" },
      name: { value: "NAME", help: "the name of the lab; default: that of the form" },
      output: { value: "FILE", short: "o", help: "the file; - for standard output" },
    },
  },
  {
    name: "schema",
    summary: "Prints the JSON Schema of lab files, or of what the verbs print with --json",
    usage: "",
    arguments: [0, 0],
    options: { output: { help: "the schema of --json" } },
  },
  {
    name: "ps",
    summary: "Lists the labs",
    usage: "",
    arguments: [0, 0],
  },
  {
    name: "show",
    aliases: ["inspect"],
    summary: "Shows the nodes of a lab or of a file, or one node as it is",
    usage: "[NODE|FILE]",
    arguments: [0, 1],
    completes: "node",
    options: LAB,
  },
  {
    name: "exec",
    summary: "Runs a command in nodes",
    usage: "NODE... -- COMMAND...",
    arguments: [1, Infinity],
    completes: "node",
    options: LAB,
  },
  {
    name: "shell",
    summary: "Opens a shell in a node",
    usage: "NODE",
    arguments: [1, 1],
    completes: "node",
    options: LAB,
  },
  {
    name: "ping",
    summary: "Pings from one node to another, or between all",
    usage: "[FROM TO]",
    arguments: [0, 2],
    completes: "node",
    options: { ...LAB, count: { value: "N", short: "c", help: "pings; default: 3" } },
  },
  {
    name: "impair",
    summary: "Impairs the wire between two nodes: A B delay=20ms loss=1%; without values shows it",
    usage: "A B [NAME=VALUE...] | show | clear [A B]",
    arguments: [1, Infinity],
    completes: "node",
    options: {
      ...LAB,
      "one-way": { help: "only packets from A to B" },
      replace: { help: "drops values that are not named; default: they stay" },
    },
  },
  {
    name: "cut",
    summary: "Cuts the wire between two nodes; carrier and addresses stay",
    usage: "A B",
    arguments: [2, 2],
    completes: "node",
    options: { ...LAB, "one-way": { help: "only packets from A to B" } },
  },
  {
    name: "heal",
    summary: "Heals a wire that was cut, or without arguments all cuts and partitions",
    usage: "[A B]",
    arguments: [0, 2],
    completes: "node",
    options: LAB,
  },
  {
    name: "partition",
    summary: "Parts the nodes into groups that do not reach each other",
    usage: "A,B C...",
    arguments: [2, Infinity],
    completes: "node",
    options: LAB,
  },
  {
    name: "fault",
    summary: "Runs faults at fixed times: a list of events, or the schedule of a lab file",
    usage: "run [SCHEDULE]",
    arguments: [1, 2],
    completes: "file",
    options: LAB,
  },
  {
    name: "logs",
    summary: "Prints the output of a node's commands",
    usage: "NODE",
    arguments: [1, 1],
    completes: "node",
    options: { ...LAB, follow: { short: "f", help: "goes on with what comes, until Ctrl-C" } },
  },
  {
    name: "capture",
    summary: "Captures packets at interfaces: as lines, in a file, or in Wireshark",
    usage: "[NODE[:INTERFACE]... | --all]",
    arguments: [0, Infinity],
    completes: "node",
    options: {
      ...LAB,
      all: { help: "all wires, each at its first end; the default" },
      write: { value: "FILE", short: "w", help: "writes a pcapng file; - for standard output" },
      wireshark: { help: "shows the packets in Wireshark as they come" },
      seconds: { value: "N", help: "ends after N seconds" },
    },
  },
  {
    name: "watch",
    summary: "Prints each change in the nodes of a lab as it happens",
    usage: "",
    arguments: [0, 0],
    options: { ...LAB, count: { value: "N", help: "ends after N events" } },
  },
  {
    name: "draw",
    summary: "Draws a lab, a lab file or namespaces: SVG, PNG, DOT, Mermaid, D2, draw.io, JSON",
    usage: "[FILE|NETNS...]",
    arguments: [0, Infinity],
    completes: "netns",
    options: {
      output: { value: "FILE", short: "o", help: "the file; without it standard output" },
      format: {
        value: "FORMAT",
        help: "svg, png, dot, mermaid, d2, drawio, json; default: by the file's ending, or svg",
      },
      theme: { value: "THEME", help: "auto (default), light or dark" },
      detail: { value: "DETAIL", help: "addresses, interfaces or nodes" },
      direction: { value: "LR|TB", help: "from left to right, or from top to bottom" },
      engine: { value: "ENGINE", help: "dot, neato, fdp, circo or twopi" },
      title: { value: "TEXT", help: "the title" },
      loopback: { help: "loopback links, too" },
      ...LAB,
    },
  },
  {
    name: "view",
    summary: "Shows a lab, or namespaces, as a living picture on a local page",
    usage: "[NETNS...]",
    arguments: [0, Infinity],
    completes: "netns",
    options: {
      port: { value: "PORT", help: "the port on 127.0.0.1; default: a free one" },
      title: { value: "TEXT", help: "the title" },
      ...LAB,
    },
  },
  {
    name: "links",
    summary: "Lists the links of a namespace",
    usage: "",
    arguments: [0, 0],
    options: { ...NETNS, kind: { value: "KIND", help: "only links of this kind" } },
  },
  {
    name: "addresses",
    summary: "Lists the IP addresses of a namespace",
    usage: "",
    arguments: [0, 0],
    options: { ...NETNS, dev: { value: "LINK", help: "only those of this link" } },
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
  },
  {
    name: "neighbors",
    summary: "Lists the neighbors (ARP, NDP) of a namespace",
    usage: "",
    arguments: [0, 0],
    options: NETNS,
  },
  {
    name: "qdiscs",
    summary: "Lists the queueing disciplines of a namespace, with their counters",
    usage: "",
    arguments: [0, 0],
    options: NETNS,
  },
  {
    name: "bridge",
    summary: "Lists forwarding entries or VLANs of bridges",
    usage: "fdb|vlan",
    arguments: [1, 1],
    words: ["fdb", "vlan"],
    options: NETNS,
  },
  {
    name: "monitor",
    summary: "Prints each change of links, addresses, routes and neighbors as it happens",
    usage: "[links|addresses|routes|neighbors|fdb|rules...]",
    arguments: [0, 5],
    words: ["links", "addresses", "routes", "neighbors", "fdb", "rules"],
    options: {
      ...NETNS,
      count: { value: "N", help: "ends after N events" },
    },
  },
  {
    name: "test",
    summary: "Runs deno test in a namespace with nothing but lo, and with a private /run",
    usage: "FILE... [-- FLAG OF deno test...]",
    arguments: [1, Infinity],
    completes: "file",
    changes: true,
  },
  {
    name: "doctor",
    summary: "Tells what this machine lacks, with the command that mends it",
    usage: "",
    arguments: [0, 0],
  },
  {
    name: "clean",
    summary: "Removes what killed programs have left behind",
    usage: "[SCOPE]",
    arguments: [0, 1],
    options: { "dry-run": { help: "only lists it" } },
  },
  {
    name: "completion",
    summary: "Prints the completion of a shell",
    usage: "bash|zsh|fish",
    arguments: [1, 1],
    words: ["bash", "zsh", "fish"],
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
