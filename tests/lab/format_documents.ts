// `deno task lab:format`: writes the JSON Schema of topologies and the reference of their format, both
// from the table in src/lab/format.ts and the comments in src/lab/spec.ts.
import { containerlabRule, topologyRule } from "../../src/lab/format.ts";
import type { ObjectRule, RuleData } from "../../src/lab/rules.ts";
import { ROOT } from "../script.ts";

/** The files that the task writes. */
export const SCHEMA = "schema/lab.v1.json";
export const REFERENCE = "docs/guides/lab-format.md";

/** A part of a JSON Schema. */
export type Schema = Readonly<Record<string, unknown>>;

/** The comments of an interface: its own, and those of its keys. */
interface Comments {
  readonly own: string;
  readonly keys: Readonly<Record<string, string>>;
  readonly extends: readonly string[];
}

interface Documented {
  readonly jsDoc?: { readonly doc?: string };
}

interface Declaration extends Documented {
  readonly def?: {
    readonly properties?: readonly (Documented & { readonly name: string })[];
    readonly extends?: readonly { readonly repr: string }[];
  };
}

/** The comments of all interfaces of a module. */
async function commentsOf(...modules: string[]): Promise<Map<string, Comments>> {
  const found = new Map<string, Comments>();
  for (const module of modules) {
    const options = { args: ["doc", "--json", module], cwd: ROOT, env: { NO_COLOR: "1" } };
    const { stdout } = await new Deno.Command(Deno.execPath(), options).output();
    const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as {
      nodes: Record<string, { symbols: { name: string; declarations: Declaration[] }[] }>;
    };
    for (const { symbols } of Object.values(nodes)) {
      for (const { name, declarations: [first] } of symbols) {
        const { jsDoc, def } = first!;
        const keys = (def?.properties ?? []).map((it) =>
          [it.name, oneLine(it.jsDoc?.doc)] as const
        );
        found.set(name, {
          own: oneLine(jsDoc?.doc),
          keys: Object.fromEntries(keys),
          extends: (def?.extends ?? []).map(({ repr }) => repr.replace(/<.*/, "")),
        });
      }
    }
  }
  return found;
}

function oneLine(text = ""): string {
  return text.split("\n\n@")[0]!.replace(/\s+/g, " ").trim();
}

const comments = await commentsOf(
  "src/lab/spec.ts",
  "src/lab/resolved.ts",
  "src/capture/filter.ts",
);

/** The comment of a key of an object, also of an inherited one. */
function commentOf(name: string, key: string): string {
  const found = comments.get(name === "ContainerlabTopology" ? "TopologySpec" : name);
  if (found === undefined) return "";
  return found.keys[key] ?? found.extends.map((base) => commentOf(base, key)).find(Boolean) ?? "";
}

const FOREIGN =
  "An option of containerlab that netloom lacks: it is an error, unless `without` names it.";

/** The objects of the format by name, in the order in which the table leads to them. */
function objectsOf(
  rule: RuleData,
  found: Map<string, ObjectRule> = new Map(),
): Map<string, ObjectRule> {
  if (rule.is === "later") return objectsOf(rule.rule(), found);
  if (rule.is === "list" || rule.is === "record") return objectsOf(rule.of, found);
  if (rule.is === "either") rule.of.forEach((part) => objectsOf(part, found));
  if (rule.is !== "object" || found.has(rule.name)) return found;
  found.set(rule.name, rule);
  Object.values(rule.fields).forEach((field) => objectsOf(field, found));
  return found;
}

const objects = objectsOf(topologyRule);
objectsOf(containerlabRule, objects);

/** The JSON Schema of a rule. */
function schemaOf(rule: RuleData): Schema {
  switch (rule.is) {
    case "later":
      return schemaOf(rule.rule());
    case "object":
      return { $ref: `#/$defs/${rule.name}` };
    case "record": {
      const names = rule.key?.pattern && { propertyNames: { pattern: rule.key.pattern.source } };
      return { type: "object", ...names, additionalProperties: schemaOf(rule.of) };
    }
    case "list": {
      const { min, max } = rule;
      return {
        type: "array",
        items: schemaOf(rule.of),
        ...(min > 0 ? { minItems: min } : {}),
        ...(max < Infinity ? { maxItems: max } : {}),
      };
    }
    case "either":
      return { anyOf: rule.of.map(schemaOf) };
    case "text":
      return { type: "string", ...(rule.pattern ? { pattern: rule.pattern.source } : {}) };
    case "number":
      return {
        type: rule.integer ? "integer" : "number",
        ...(rule.min > -Infinity ? { minimum: rule.min } : {}),
        ...(rule.max < Infinity ? { maximum: rule.max } : {}),
      };
    case "words":
      return { enum: rule.words };
    case "any":
      return { deprecated: true };
    default:
      return { type: rule.is };
  }
}

