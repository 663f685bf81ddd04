// The pages of the built site.
import { SITE } from "./build.ts";

/** Their addresses on the site, and the files they are in; those that only lead elsewhere are left out. */
export function pages(directory: string = SITE): { address: string; file: string }[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) => {
    const file = `${directory}/${name}`;
    if (isDirectory) return file === `${SITE}/zh-TW/api` ? [] : pages(file);
    return name.endsWith(".html") && name !== "404.html"
      ? [{ address: file.slice(SITE.length), file }]
      : [];
  });
}
