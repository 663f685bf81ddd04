/**
 * The parts that the tables of a namespace share: links that entries name, families, titles.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import type { Request } from "../netlink/message.ts";
import { show } from "../options.ts";
import type { IpFamily } from "../rtnetlink/fields.ts";
import { indexOf, type LinkTarget, type NamedLink } from "../rtnetlink/link_target.ts";

/** The links that the entries of a call name: each is looked up once. */
export class Devices {
  readonly #ref: NetNsRef;
  readonly #indexes = new Map<LinkTarget, number>();
  readonly #names = new Map<number, string>();

  /** For the namespace of the links. */
  constructor(ref: NetNsRef) {
    this.#ref = ref;
  }

  /** The index of a link; `path` is the option that names it, for errors. */
  indexOf(dev: LinkTarget, path = "dev"): number {
    const known = this.#indexes.get(dev);
    if (known !== undefined) return known;
    const index = indexOf(dev, this.#ref, path);
    this.#indexes.set(dev, index);
    const name = typeof dev === "object" ? (dev as Partial<NamedLink>).name : dev;
    if (typeof name === "string") this.#names.set(index, name);
    return index;
  }

  /** A request whose errors have the name of its link in place of the index. */
  named<T>(request: Request<T>, index: number): Request<T> {
    const name = this.#names.get(index);
    if (name === undefined) return request;
    const operation = request.operation.replace(/link \d+$/, () => `link ${show(name)}`);
    return { ...request, operation };
  }
}

/** A filter that may be a family alone. */
export function withFamily<T extends { readonly family?: IpFamily }>(filter: IpFamily | T): T {
  return typeof filter === "string" ? { family: filter } as T : filter;
}

/** The title of a table for people: `routes of netns "blue"`. */
export function titleOf(what: string, { description }: NetNsRef): string {
  return description ? `${what} of ${description}` : what;
}