function definitionOf({ name, fields, required, one }: ObjectRule): Schema {
  const properties = Object.entries(fields).map(([key, rule]) => {
    const description = rule.is === "any" ? FOREIGN : commentOf(name, key);
    return [key, { ...(description ? { description } : {}), ...schemaOf(rule) }] as const;
  });
  const description = comments.get(name)?.own;
  return {
    ...(description ? { description } : {}),
    type: "object",
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    ...(required.length > 0 ? { required } : {}),
    ...(one.length > 0 ? { oneOf: one.map((key) => ({ required: [key] })) } : {}),
  };
}

/** The JSON Schema of a topology, in netloom's form or in that of containerlab. */
export const schema: Schema = {
  $schema: "http://json-schema.org/draft-07/schema#",
  title: "A lab of netloom",
  if: { type: "object", required: ["topology"] },
  then: { $ref: "#/$defs/ContainerlabFile" },
  else: { $ref: "#/$defs/TopologySpec" },
  $defs: Object.fromEntries([...objects].map(([name, rule]) => [name, definitionOf(rule)])),
};

/** A rule as the reference names it. */
function typeOf(rule: RuleData): string {
  switch (rule.is) {
    case "later":
      return typeOf(rule.rule());
    case "object":
      return `[${titleOf(rule.name)}](#${titleOf(rule.name).replaceAll(" ", "-")})`;
    case "record":
      return `name: ${typeOf(rule.of)}`;
    case "list":
      return `list of ${typeOf(rule.of)}`;
    case "either":
      return [...new Set(rule.of.map(typeOf))].filter((it) => it !== "empty").join(" or ");
    case "number": {
      const range = rule.max === Infinity
        ? rule.min === -Infinity ? "" : ` from ${rule.min}`
        : ` ${rule.min}..${rule.max}`;
      return `number${range}`;
    }
    case "words":
      return rule.words.map((word) => `\`${word}\``).join(", ");
    case "boolean":
      return "`true`, `false`";
    case "null":
      return "empty";
    default:
      return rule.is === "text" ? rule.what.replace(/^an? /, "") : rule.is;
  }
}

/** `EndpointObject` as `endpoint object`. */
function titleOf(name: string): string {
  return name.replace(/Spec$/, "").replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}

function sectionOf({ name, fields, required, one }: ObjectRule): string {
  const rows = Object.entries(fields).filter(([, { is }]) => is !== "any").map(([key, rule]) => {
    const cell = (text: string) =>
      text.replaceAll("|", "\\|").replace(/\{@link\w* ([\w.]+)\}/g, "`$1`");
    const must = required.includes(key) ? " Required." : "";
    return `| \`${key}\` | ${cell(typeOf(rule))} | ${cell(commentOf(name, key) + must)} |\n`;
  });
  const choice = one.length > 0
    ? `\nExactly one of ${one.map((key) => `\`${key}\``).join(", ")} has to be there.\n`
    : "";
  return `## ${titleOf(name)}\n\n${comments.get(name)?.own ?? ""}\n${choice}\n` +
    `| Option | Value | Meaning |\n| --- | --- | --- |\n${rows.join("")}\n`;
}

const shown = [...objects.values()].filter(({ name }) => !name.startsWith("Containerlab"));

/** The reference of the format. */
export const reference: string = `# The format of labs

<!-- Written by \`deno task lab:format\`; edit the comments in src/lab/spec.ts. -->

All options of a [lab](labs.md), in YAML and in TypeScript. Editors read the same from the JSON Schema
\`${SCHEMA}\`. An option that is not listed is an error.

${shown.map(sectionOf).join("")}`;

/** A text as `deno fmt` writes it. */
async function formatted(text: string, extension: string): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "-q", "--config", `${ROOT}deno.json`, "--ext", extension, "-"],
    stdin: "piped",
    stdout: "piped",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  return new TextDecoder().decode((await child.output()).stdout);
}

/** The files and what should be in them. */
export async function documents(): Promise<readonly (readonly [path: string, text: string])[]> {
  return [
    [SCHEMA, await formatted(JSON.stringify(schema, null, 2), "json")],
    [REFERENCE, await formatted(reference, "md")],
  ];
}

if (import.meta.main) {
  for (const [path, text] of await documents()) {
    Deno.mkdirSync(ROOT + path.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(ROOT + path, text);
  }
}
