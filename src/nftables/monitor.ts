/**
 * Following the changes of a ruleset: one event for each batch.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import type { Source } from "../netlink/bytes.ts";
import { connectionTo } from "../netlink/connections.ts";
import { type Header, NETLINK } from "../netlink/message.ts";
import { Subscription } from "../netlink/socket.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { PullIterator } from "../waiting.ts";
import { chainFormat, ruleFormat } from "./chain.ts";
import { NFNL_SUBSYS, NFNLGRP, NFT_MSG } from "./constants.ts";
import { type Family, familyWord, generationFormat } from "./message.ts";
import {
  type ChainInfo,
  chainInfo,
  isAnonymous,
  type NamedSet,
  readRuleset,
  type RuleInfo,
  ruleInfo,
  type SetInfo,
  setInfo,
  type TableInfo,
} from "./ruleset.ts";
import {
  type ElementMessage,
  elementsFormat,
  setFormat,
  type SetMessage,
  type SetName,
} from "./set.ts";
import { decodeElements, type Element, type ElementContext, elementContext } from "./set_entry.ts";
import { flowtableFormat, objectFormat, tableFormat } from "./table.ts";

/** Options of {@link Nftables.monitor}. */
export interface NftMonitorOptions {
  /** Ends the monitor: a pending or the next `next()` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Whether an object was added or deleted. */
export type NftAction = "add" | "delete";

/** An object that a batch has added or deleted. A rule that was replaced is one of each. */
export type NftChange =
  & { readonly action: NftAction }
  & (
    | { readonly type: "table"; readonly family: Family; readonly table: string }
    | { readonly type: "chain"; readonly chain: ChainInfo }
    | { readonly type: "rule"; readonly rule: RuleInfo }
    | { readonly type: "set"; readonly set: SetInfo }
    | ({ readonly type: "elements"; readonly elements: readonly Element[] } & SetName)
    | {
      readonly type: "object" | "flowtable";
      readonly family: Family;
      readonly table: string;
      readonly name: string;
    }
  );

/** The first event: the tables at the call. After lost messages: the tables as they are now. */
export interface NftSnapshotEvent {
  /** `snapshot` is the first event, `overrun` follows on lost messages. */
  readonly type: "snapshot" | "overrun";
  /** All tables. */
  readonly tables: readonly TableInfo[];
  /** Their generation. */
  readonly generation: number;
}

/** A batch that the kernel has taken. */
export interface NftChangeEvent {
  /** The discriminant. */
  readonly type: "change";
  /** The generation after it. */
  readonly generation: number;
  /** The process that sent it. */
  readonly pid: number;
  /** The name of that process. */
  readonly process: string;
  /** The added and deleted objects, in order. */
  readonly changes: readonly NftChange[];
}

/** An event of {@link Nftables.monitor}. */
export type NftEvent = NftSnapshotEvent | NftChangeEvent;

const OPTIONS: OptionNames<NftMonitorOptions> = { signal: true };

/** Elements of a batch: the kernel reports them one by one, and ranges as two. */
interface RawElements {
  readonly type: "raw";
  readonly action: NftAction;
  readonly name: SetName;
  readonly context: ElementContext;
  readonly elements: ElementMessage[];
}

function decoded(change: NftChange | RawElements): NftChange {
  if (change.type !== "raw") return change;
  const { action, name, context, elements } = change;
  return { type: "elements", action, ...name, elements: decodeElements(elements, context) };
}

const keyOf = ({ family, table, set }: SetName): string => JSON.stringify([family, table, set]);

/** A monitor of a ruleset: the result of {@link Nftables.monitor}. Its end releases its socket at once. */
export interface NftMonitor
  extends AsyncIterableIterator<NftEvent, undefined, undefined>, Disposable, AsyncDisposable {
  /** Resolves with the next event; with `done` when the monitor has ended. */
  next(): Promise<IteratorResult<NftEvent, undefined>>;
  /** Ends the monitor. Pending calls of `next()` resolve with `done`. */
  close(): void;
  /** Same as {@link NftMonitor.close}. Leaving a `for await` loop calls it. */
  return(): Promise<IteratorResult<NftEvent, undefined>>;
  /** The monitor itself. */
  [Symbol.asyncIterator](): NftMonitor;
}

/** The monitor of a ruleset. */
export class RulesetMonitor extends PullIterator<NftEvent> implements NftMonitor {
  readonly #ref: NetNsRef;
  readonly #subscription: Subscription;
  /** All sets, also those without names: for the rules and elements of events. */
  readonly #sets = new Map<string, NamedSet>();
  /** Sets that a batch has deleted: its rules need those without names until its end. */
  readonly #gone = new Set<string>();
  #first: NftSnapshotEvent | undefined;
  #generation = 0;
  /** The changes of a batch whose end has not arrived. */
  #changes: (NftChange | RawElements)[] = [];
  readonly #events: NftEvent[] = [];

  /** For {@link Nftables.monitor}. */
  constructor(ref: NetNsRef, options: NftMonitorOptions = {}) {
    checkOptions(options, OPTIONS);
    super(options.signal);
    this.#ref = ref.check("monitor");
    const protocol = NETLINK.NETFILTER;
    this.#subscription = new Subscription(ref, [NFNLGRP.NFTABLES], { protocol });
    try {
      this.#first = this.#read("snapshot");
    } catch (error) {
      this.close();
      throw error;
    }
    ref.onClose(() => this.close());
  }

