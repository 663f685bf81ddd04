// docs/contributors/kernels.md.
import { asMarkdown, type Column } from "./table.ts";

/** The matrix as a page. */
export function page(columns: readonly Column[]): string {
  const kernels = columns.map(({ label, facts, seconds }) =>
    `- \`${facts?.release}\`, ${describe(label)}: ${seconds} s\n`
  );
  return `# Kernels

Results of one run of the suite on three kernels, on ${today()}: what was tested on each, and what was
skipped there and why. Tests that are newer are not in it.


${kernels.join("")}
CI (\`.ci/run\`) runs the whole suite on the kernel of its machine. In guests it runs only
\`tests/capture/capture_test.ts\` and one file in \`tests/link/\` for each of eight kinds.

A row is a kind of link, or a group of its options, with the tests in \`tests/link/\` that are named
after it; below the kinds, what is of no kind. TAPs are tested with TUNs. A dash means that no test of
the row runs there: what asks no kernel is left out in guests (\`tests/kernels/selection.ts\`).

How many tests there are differs, too: those of a kind are made for each option that the kernel's has.
\`for kernels without it\` is what happens where a kind is lacking.

<!-- deno-fmt-ignore-start -->
${asMarkdown(columns)}<!-- deno-fmt-ignore-end -->

## To make this page again

\`\`\`sh
npx -y deno task test:kernels --write
\`\`\`

On a machine with QEMU, which the command asks for otherwise; kernels are fetched with apt into
\`.cache/kernels/\`. One kernel or one test: \`--kernel 6.12\`, \`--filter TEXT\`, paths. A look around:
\`--kernel 6.1 --command "ip -d link"\`.
`;
}

function describe(label: string): string {
  return label === "running" ? "the machine's own" : `Debian's ${label} in QEMU`;
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}
