/**
 * Impairments by this process, where the kernel has no netem: frames are taken out, wait, and are put back.
 *
 * @module
 */
import { SyscallError } from "../../../ffi/errno.ts";
import { Timer } from "../../../ffi/reactor.ts";
import { PacketBatch, WAITING } from "../../device/packet_device.ts";
import {
  completeChecksum,
  VIRTIO_NET_HDR_GSO,
  VIRTIO_NET_HEADER,
  VirtioNetHeader,
} from "../../packet/segment.ts";
import type { NamedLink } from "../../rtnetlink/link_target.ts";
import { undone } from "../../scope/namespaces.ts";
import { Turn } from "../../waiting.ts";
import {
  DIRECTION_NAMES,
  type DirectionName,
  type DirectionStats,
  type DirectionValues,
  type ImpairEngine,
  type ImpairmentValues,
} from "../impairment_values.ts";
import { Decisions } from "./decisions.ts";
import { drain, isGone, MOST_BYTES } from "./frame.ts";
import { FrameQueue } from "./queue.ts";
import { Redirect } from "./redirect.ts";

/**
 * Whether each packet is decided on alone. Without this GSO packets go through whole: a delay is the same for all of
 * their segments, and the throughput is several times that of single packets.
 */
function eachPacket({ loss, duplicate, corrupt, reorder, rate }: DirectionValues): boolean {
  return [loss, duplicate, corrupt, reorder, rate].some((value) => value !== undefined);
}

/** The impairment of one direction. */
class Flow {
  readonly redirect: Redirect;
  readonly #direction: DirectionName;
  readonly #queue = new FrameQueue();
  readonly #timer: Timer;
  readonly #header = new VirtioNetHeader();
  #decisions: Decisions;
  #closed = false;
  /** The batches that are being written. */
  readonly #writes = new Set<PacketBatch>();
  #packets = 0;
  #bytes = 0;
  #drops = 0;

  constructor(link: NamedLink, direction: DirectionName, values: ImpairmentValues) {
    const own = values[direction]!;
    this.#direction = direction;
    this.#decisions = new Decisions(own);
    this.#timer = new Timer();
    try {
      this.redirect = Redirect.open(link, {
        verb: "impair",
        direction,
        filter: values.match,
        gso: !eachPacket(own),
      });
    } catch (error) {
      this.#timer.close();
      throw error;
    }
  }

  /** Whether it has ended, and nothing of it is left. */
  get closed(): boolean {
    return this.redirect.closed;
  }

  /** Counters. */
  get stats(): DirectionStats {
    return {
      packets: this.#packets,
      bytes: this.#bytes,
      drops: this.#drops + this.redirect.drops(this.#direction),
      backlog: this.#queue.size,
    };
  }

