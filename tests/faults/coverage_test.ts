// Whether each public call that creates, changes or removes something is tested with faults.
import { assertEquals } from "@std/assert";
import * as main from "../../mod.ts";
import * as brctl from "../../src/link/brctl.ts";
import * as nftables from "../../src/nftables/mod.ts";
import * as traffic from "../../src/traffic/mod.ts";
import { test } from "../leaks.ts";
import { LINK_CALLS } from "./link_calls.ts";
import { TRAFFIC_CALLS } from "./traffic_calls.ts";
import { type Call, Place } from "./trial.ts";

/** The verbs of calls that create, change or remove. Properties and all other methods read, wait, or move packets. */
const CHANGES =
  /^(create|open|openDevice|openQueue|add.*|append|replace|change|set.*|delete.*|flush|move|rename|up|down|attach|detach|persist|sysctl|batch|idOf|masquerade|drop|impair|intercept|clear|clean|capture|monitor)$/;

/** Calls that are not among the tested ones, and why. */
const APART: Readonly<Record<string, string>> = {
  "LinkBase.change": "protected: set(), up() and others are tested",
  "LinkBase.persist": "asks no kernel",
  "NetNs.persist": "asks no kernel",
  "PacketBatch.add": "memory",
  "PacketBatch.clear": "memory",
  "PcapngWriter.flush": "a file of the program's",
  "PcapngWriter.open": "a file of the program's",
  "Scope.open": "LINK_CALLS has it as Scope.open({ name })",
  "BridgePort.delete": "as LinkBase.delete",
};

type Members = [member: string, owner: object, name: string][];

/** The calls of all classes, each where it is declared, and those of brctl. */
function members(): Members {
  const found = new Map<string, [string, object, string]>();
  for (const module of [main, traffic, nftables] as Record<string, unknown>[]) {
    for (const value of Object.values(module)) {
      if (typeof value !== "function" || value.prototype instanceof Error) continue;
      for (let at = value; at?.prototype; at = Object.getPrototypeOf(at)) {
        for (const owner of [at, at.prototype]) {
          for (const [name, it] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
            if (typeof it.value !== "function" || !it.writable || !CHANGES.test(name)) continue;
            const member = `${at.name}.${name}`;
            found.set(member, [member, owner, name]);
          }
        }
      }
    }
  }
  return [...found.values()];
}

/** Notes each of the calls that is made, also by another one. */
function recording(all: Members): { called: Set<string>; [Symbol.dispose](): void } {
  const called = new Set<string>();
  const undo: (() => void)[] = [];
  for (const [member, owner, name] of all) {
    const at = owner as Record<string, unknown>;
    const original = at[name] as (...args: unknown[]) => unknown;
    at[name] = function (this: unknown, ...args: unknown[]): unknown {
      called.add(member);
      return original.apply(this, args);
    };
    undo.push(() => at[name] = original);
  }
  return { called, [Symbol.dispose]: () => undo.forEach((it) => it()) };
}

/** Makes a call as its test does, once. */
function make(call: Call): void {
  using place = new Place();
  call.prepare?.(place);
  const made = call.make(place);
  made?.[Symbol.dispose]();
}

test("Each public call that creates, changes or removes something is tested with faults", () => {
  const all = members();
  const calls = Object.entries({ ...LINK_CALLS, ...TRAFFIC_CALLS });
  using record = recording(all);
  for (const [, call] of calls) if (!call.lacks) make(call);
  // Those that this kernel lacks, by the names of their tests.
  const skipped = calls.filter(([, { lacks }]) => lacks).map(([name]) => name).join();
  const missing = all.map(([member]) => member).filter((member) =>
    !record.called.has(member) && !(member in APART) && !skipped.includes(`${member}()`)
  );
  assertEquals(missing, []);
});

test("Each command of brctl that changes something is tested with faults", () => {
  const commands = Object.keys(brctl).filter((name) => !/^(show|format)/.test(name));
  const tested = Object.keys(LINK_CALLS).join();
  const missing = commands.filter((name) => !new RegExp(`brctl\\..*\\b${name}\\(`).test(tested));
  assertEquals(missing, []);
});
