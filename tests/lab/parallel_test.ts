// Fifty labs at once, with all of Deno's sanitizers. LAB_ROUNDS says how often: `deno task test:labs` has 200 rounds.
import { assertEquals } from "@std/assert";
import { up } from "../../src/lab/mod.ts";
import { settle, traces, warmUp } from "../leaks.ts";
import { small } from "./topologies.ts";

const ROUNDS = Number(Deno.env.get("LAB_ROUNDS") ?? 1);
const LABS = 50;

const sanitized = { sanitizeOps: true, sanitizeResources: true, sanitizeExit: true };

for (let round = 1; round <= ROUNDS; round++) {
  Deno.test(
    `${LABS} labs with the same names come up at once, round ${round}`,
    sanitized,
    async () => {
      await warmUp();
      const before = traces();
      const labs = await Promise.all(Array.from({ length: LABS }, () => up(small())));
      try {
        const options = { timeout: 10_000 };
        const pings = await Promise.all(labs.map((lab) => lab.node("h1").ping("h3", options)));
        assertEquals(pings.filter(({ received }) => received !== 1), []);
      } finally {
        await Promise.all(labs.map((lab) => lab[Symbol.asyncDispose]()));
      }
      await settle(before);
    },
  );
}
