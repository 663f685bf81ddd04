// Which tests run where.

/**
 * What is left out in a guest, and why. All of it runs on the machine's own kernel; tests/bench, which
 * tests/run.ts leaves out as well, measures and tests nothing.
 */
const NOT_IN_GUESTS = {
  "tests/headers": "reads the kernel's header files, which are the machine's in a guest too",
  "tests/std": "compares parsers; asks no kernel",
  "tests/packet/checksum_test.ts": "asks no kernel; packet/kernel_test.ts does",
  "tests/packet/coalescer_test.ts": "asks no kernel",
  "tests/packet/codecs_test.ts": "asks no kernel",
  "tests/packet/format_test.ts": "asks tcpdump, but no kernel",
  "tests/packet/fuzz_test.ts": "asks no kernel",
  "tests/packet/segment_test.ts": "asks tcpdump, but no kernel",
  "tests/capture/files_test.ts": "asks tcpdump; capture_test.ts asks the kernel",
  "tests/config_test.ts": "compares configuration files; asks no kernel",
  "tests/integration/layers_test.ts": "reads the sources; asks no kernel",
  "tests/integration/registry_test.ts": "publishes and imports the package; asks no kernel",
};

/** Flags of `deno test` for a guest. Types are checked on the machine, 20 times faster. */
export const GUEST_FLAGS = ["--no-check", `--ignore=${Object.keys(NOT_IN_GUESTS).join(",")}`];

/**
 * Compiling costs more than it saves where the processor is emulated: code that is made while it runs is
 * translated again and again.
 */
export const GUEST_ENV = { DENO_V8_FLAGS: "--no-opt,--no-sparkplug,--no-maglev" };
