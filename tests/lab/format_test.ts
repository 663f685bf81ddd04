import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parse as parseYaml } from "@std/yaml";
import { Ajv } from "npm:ajv@^8";
import * as yaml from "npm:yaml@2.9.1";
import { check, type TopologySpec } from "../../src/lab/mod.ts";
import { object, type Rule, text, words } from "../../src/lab/rules.ts";
import { linkKindNames } from "../../src/rtnetlink/link_info.ts";
import { ROOT } from "../script.ts";
import { BAD, GOOD } from "./files.ts";
import { documents, schema } from "./format_documents.ts";

const valid = new Ajv({ allErrors: true, strict: true, strictRequired: false }).compile(schema);

Deno.test("There are 200 good and bad files, no two alike", () => {
  const texts = [...GOOD, ...BAD.map(({ text }) => text)];
  assertEquals(new Set(texts).size, texts.length);
  assert(texts.length >= 200, `${texts.length} files`);
});

Deno.test("check() and the JSON Schema accept all good files", () => {
  for (const file of GOOD) {
    assertEquals(check(parseYaml(file)).map(({ message }) => message), [], file);
    assert(valid(parseYaml(file)), `${file}${JSON.stringify(valid.errors)}`);
  }
});

Deno.test("check() refuses all bad files and says why; the JSON Schema refuses those of wrong form", () => {
  for (const { text, says, schemaRefuses } of BAD) {
    const problems = check(parseYaml(text));
    assert(problems.length > 0, text);
    assertStringIncludes(problems.map(({ message }) => message).join("\n"), says, text);
    assertEquals(!valid(parseYaml(text)), schemaRefuses, text);
  }
});

Deno.test("@std/yaml and the reader that finds positions read all files alike", () => {
  for (const file of [...GOOD, ...BAD.map(({ text }) => text)]) {
    assertEquals(yaml.parseDocument(file, { merge: true }).toJS(), parseYaml(file), file);
  }
});

Deno.test("The files that the format's table gives are current", async () => {
  for (const [path, text] of await documents()) {
    assertEquals(Deno.readTextFileSync(ROOT + path), text, "to write them: deno task lab:format");
  }
});

Deno.test("Every option of the schema has a description", () => {
  const { $defs } = schema as { $defs: Record<string, { properties: Record<string, object> }> };
  const missing = Object.entries($defs).flatMap(([name, { properties }]) =>
    Object.entries(properties).filter(([, it]) => !("description" in it)).map(([key]) =>
      `${name}.${key}`
    )
  );
  const plain = /^(ExistingNetns|ReadySpec|ContainerlabFile)\./;
  assertEquals(missing.filter((name) => !plain.test(name)), []);
});

Deno.test("An interface can have each kind of the library that needs no program and no peer", () => {
  const { $defs } = schema as {
    $defs: Record<string, { properties: Record<string, { enum: string[] }> }>;
  };
  const kinds = $defs.InterfaceSpec!.properties.kind!.enum;
  // A peer, a program, and kinds that labs do not create yet.
  const others = ["veth", "tun", "bond", "vrf"];
  const expected = linkKindNames().filter((kind) => !others.includes(kind));
  assertEquals(kinds.filter((kind) => kind !== "physical").sort(), expected);
});

Deno.test("The compiler holds the table to the public types", () => {
  interface Pair {
    readonly a?: string;
    readonly b: "x" | "y";
  }
  // @ts-expect-error: b has two words, and any text is more
  object<Pair>("Pair", { a: text(), b: text() }, "b");
  // @ts-expect-error: a is missing
  object<Pair>("Pair", { b: words("x", "y") }, "b");
  const rule: Rule<Pair> = object<Pair>("Pair", { a: text(), b: words("x", "y") }, "b");
  assertEquals(rule.is, "object");
});

Deno.test("The compiler knows the nodes of a topology, also those of ranges", () => {
  const ranges: TopologySpec<"h[1-2]" | "r"> = {
    nodes: { "h[1-2]": null, r: { kind: "router" } },
    links: [{ endpoints: ["h1:eth0", "r"] }, { segment: ["h[1-2]", "r:eth1"] }],
  };
  assertEquals(check(ranges), []);
  const unknown: TopologySpec<"h1"> = {
    nodes: { h1: null },
    // @ts-expect-error: there is no node h2
    links: [{ endpoints: ["h1", "h2"] }],
  };
  assertEquals(check(unknown).length, 1);
});
