import { assertEquals } from "@std/assert";
import { commandPage, PAGE } from "../site/command_page.ts";

Deno.test("docs/command-line.md has the help of each verb: deno run -A tests/site/command_page.ts", () => {
  const is = Deno.readTextFileSync(PAGE);
  assertEquals(is, commandPage(is));
});