  /** As of the base class. */
  protected override take(): NftEvent | undefined {
    if (this.#first) {
      const first = this.#first;
      this.#first = undefined;
      return first;
    }
    while (this.#events.length === 0) {
      const received = this.#subscription.receive((header, source) =>
        this.#message(header, source)
      );
      if (received === "empty") return undefined;
      if (received !== "message") return this.#read("overrun");
    }
    return this.#events.shift();
  }

  /** As of the base class. */
  protected override wait(signal: AbortSignal): Promise<void> {
    return this.#subscription.ready(signal);
  }

  /** As of the base class. */
  protected override release(): void {
    this.#subscription.close();
  }

  #read(type: NftSnapshotEvent["type"]): NftSnapshotEvent {
    const { tables, generation, sets } = readRuleset(connectionTo(this.#ref, NETLINK.NETFILTER));
    this.#generation = generation;
    this.#changes = [];
    this.#sets.clear();
    for (const set of sets) this.#sets.set(keyOf(set.name), set);
    return { type, tables, generation };
  }

  #message(header: Header, source: Source): void {
    if (header.type >> 8 !== NFNL_SUBSYS.NFTABLES) return;
    const type = header.type & 0xff;
    if (type === NFT_MSG.NEWGEN) return this.#end(header, source);
    const change = this.#change(type, header, source);
    if (change) this.#changes.push(change);
  }

  /** The end of a batch. One that the tables were read after is in them. */
  #end({ start, end }: Header, source: Source): void {
    const { id = 0, pid = 0, name = "" } = generationFormat.read(source, start, end).attributes;
    const changes = this.#changes.map(decoded);
    this.#changes = [];
    for (const key of this.#gone) this.#sets.delete(key);
    this.#gone.clear();
    if ((id - this.#generation | 0) <= 0) return;
    this.#events.push({ type: "change", generation: id, pid, process: name, changes });
  }

  #change(type: number, { start, end }: Header, source: Source): NftChange | undefined {
    const family = familyWord(source.view.getUint8(start));
    switch (type) {
      case NFT_MSG.NEWTABLE:
      case NFT_MSG.DELTABLE: {
        const { name: table = "" } = tableFormat.read(source, start, end).attributes;
        return {
          type: "table",
          action: type === NFT_MSG.NEWTABLE ? "add" : "delete",
          family,
          table,
        };
      }
      case NFT_MSG.NEWCHAIN:
      case NFT_MSG.DELCHAIN: {
        const { attributes } = chainFormat.read(source, start, end);
        const { table = "", name = "" } = attributes;
        const chain = chainInfo({ family, table, chain: name, attributes }, []);
        return { type: "chain", action: type === NFT_MSG.NEWCHAIN ? "add" : "delete", chain };
      }
      case NFT_MSG.NEWRULE:
      case NFT_MSG.DELRULE: {
        const { attributes } = ruleFormat.read(source, start, end);
        const { table = "", chain = "" } = attributes;
        const sets = [...this.#sets.values()]
          .filter(({ name }) => name.family === family && name.table === table);
        const rule = ruleInfo({ family, table, chain, attributes }, sets);
        return { type: "rule", action: type === NFT_MSG.NEWRULE ? "add" : "delete", rule };
      }
      case NFT_MSG.NEWSET:
      case NFT_MSG.DELSET: {
        const { attributes } = setFormat.read(source, start, end);
        return this.#set(type === NFT_MSG.NEWSET ? "add" : "delete", family, attributes);
      }
      case NFT_MSG.NEWSETELEM:
      case NFT_MSG.DELSETELEM: {
        const { table = "", set = "", elements = [] } =
          elementsFormat.read(source, start, end).attributes;
        const action = type === NFT_MSG.NEWSETELEM ? "add" : "delete";
        return this.#elements(action, { family, table, set }, elements);
      }
      case NFT_MSG.NEWOBJ:
      case NFT_MSG.DELOBJ: {
        const { table = "", name = "" } = objectFormat.read(source, start, end).attributes;
        return {
          type: "object",
          action: type === NFT_MSG.NEWOBJ ? "add" : "delete",
          family,
          table,
          name,
        };
      }
      case NFT_MSG.NEWFLOWTABLE:
      case NFT_MSG.DELFLOWTABLE: {
        const { table = "", name = "" } = flowtableFormat.read(source, start, end).attributes;
        const action = type === NFT_MSG.NEWFLOWTABLE ? "add" : "delete";
        return { type: "flowtable", action, family, table, name };
      }
      default:
        return undefined;
    }
  }

  #set(action: NftAction, family: Family, set: SetMessage): NftChange | undefined {
    const name: SetName = { family, table: set.table ?? "", set: set.name ?? "" };
    const key = keyOf(name);
    const known = action === "delete" ? this.#sets.get(key) : undefined; // it has only a name then
    const named: NamedSet = known ?? { name, wire: { set, elements: [] } };
    if (action === "add") this.#sets.set(key, named);
    else this.#gone.add(key);
    return isAnonymous(named.wire) ? undefined : { type: "set", action, set: setInfo(named) };
  }

  #elements(action: NftAction, name: SetName, elements: readonly ElementMessage[]): undefined {
    const known = this.#sets.get(keyOf(name));
    if (!known) return;
    const { set } = known.wire;
    if (isAnonymous(known.wire)) {
      const all = [...known.wire.elements, ...elements];
      if (action === "add") this.#sets.set(keyOf(name), { name, wire: { set, elements: all } });
      return;
    }
    const context = elementContext(set);
    if (!context) return;
    const last = this.#changes.at(-1);
    const same = last?.type === "raw" && last.action === action && keyOf(last.name) === keyOf(name);
    if (same) last.elements.push(...elements);
    else this.#changes.push({ type: "raw", action, name, context, elements: [...elements] });
  }
}
