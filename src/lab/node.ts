/**
 * A node of a running lab: its namespace, with the names of the lab's nodes in place of addresses.
 *
 * @module
 */
import type { Capture, CaptureOptions } from "../capture/capture.ts";
import { NetNsCommand, type NetNsCommandOptions } from "../netns/run.ts";
import { NetNs } from "../netns/netns.ts";
import type { PingOptions, PingResult } from "../netns/ping.ts";
import { didYouMean, show } from "../options.ts";
import type { LabNodes } from "./nodes.ts";
import { preparedCommand } from "./private_files.ts";
import type { ResolvedHost, ResolvedNode, ResolvedTopology } from "./resolved.ts";

/** A node of a running lab. */
export class LabNode {
  /** Its name in the lab. */
  readonly name: string;
  readonly #topology: ResolvedTopology;
  readonly #nodes: LabNodes;
  #netns: NetNs | undefined;

  /** Use `lab.node()`. */
  constructor(name: string, topology: ResolvedTopology, nodes: LabNodes) {
    this.name = name;
    this.#topology = topology;
    this.#nodes = nodes;
  }

  /** Its namespace; a borrowed handle, which the lab closes. */
  get netns(): NetNs {
    return this.#netns ??= NetNs.open({ ref: this.#nodes.ref(this.name) });
  }

  /** Its part of the topology. */
  get resolved(): ResolvedNode {
    return nodeOf(this.#topology, this.name);
  }

  /**
   * The address that a name has at this node.
   *
   * @param name The name of a node, or an IP address, which is returned as it is.
   * @param family Only an address of this family. Default: the preferred address.
   * @throws {TypeError} For an unknown name, or one without such an address.
   */
  addressOf(name: string, family?: "inet" | "inet6"): string {
    if (/^[\d.]+$/.test(name) || name.includes(":")) return name;
    const hosts: readonly ResolvedHost[] = [...this.resolved.hosts, ...this.#topology.hosts];
    const host = hosts.find((it) => it.name === name);
    if (!host) {
      const known = hosts.map(({ name }) => name);
      throw new TypeError(`No node has the name ${show(name)}${didYouMean(name, known)}`);
    }
    const fits = (address: string) =>
      family === undefined || address.includes(":") === (family === "inet6");
    const address = host.addresses.find(fits);
    if (address === undefined) {
      throw new TypeError(
        `${show(name)} has no address${family ? ` of the family ${family}` : ""}`,
      );
    }
    return address;
  }

  /**
   * Pings a node, as {@link NetNs.ping} does an address.
   *
   * @param target The name of a node, or an address.
   * @param options Count, interval, timeout, concurrency, size, signal.
   */
  ping(target: string, options: PingOptions = {}): Promise<PingResult> {
    return this.netns.ping(this.addressOf(target), options);
  }

  /**
   * `fetch` from this node; the host in the URL is a node's name or an address.
   *
   * @throws {TypeError} For `https` with a name: certificates are checked against the address then.
   */
  fetch(input: string | URL, init: RequestInit = {}): Promise<Response> {
    const url = new URL(input);
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const address = this.addressOf(host);
    if (address !== host) {
      if (url.protocol !== "http:") {
        throw new TypeError(
          `fetch ${url}: TLS checks the certificate against the address ${address}, ` +
            `not against ${show(host)}: use the address`,
        );
      }
      url.hostname = address.includes(":") ? `[${address}]` : address;
    }
    return this.netns.fetch(url, init);
  }

  /** `Deno.connect` from this node; `hostname` is a node's name or an address. */
  connect(options: Deno.ConnectOptions): Promise<Deno.TcpConn> {
    const { hostname = "127.0.0.1" } = options;
    return this.netns.connect({ ...options, hostname: this.addressOf(hostname) });
  }

  /** `Deno.listen` in this node; `hostname` may be the name of the node. */
  listen(options: Deno.TcpListenOptions): Deno.TcpListener {
    return this.netns.listen(this.#local(options));
  }

  /** `Deno.serve` in this node; `hostname` may be the name of the node. */
  serve(
    options: Deno.ServeTcpOptions,
    handler: Deno.ServeHandler<Deno.NetAddr>,
  ): Deno.HttpServer<Deno.NetAddr> {
    return this.netns.serve(this.#local(options), handler);
  }

  #local<T extends { hostname?: string }>(options: T): T {
    const { hostname } = options;
    return hostname === undefined ? options : { ...options, hostname: this.addressOf(hostname) };
  }

  /**
   * A program to run in this node. It sees the names of the nodes in /etc/hosts, the name of the node as its
   * host name, and the files and environment of the topology. Takes `--allow-run`.
   *
   * @param command The program.
   * @param options As for {@link NetNs.command}.
   */
  command(command: string, options: NetNsCommandOptions = {}): NetNsCommand {
    const ref = this.#nodes.ref(this.name);
    const prepared = preparedCommand(this.resolved, this.#topology, { command, options });
    return new NetNsCommand(ref, prepared.command, prepared.options);
  }

  /** Captures the frames of all its links, as {@link NetNs.capture} does. */
  capture(options: Omit<CaptureOptions, "promiscuous"> = {}): Capture {
    return this.netns.capture(options);
  }

  /** Closes the handle of the namespace. */
  release(): void {
    this.#netns?.[Symbol.dispose]();
    this.#netns = undefined;
  }
}

/** A node of a topology. */
export function nodeOf({ nodes }: ResolvedTopology, name: string): ResolvedNode {
  const node = nodes.find((it) => it.name === name);
  if (node) return node;
  const known = nodes.map(({ name }) => name);
  throw new TypeError(`The lab has no node ${show(name)}${didYouMean(name, known)}`);
}
