/**
 * netloom's side of the capture benchmark: writes what arrives on a link to a file until its input ends,
 * and prints what was counted.
 *
 * @module
 */
import { Link, PcapngWriter } from "@netloom/netloom";

const [how, link, path] = Deno.args as [string, string, string];
await using file = new PcapngWriter(path);
using capture = Link.get(link).capture({ bufferSize: 8 << 20 });
console.log("listening");
void (async () => {
  for await (const _ of Deno.stdin.readable);
  capture.stop();
})();
if (how === "writeAll") await file.writeAll(capture);
else for await (const frame of capture) await file.write(frame);
console.log(JSON.stringify(capture.statistics()));
