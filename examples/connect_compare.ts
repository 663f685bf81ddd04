/**
 * The ways to connect two namespaces, compared: TCP throughput and its cost, small packets per second,
 * and the round trip of a ping.
 *
 *     deno run -A examples/connect_compare.ts [--seconds N] [--rounds N] [--json] [--svg FILE] [--keep]
 */
import { NetNs, Scope } from "@netloom/netloom";
import { chartWriter } from "./_compare/chart.ts";
import { Ends, type Measured } from "./_compare/measure.ts";
import { mediansOnly, summaries, withRanges } from "./_compare/summary.ts";
import { type Site, WAYS } from "./_compare/ways.ts";
import { fail, finish, number, options, progress, wholeNumber } from "./_recipe.ts";
import { printTable } from "./_table.ts";

const { keep, ...given } = options("The ways to connect two namespaces, compared", {
  own: {
    seconds: { value: "N", help: "length of each measurement; default: 1" },
    rounds: { value: "N", help: "number of rounds; default: 3" },
    json: { help: "prints the figures as JSON" },
    svg: { value: "FILE", help: "draws them, by Vega-Lite from npm" },
  },
});
const ms = 1000 * number("--seconds", given.seconds ?? "1");
const rounds = wholeNumber("--rounds", given.rounds ?? "3");
const writeChart = given.svg === undefined
  ? undefined
  : await chartWriter(given.svg).catch((error) => fail(error.message));
const print = given.json ? console.error : console.log;
await using lab = Scope.open({ name: "netloom-connect_compare", replace: true, signals: true });

const measured = new Map<string, Measured[]>();
const lacking = WAYS.map(({ name, lacks }) => [name, lacks()] as const).filter(([, why]) => why);
const ways = WAYS.filter(({ name }) => lacking.every(([other]) => other !== name));
const [a, b, between] = ["a", "b", "between"].map((name) => NetNs.create(name, { scope: lab }));
const sites = ways.map(({ build }, i): Site => {
  const addresses = [`10.0.${i}.1`, `10.0.${i}.2`] as const;
  const site = { lab, ends: [a!, b!], between: between!, name: `way${i}`, addresses } as const;
  build(site);
  return site;
});
using ends = new Ends([a!, b!]);
await lab.ready();

const estimate = ways.length * (0.5 + rounds * (2 * ms / 1000 + 0.2));
const count = rounds === 1 ? "once" : `${rounds} times`;
print(`Measures ${ways.length} ways, each ${count}: about ${Math.ceil(estimate)} s\n`);
for (let round = 0; round <= rounds; round++) {
  for (const [i, { name }] of ways.entries()) {
    progress(round === 0 ? `warming up: ${name}` : `round ${round} of ${rounds}: ${name}`);
    const one = await ends.measure(
      sites[i]!.addresses[1],
      round === 0 ? Math.min(ms, 200) : ms,
    );
    if (round > 0) measured.set(name, [...measured.get(name) ?? [], one]);
  }
}
progress("");

if (given.json) console.log(JSON.stringify(summaries(measured), null, 2));
else printTable(withRanges(measured));
print(`\nMedians of ${rounds} rounds; in parentheses the lowest and the highest`);
print("Processors: of the whole machine, while TCP is measured, other programs included");
for (const [name, why] of lacking) print(`Left out: ${name}, because ${why}`);
await writeChart?.(mediansOnly(measured), `${rounds} rounds of ${ms} ms each, medians`);

const carried = (all: Measured[]) =>
  all.every(({ gigabits, packets, latency }) => gigabits > 0 && packets > 0 && latency > 0);
await finish({
  checks: Object.fromEntries(
    [...measured].map(([name, it]) => [`${name}: TCP, datagrams and pings arrive`, carried(it)]),
  ),
  keep,
  look: "ip netns exec a ping 10.0.0.2",
  json: given.json,
});
