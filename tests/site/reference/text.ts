// Documentation comments as Markdown for VitePress.

/** The address of a name in a comment: `Veth`, `Veth.create`; `undefined` for one that is not public. */
export type Find = (name: string) => string | undefined;

/** The Markdown of a comment: its links resolved, and nothing in it that Vue would take as its own. */
export function markdown(doc: string, find: Find): string {
  // Code is left as it is.
  return doc.split(/(^```[^]*?^```|`[^`\n]+`)/m).map((part, n) =>
    n % 2 === 1 ? part : linked(part, find)
  ).join("").trim();
}

function linked(text: string, find: Find): string {
  return text.split(/(\{@link(?:code|plain)?\s+[^}]+\})/).map((part) => {
    const [, name, label] = /^\{@link\w*\s+([^\s|}]+)(?:\s*\|?\s*([^}]*))?\}$/.exec(part) ?? [];
    if (name === undefined) return part.replaceAll("<", "&lt;").replaceAll("{{", "{&#123;");
    const address = /^https?:/.test(name) ? name : find(name);
    const shown = label?.trim() || `\`${name.replace(".prototype.", ".")}\``;
    return address ? `[${shown}](${address})` : shown;
  }).join("");
}

/** The first sentence of a comment. */
export function firstSentence(doc = ""): string {
  const [paragraph = ""] = doc.trim().split(/\n\s*\n/);
  const line = paragraph.replaceAll("\n", " ");
  return /^.*?[.:](?= [A-Z`]|$)/.exec(line)?.[0].replace(/:$/, ".") ?? line;
}

/** An `@example`: its title, and the rest. */
export function example(doc: string): { title: string; body: string } {
  const [first = "", ...rest] = doc.split("\n");
  return first.startsWith("```")
    ? { title: "Example", body: doc }
    : { title: first.trim(), body: rest.join("\n").trim() };
}
