/**
 * A wire of a running lab, seen from one end.
 *
 * @module
 */
import { Link } from "../link/link.ts";
import type { Veth } from "../link/veth.ts";
import { endOf } from "./difference.ts";
import type { LabNode } from "./node.ts";
import type { Endpoint } from "./resolved.ts";

/** A wire of a running lab, seen from one end. */
export class LabLink {
  /** Its ends; the handle is about the first one. */
  readonly ends: readonly [Endpoint, Endpoint];
  readonly #node: (name: string) => LabNode;
  readonly #handles: (Veth | undefined)[] = [];

  /** Use `lab.link()`. */
  constructor(ends: readonly [Endpoint, Endpoint], node: (name: string) => LabNode) {
    this.ends = ends;
    this.#node = node;
  }

  /** The link at the first end; a borrowed handle, which the lab closes. */
  get link(): Veth {
    return this.#handle(0);
  }

  /** The link at the other end; a borrowed handle, which the lab closes. */
  get peer(): Veth {
    return this.#handle(1);
  }

  #handle(at: 0 | 1): Veth {
    const { node, name } = endOf(this.ends[at]);
    return this.#handles[at] ??= Link.get(name, { netns: this.#node(node).netns }) as Veth;
  }

  /** Closes the handles. */
  release(): void {
    for (const handle of this.#handles.splice(0)) handle?.[Symbol.dispose]();
  }
}
