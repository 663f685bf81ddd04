/**
 * The engine of this process on v0 of a namespace: `user_engine_child.ts NETNS pass|packets|MILLISECONDS`.
 *
 * @module
 */
import { Link } from "../../../mod.ts";
import { startUserImpairment } from "../../../src/traffic/user/impair.ts";

const [name = "", what = ""] = Deno.args;
const link = Link.get("v0", { netns: { name } });
// A loss that never happens: each packet is decided on alone.
const out = what === "pass" ? {} : what === "packets" ? { loss: 1e-12 } : { delay: Number(what) };
startUserImpairment(link, { out });
console.log("ready");
