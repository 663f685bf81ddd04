/**
 * Lists a namespace's links, decoded, and receives the same dump without decoding it, in turns.
 *
 * `deno run -A dump_child.ts NETNS ROUNDS` prints one line of JSON. Times are of the median round, those
 * of the process's first dump beside them; processor time is that of an average round.
 *
 * @module
 */
import { NetNs } from "@netloom/netloom";
import { source, Writer } from "../../src/netlink/bytes.ts";
import { forEachMessage, NETLINK, NLM_F, NLMSG, writeMessage } from "../../src/netlink/message.ts";
import { KernelSocket } from "../../src/netlink/socket.ts";
import { dumpLinks } from "../../src/rtnetlink/link.ts";
import { cpuTime, median, type Sample } from "./_measure.ts";

/** What that took. */
export interface OwnDump {
  /** Links in the dump, the loopback device among them. */
  readonly links: number;
  /** Listed as objects. */
  readonly typed: Sample;
  /** Received only. */
  readonly raw: Sample;
  /** Listed as objects for the first time. */
  readonly first_ms: number;
}

const [name, rounds] = Deno.args as [string, string];
using netns = NetNs.open(name);
using socket = new KernelSocket(netns.ref, NETLINK.ROUTE);
const received = source(new Uint8Array(32 << 10));
const request = new Writer();
writeMessage(request, dumpLinks(), NLM_F.REQUEST | NLM_F.DUMP, 1);

function list(): number {
  return netns.links.list().length;
}

function receive(): number {
  socket.send(request.bytes, request.length);
  let links = 0;
  for (let done = false; !done;) {
    forEachMessage(received, socket.receive(received.bytes), ({ type }) => {
      if (type === NLMSG.DONE) done = true;
      else links++;
    });
  }
  return links;
}

const jobs = { typed: { run: list, cpu: 0 }, raw: { run: receive, cpu: 0 } };
const times = { typed: [] as number[], raw: [] as number[] };
let links = 0;
for (let round = 0; round < Number(rounds); round++) {
  for (const key of ["typed", "raw"] as const) {
    const [cpu, started] = [cpuTime(), performance.now()];
    const count = jobs[key].run();
    times[key].push(performance.now() - started);
    jobs[key].cpu += cpuTime() - cpu;
    links ||= count;
    if (count !== links) throw new Error(`${count} links instead of ${links}`);
  }
}
const sample = (key: "typed" | "raw"): Sample => ({
  ms: median(times[key]),
  cpu_ms: jobs[key].cpu / times[key].length,
});
const result: OwnDump = {
  links,
  typed: sample("typed"),
  raw: sample("raw"),
  first_ms: times.typed[0]!,
};
console.log(JSON.stringify(result));