  /** Starts to move frames. `failed` is called with an error that ends that. */
  start(failed: (error: unknown) => void): void {
    for (const loop of [() => this.#read(), () => this.#release()]) {
      loop().catch((error) => {
        if (!this.#closed) failed(error);
      });
    }
  }

  /** Puts other numbers in force. */
  set(values: DirectionValues): void {
    this.redirect.tap(this.#direction).setOffloads(!eachPacket(values));
    this.#decisions = new Decisions(values, this.#decisions);
  }

  async #read(): Promise<never> {
    const tap = this.redirect.tap(this.#direction);
    const batch = new PacketBatch({ packets: 64, size: MOST_BYTES });
    const turn = new Turn();
    for (;;) {
      const { count, written } = await tap.taken(() => {
        const count = tap.tryReadBatch(batch);
        if (count === 0) return undefined;
        this.#decide(batch);
        return { count, written: batch.count > 0 ? this.#write(batch) : undefined };
      });
      await written;
      await turn.due(count);
    }
  }

  /** Decides about the frames of a batch. Those that go on at once stay in it. */
  #decide(batch: PacketBatch): void {
    const now = performance.now();
    const queued = this.#queue.due;
    let kept = 0;
    for (let i = 0; i < batch.count; i++) {
      const start = batch.offsets[i]!;
      const length = batch.lengths[i]!;
      let copies = this.#decisions.copies();
      if (copies === 0) this.#drops++;
      for (; copies > 0; copies--) {
        // The frame itself is the last: a copy of it may be another one.
        const at = this.#corrupted(batch, start, length);
        const due = this.#decisions.due(now, length - VIRTIO_NET_HEADER);
        if (due <= now && copies === 1) {
          batch.offsets[kept] = start;
          batch.lengths[kept++] = length;
        } else if (this.#queue.size >= this.#decisions.limit) this.#drops++;
        else if (!this.#queue.add(batch.bytes, start, length, due)) this.#drops++;
        if (at >= 0 && copies > 1) batch.bytes[start + (at >> 3)]! ^= 1 << (at & 7);
      }
    }
    batch.count = kept;
    if (this.#queue.due < queued) this.#timer.set(this.#queue.due - now);
  }

  /** Flips a bit of a frame, if that is decided: which, or -1. */
  #corrupted(batch: PacketBatch, start: number, length: number): number {
    const bit = this.#decisions.flip(length - VIRTIO_NET_HEADER);
    const header = this.#header;
    if (bit < 0 || !header.point(batch.bytes, start, start + length)) return -1;
    // Taken out before the values changed: the receiver would not notice.
    if (header.gsoType !== VIRTIO_NET_HDR_GSO.NONE || !completeChecksum(header)) return -1;
    const at = 8 * VIRTIO_NET_HEADER + bit;
    batch.bytes[start + (at >> 3)]! ^= 1 << (at & 7);
    return at;
  }

  /** Lets frames go on when they are due. */
  async #release(): Promise<never> {
    for (;;) {
      await this.#timer.expired();
      for (;;) {
        const batch = this.#queue.take(performance.now());
        if (!batch) break;
        await this.#write(batch);
        this.#queue.release(batch);
      }
      if (this.#queue.size > 0) this.#timer.set(this.#queue.due - performance.now());
    }
  }

  async #write(batch: PacketBatch): Promise<void> {
    const { count, lengths, results } = batch;
    this.#writes.add(batch);
    try {
      await this.redirect.outlet(this.#direction).writeBatch(batch);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
    }
    this.#writes.delete(batch);
    for (let i = 0; i < count; i++) {
      if (results[i]! < 0) this.#drops++;
      else {
        this.#packets++;
        this.#bytes += lengths[i]! - VIRTIO_NET_HEADER;
      }
    }
  }

  /**
   * Restores the link, lets the frames go on that wait, and closes all.
   *
   * @returns How many of them were lost.
   */
  close(): number {
    if (this.#closed) {
      this.redirect.close();
      return 0;
    }
    const before = this.redirect.lost;
    this.redirect.stop();
    this.#closed = true;
    const outlet = this.redirect.outlet(this.#direction);
    const tap = this.redirect.tap(this.#direction);
    let lost = 0;
    const send = (bytes: Uint8Array, length: number) => {
      try {
        if (outlet.tryWrite(bytes, length)) return;
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
      }
      lost++;
    };
    for (const batch of this.#writes) {
      for (let i = 0; i < batch.count; i++) {
        if (batch.results[i] === WAITING) send(batch.packet(i), batch.lengths[i]!);
      }
    }
    for (let batch; (batch = this.#queue.take(Infinity));) {
      for (let i = 0; i < batch.count; i++) send(batch.packet(i), batch.lengths[i]!);
      this.#queue.release(batch);
    }
    drain(tap, send);
    this.#timer.close();
    this.redirect.close();
    return lost + this.redirect.lost - before;
  }

  /** Closes it for good, whatever fails. */
  discard(): void {
    try {
      this.close();
    } finally {
      this.#timer.close();
      this.redirect.discard();
    }
  }

  /** Same as {@link Flow.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** The impairment of a link by this process, while it runs. It keeps the process running. */
class UserImpairment implements ImpairEngine, Disposable {
  readonly engine = "user";
  readonly #link: NamedLink;
  readonly #lost: number;
  #values: ImpairmentValues;
  #flows: { readonly [D in DirectionName]?: Flow };

  constructor(link: NamedLink, values: ImpairmentValues) {
    this.#link = link;
    this.#values = values;
    this.#flows = this.#open(values, DIRECTION_NAMES.filter((name) => values[name]));
    this.#lost = lostBy(this.#flows);
  }

  get values(): ImpairmentValues {
    return this.#values;
  }

  get lost(): number {
    return this.#lost;
  }

  get closed(): boolean {
    return Object.values(this.#flows).every((flow) => flow.closed);
  }

  get stats(): ImpairEngine["stats"] {
    const { out, in: incoming } = this.#flows;
    return { ...(out && { out: out.stats }), ...(incoming && { in: incoming.stats }) };
  }

  change(values: ImpairmentValues): number {
    const before = this.#flows;
    const added = this.#open(
      values,
      DIRECTION_NAMES.filter((name) => values[name] && !before[name]),
    );
    const kept = DIRECTION_NAMES.filter((name) => values[name] && before[name]);
    let lost = lostBy(added);
    try {
      this.#filter(kept.map((name) => before[name]!), values);
      for (const name of DIRECTION_NAMES) if (!values[name]) lost += before[name]?.close() ?? 0;
    } catch (error) {
      throw undone(error, () => {
        for (const flow of Object.values(added)) flow.close();
        this.#filter(kept.map((name) => before[name]!), this.#values);
      });
    }
    for (const name of kept) before[name]!.set(values[name]!);
    this.#flows = {
      ...added,
      ...Object.fromEntries(kept.map((name) => [name, before[name]!])),
    };
    this.#values = values;
    return lost;
  }

  clear(): number {
    let lost = 0;
    for (const flow of Object.values(this.#flows)) lost += flow.close();
    return lost;
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  /** Starts to impair directions, all or none. */
  #open(
    values: ImpairmentValues,
    names: readonly DirectionName[],
  ): { readonly [D in DirectionName]?: Flow } {
    const flows: { [D in DirectionName]?: Flow } = {};
    try {
      for (const name of names) flows[name] = new Flow(this.#link, name, values);
      for (const flow of Object.values(flows)) flow.redirect.closeWith(flow);
    } catch (error) {
      throw undone(error, () => {
        for (const flow of Object.values(flows)) flow.discard();
      });
    }
    for (const flow of Object.values(flows)) {
      flow.start((error) => {
        // A link that is gone takes its frames along: there is nothing left to do.
        if (!isGone(error)) console.error(error);
        try {
          flow.close();
        } catch (undone) {
          console.error(undone);
        }
      });
    }
    return flows;
  }

  /** Lets flows have other frames, all of them or none. */
  #filter(flows: readonly Flow[], { match }: ImpairmentValues): void {
    if (match === this.#values.match) return;
    for (const { redirect } of flows) redirect.refilter(match);
  }
}

/** The frames that were lost when flows were started. */
function lostBy(flows: { readonly [D in DirectionName]?: Flow }): number {
  return Object.values(flows).reduce((sum, { redirect }) => sum + redirect.lost, 0);
}

/**
 * Starts to impair a link by this process, which takes part until it ends.
 *
 * @param link The link.
 * @param values The values, checked.
 * @throws {NetlinkError} EOPNOTSUPP for the loopback link and links without Ethernet headers, EEXIST when the link has
 *   the queueing discipline ingress, ENOENT when the kernel lacks cls_bpf or mirred.
 * @throws {SyscallError} EPERM without privileges, ENOENT without TUN.
 */
export function startUserImpairment(link: NamedLink, values: ImpairmentValues): ImpairEngine {
  return new UserImpairment(link, values);
}
