/**
 * Places by hash: each object asks for the place that its name hashes to, and collisions are settled in
 * name order.
 *
 * @module
 */
import { formatIp, parsePrefix } from "../packet/address.ts";
import { byName, slotOf } from "./names.ts";
import type { Displaced } from "./resolved.ts";

/** An address with a prefix length, or a network. */
export interface Net {
  readonly family: 4 | 6;
  readonly address: bigint;
  readonly length: number;
}

/** The number of bits of an address. */
export function bitsOf({ family }: Pick<Net, "family">): number {
  return family === 4 ? 32 : 128;
}

/** An address as text: `10.0.0.1`. */
export function addressText({ family, address }: Net): string {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  let rest = address;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return formatIp(bytes);
}

/** An address with its prefix length as text: `10.0.0.1/24`. */
export function netText(net: Net): string {
  return `${addressText(net)}/${net.length}`;
}

/** A prefix as text that sorts by family, address and length. */
export function sortKey({ family, address, length }: Net): string {
  return `${family}${address.toString(16).padStart(32, "0")}/${String(length).padStart(3, "0")}`;
}

/** Reads `10.0.0.1/24`; an address alone has the full length. */
export function parseNet(text: string): Net {
  const { address, length } = parsePrefix(text);
  let value = 0n;
  for (const byte of address) value = value << 8n | BigInt(byte);
  return { family: address.length === 4 ? 4 : 6, address: value, length };
}

/** The network of an address. */
export function networkOf({ family, address, length }: Net): Net {
  const host = BigInt(bitsOf({ family }) - length);
  return { family, address: address >> host << host, length };
}

/** Whether an address, or a whole network, is in a network. */
export function isIn(inner: Net, outer: Net): boolean {
  if (inner.family !== outer.family || inner.length < outer.length) return false;
  const host = BigInt(bitsOf(outer) - outer.length);
  return inner.address >> host === outer.address >> host;
}

/** An object that wants a place: some units in a row, aligned. */
export interface Wish {
  /** The name that it hashes from. */
  readonly name: string;
  /** Its number of units, a power of two. Default: 1. */
  readonly units?: bigint;
}

/** A row of places. */
export class Row {
  readonly #count: bigint;
  readonly #owners = new Map<bigint, string>();
  /** Long runs of units. */
  readonly #runs: { readonly first: bigint; readonly end: bigint; readonly owner: string }[] = [];

  /** With its number of units. */
  constructor(count: bigint) {
    this.#count = count;
  }

  /** Takes units for an object that does not hash; who has them already keeps them. */
  take(owner: string, first: bigint, units = 1n): void {
    if (units > 64n) this.#runs.push({ first, end: first + units, owner });
    else {
      for (let i = 0n; i < units; i++) {
        if (!this.#owners.has(first + i)) this.#owners.set(first + i, owner);
      }
    }
  }

  /** Takes the first free unit at or after a number. */
  takeFirst(owner: string, from: bigint): bigint | undefined {
    for (let at = from; at < this.#count; at++) {
      if (this.#owners.has(at)) continue;
      this.#owners.set(at, owner);
      return at;
    }
    return undefined;
  }

  /**
   * Gives each object a place.
   *
   * @param wishes The objects.
   * @param text A place as text, for the list of displaced objects.
   * @param displaced Takes the objects that another one displaced.
   * @returns The first unit of each object; objects without any place are missing.
   */
  place(
    wishes: readonly Wish[],
    text: (wish: Wish, first: bigint) => string,
    displaced: Displaced[],
  ): Map<string, bigint> {
    const found = new Map<string, bigint>();
    const losers: Wish[] = [];
    // All first choices come before all second ones: a loser never displaces anything.
    for (const wish of wishes.toSorted((a, b) => byName(a.name, b.name))) {
      const at = this.#choice(wish, 0);
      if (at === undefined) continue;
      if (this.#owner(wish, at) === undefined) this.#settle(wish, at, found);
      else losers.push(wish);
    }
    for (const wish of losers) {
      const wanted = this.#choice(wish, 0)!;
      const by = this.#owner(wish, wanted)!;
      const at = this.#free(wish);
      if (at === undefined) continue;
      this.#settle(wish, at, found);
      displaced.push({ object: wish.name, wanted: text(wish, wanted), got: text(wish, at), by });
    }
    return found;
  }

  #choice({ name, units = 1n }: Wish, salt: number): bigint | undefined {
    const places = this.#count / units;
    return places === 0n ? undefined : slotOf(name, salt, places) * units;
  }

  #owner({ units = 1n }: Wish, first: bigint): string | undefined {
    for (let i = 0n; i < units; i++) {
      const owner = this.#owners.get(first + i);
      if (owner !== undefined) return owner;
    }
    return this.#runs.find((run) => run.first < first + units && first < run.end)?.owner;
  }

  #settle(wish: Wish, first: bigint, found: Map<string, bigint>): void {
    this.take(wish.name, first, wish.units);
    found.set(wish.name, first);
  }

  /** A free place: by further hashes, then the next one in order. */
  #free(wish: Wish): bigint | undefined {
    for (let salt = 1; salt < 64; salt++) {
      const at = this.#choice(wish, salt)!;
      if (this.#owner(wish, at) === undefined) return at;
    }
    const { units = 1n } = wish;
    const start = this.#choice(wish, 0)!;
    for (let step = units; step < this.#count; step += units) {
      const at = (start + step) % (this.#count / units * units);
      if (this.#owner(wish, at) === undefined) return at;
    }
    return undefined;
  }
}
