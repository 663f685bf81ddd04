import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { LOADERS } from "../../src/cli/run.ts";
import { VERBS } from "../../src/cli/verbs.ts";
import { json, netloom, OUTPUT_SCHEMA } from "./command.ts";

Deno.test("netloom --help lists every verb, and each verb has a help of its own", async () => {
  const { code, stdout } = await netloom("--help");
  assertEquals(code, 0);
  for (const verb of VERBS) {
    assertStringIncludes(stdout, verb.name);
    const { helpOf } = await import("../../src/cli/help.ts");
    assertStringIncludes(helpOf(verb), `Usage: netloom ${verb.name}`);
  }
  const links = await netloom("links", "-h");
  assertEquals(links.code, 0);
  assertStringIncludes(links.stdout, "--netns NAME");
});

const WRONG: readonly (readonly [args: string[], words: string])[] = [
  [["lnks"], "did you mean links?"],
  [["links", "--nets", "x"], "did you mean --netns?"],
  [["links", "extra"], 'links does not take the argument "extra"'],
  [["links", "--netns"], "--netns takes a value: NAME"],
  [["bridge"], "bridge lacks an argument: netloom bridge fdb|vlan"],
  [["bridge", "fdp"], "did you mean fdb?"],
  [["draw", "-o", "lab.svgg"], 'or --format: got "lab.svgg"; did you mean "svg"?'],
  [["monitor", "--count", "many"], '--count takes a number: got "many"'],
];

for (const [args, words] of WRONG) {
  Deno.test(`netloom ${args.join(" ")} is a wrong call: exit code 2`, async () => {
    const { code, stdout, stderr } = await netloom(...args);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, words);
  });
}

Deno.test("An error has exit code 1, its words on standard error, and JSON for programs", async () => {
  const people = await netloom("links", "-n", "absent");
  assertEquals([people.code, people.stdout], [1, ""]);
  assertStringIncludes(people.stderr, 'netns "absent"');
  const { code, netloom: version, verb, error } = await json("links", "-n", "absent");
  assertEquals([code, version, verb], [1, 1, "links"]);
  assertStringIncludes(error.message, "absent");
});

Deno.test("netloom completion prints a script that the shell accepts", async () => {
  const { stdout } = await netloom("completion", "bash");
  const check = await new Deno.Command("bash", { args: ["-n", "-c", stdout] }).output();
  assert(check.success, new TextDecoder().decode(check.stderr));
  const words = async (...typed: string[]) =>
    (await netloom("__complete", ...typed)).stdout.trim().split("\n");
  assertEquals(await words("li"), ["links"]);
  assertEquals(await words("links", "--ne"), ["--netns"]);
  assertEquals(await words("bridge", ""), ["fdb", "vlan"]);
  assertEquals(await words("draw", "-o", ""), [":file"]);
});

Deno.test("Every verb has its code", () => {
  assertEquals(Object.keys(LOADERS), VERBS.map(({ name }) => name));
});

Deno.test("The schema of --json names every verb", () => {
  const { properties } = OUTPUT_SCHEMA as { properties: { verb: { enum: string[] } } };
  assertEquals(properties.verb.enum.toSorted(), VERBS.map(({ name }) => name).toSorted());
});

Deno.test("netloom schema --output prints the schema of --json", async () => {
  assertEquals(JSON.parse((await netloom("schema", "--output")).stdout), OUTPUT_SCHEMA);
  assertEquals((await json("schema", "--output")).result, OUTPUT_SCHEMA);
  assertEquals((await json("completion", "fish")).result.shell, "fish");
});
