// Writes the pages of docs/ that come from sources: the reference, a page for each verb of the command,
// and the gallery of labs. `deno task docs` does it before it builds, `docs:edit` before it shows pages.
import { writeCommandPages } from "./command_page.ts";
import { writePictures } from "./pictures.ts";
import { writeReference } from "./reference.ts";

/** Writes them. */
export async function write(): Promise<void> {
  writeReference();
  writeCommandPages();
  await writePictures();
}

if (import.meta.main) await write();
