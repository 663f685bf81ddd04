// The selection of tests for guests.

/**
 * Files that guests leave out, and the reason. All of them run on the kernel of the machine. Of the
 * examples of the documentation only those of src/link run in guests, for the kinds that the kernel of
 * the machine lacks.
 */
export const NOT_IN_GUESTS = {
  "tests/headers": "reads the kernel's header files, which are the machine's in a guest too",
  "tests/std": "compares parsers",
  "tests/config_test.ts": "compares configuration files",
  "tests/integration": "reads the sources, and imports the package",
  "tests/permissions_test.ts": "asks Deno for permissions, each in a process of its own",
  "tests/sanitizers_test.ts": "asks Deno what is open, in a process that has used nothing before",
  "tests/faults/traffic_calls_test.ts": "takes long; calls_test.ts tests the kinds of links there",
  "tests/faults/coverage_test.ts": "compares lists",
  "tests/link/stack_test.ts": "reads the stacks of errors",
  "tests/rootless_test.ts": "starts copies of Deno as another user",
  "tests/examples_chart_test.ts": "draws a chart, and asks no kernel",
  "tests/examples_options_test.ts": "starts scripts that end before they ask the kernel",
  "tests/leaks_test.ts": "tests the tests",
  "tests/pull_iterator_test.ts": "asks no kernel",
  "tests/documentation_test.ts": "reads the documentation",
  "tests/cli": "starts the command for each verb; the calls behind the verbs are tested",
  "tests/lab/examples_test.ts": "starts servers that have the time a real machine needs",
  "tests/lab/format_test.ts": "checks files of labs",
  "tests/lab/golden_test.ts": "resolves topologies, and asks no kernel",
  "tests/lab/guides_test.ts": "the same",
  "tests/lab/property_test.ts": "the same",
  "tests/lab/resolve_test.ts": "the same",
  "tests/traffic/impairment_values_test.ts": "asks no kernel",
  "tests/traffic/units_test.ts": "parses amounts",
  "tests/traffic/user_decisions_test.ts": "asks no kernel",
  "tests/view/draw_test.ts": "draws networks that exist nowhere",
  "tests/observe/table_test.ts": "compares objects",
  "tests/observe/malformed_test.ts": "cuts off messages, as netlink/short_test.ts does",
  "tests/scope/exit_test.ts": "ends copies of Deno in many ways; record_test.ts kills them",
  "tests/netns/worker_test.ts": "tests Deno's workers; device/queues_test.ts uses them",
  "tests/packet/builders_test.ts": "asks tshark, but no kernel",
  "tests/packet/checksum_test.ts": "asks no kernel; packet/kernel_test.ts does",
  "tests/packet/coalescer_test.ts": "the same",
  "tests/packet/codecs_test.ts": "the same",
  "tests/packet/format_test.ts": "asks tcpdump, but no kernel",
  "tests/packet/dns_test.ts": "asks tshark, but no kernel",
  "tests/packet/fuzz_test.ts": "asks no kernel",
  "tests/packet/pseudo_header_test.ts": "asks tshark, but no kernel",
  "tests/packet/segment_test.ts": "asks tcpdump, but no kernel",
  "tests/capture/files_test.ts": "asks tcpdump; capture_test.ts asks the kernel",
  "tests/capture/impossible_test.ts": "asks tcpdump and tshark; capture_test.ts asks the kernel",
  "tests/netlink/attribute_test.ts": "reads and writes bytes",
  "tests/netlink/connection_test.ts": "has a stand-in for the kernel",
  "tests/netlink/dump_test.ts": "the same",
  "tests/netlink/extack_test.ts": "the same",
  "tests/netlink/message_test.ts": "reads and writes bytes",
  "tests/netlink/schema_test.ts": "the same",
  "tests/netlink/templates_test.ts": "reads and writes bytes",
  "tests/netlink/trace_test.ts": "has a stand-in for the kernel",
  "tests/rtnetlink/link_bytes_test.ts": "the same",
  "tests/rtnetlink/route_bytes_test.ts": "the same",
};

/** Flags of the suite for a guest. Types are checked on the machine, 20 times faster. */
export const GUEST_FLAGS = [
  "--together",
  "--no-check",
  `--ignore=${Object.keys(NOT_IN_GUESTS).join(",")}`,
];

/**
 * Variables in a guest. `NETLOOM_GUEST`: tests/examples_test.ts runs each example once. The flags: TCG
 * translates code that changes at run time again and again, which costs more than it saves.
 */
export const GUEST_ENV = {
  NETLOOM_GUEST: "1",
  DENO_V8_FLAGS: "--no-opt,--no-sparkplug,--no-maglev",
};
