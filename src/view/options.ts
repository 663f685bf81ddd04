/**
 * The options of pictures, and the part of a namespace that they show.
 *
 * @module
 */
import type { AddressInfo } from "../rtnetlink/address.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";

/** A namespace as far as a picture shows it: every {@link NetNs} is one. */
export interface DrawnNetNs {
  /** Its name. */
  readonly name: string | undefined;
  /** Its description, in place of a name. */
  readonly ref: { readonly description?: string | undefined };
  /** Its links. */
  readonly links: {
    /** Lists them. */
    list(options?: { readonly stats?: boolean }): LinkInfo[];
  };
  /** Its addresses. */
  readonly addresses: {
    /** Lists them. */
    list(): AddressInfo[];
  };
  /** The id by which it knows another one. */
  idOf(other: DrawnNetNs): number;
}

/** Options of {@link readGraph}. */
export interface ReadGraphOptions {
  /** The title of the picture. Default: none. */
  readonly title?: string;
  /** Loopback links, too. Default: false. */
  readonly loopback?: boolean;
  /** Addresses of IPv6 that the kernel makes itself (`fe80::/64`), too. Default: false. */
  readonly linkLocal?: boolean;
}

/** The amount of detail in boxes: titles alone, with interfaces, or with their addresses, too. */
export type DrawDetail = "nodes" | "interfaces" | "addresses";

/** A direction of {@link DrawLayoutOptions}: Graphviz's names. */
export type DrawDirection = "LR" | "TB";

/** Options of the layout. */
export interface DrawLayoutOptions {
  /**
   * The detail in boxes. Default: `addresses` for up to 30 nodes; beyond that `interfaces` in layers
   * and `nodes` in a mesh.
   */
  readonly detail?: DrawDetail;
  /**
   * Graphviz's engine: `dot` draws layers, `neato` and `fdp` draw meshes. Default: `dot`, and `neato`
   * where layers would be much larger.
   */
  readonly engine?: DrawEngine;
  /** The direction of the layers of `dot`. Default: the one with the better shape. */
  readonly direction?: DrawDirection;
  /**
   * The width of the place for the picture divided by its height, above 0: of the layouts, the one that fits
   * it best is taken. Default: any shape between those of a page and of a screen.
   */
  readonly ratio?: number;
}

/** Layout engines of Graphviz that suit networks. */
export type DrawEngine = "dot" | "neato" | "fdp" | "circo" | "twopi";

/** The colours of a picture. `auto` follows the page or the reader's system. */
export type DrawTheme = "auto" | "light" | "dark";

/** Formats of {@link draw}. */
export type DrawFormat = "svg" | "dot" | "mermaid" | "d2" | "drawio" | "json";

/** Options of {@link draw}. */
export interface DrawOptions extends DrawLayoutOptions, ReadGraphOptions {
  /**
   * The format. Default: `svg`. `dot`, `mermaid`, `d2` and `drawio` are the text of other programs;
   * `json` is the graph itself, a {@link NetworkGraph}.
   */
  readonly format?: DrawFormat;
  /** The colours of an SVG. Default: `auto`: those of the page or of the reader's system. */
  readonly theme?: DrawTheme;
}
