/**
 * Frames that wait for their time. A heap in typed arrays has the times, and large blocks of memory have the frames, so
 * that nothing is allocated for each.
 *
 * A timing wheel would take the same time for each frame however many wait, and has to round their times to its slots.
 * The heap is exact, and with 10,000 frames a frame took 0.57 microseconds on a busy machine (tests/bench/device/user_engine.ts).
 *
 * @module
 */
import { PacketBatch } from "../../device/packet_device.ts";
import { copy, memory } from "../../packet/bytes.ts";

/** Numbers, each with a time. Those with the same time come out in the order in which they went in. */
export class DelayQueue {
  #due = new Float64Array(64);
  #order = new Float64Array(64);
  #id = new Int32Array(64);
  #size = 0;
  #next = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** When the first is due; `Infinity` when there is none. */
  get due(): number {
    return this.#size > 0 ? this.#due[0]! : Infinity;
  }

  /** The number that is due first; there must be one. */
  get first(): number {
    return this.#id[0]!;
  }

  /** Adds a number that is due at a time. */
  add(id: number, due: number): void {
    if (this.#size === this.#id.length) this.#grow();
    let at = this.#size++;
    const order = this.#next++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#due[parent]! <= due) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, due, order, id);
  }

  /** Takes the first out: its number, or -1 when there is none that is due at `now`. */
  take(now: number): number {
    if (this.#size === 0 || this.#due[0]! > now) return -1;
    const id = this.#id[0]!;
    const last = --this.#size;
    const [due, order] = [this.#due[last]!, this.#order[last]!];
    const moved = this.#id[last]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#before(child + 1, child)) child++;
      if (this.#due[child]! > due || this.#due[child] === due && this.#order[child]! > order) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, due, order, moved);
    return id;
  }

  #before(a: number, b: number): boolean {
    const [due, other] = [this.#due[a]!, this.#due[b]!];
    return due < other || due === other && this.#order[a]! < this.#order[b]!;
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#due[from]!, this.#order[from]!, this.#id[from]!);
  }

  #put(at: number, due: number, order: number, id: number): void {
    this.#due[at] = due;
    this.#order[at] = order;
    this.#id[at] = id;
  }

  #grow(): void {
    const length = 2 * this.#id.length;
    const due = new Float64Array(length);
    due.set(this.#due);
    const order = new Float64Array(length);
    order.set(this.#order);
    const id = new Int32Array(length);
    id.set(this.#id);
    [this.#due, this.#order, this.#id] = [due, order, id];
  }
}

/** Packets of one block that can be written with one call, and the bytes of a block: 1 MiB. */
const BLOCK = { packets: 256, size: 4096 } as const;
const BLOCK_BYTES = BLOCK.packets * BLOCK.size;

/** The most blocks of a queue: 256 MiB of frames. */
const MOST_BLOCKS = 256;

/** From here on `set()` copies faster than a loop, though it needs an object. */
const LARGE = 2048;

/** A block of memory that is filled from its start on, and used again when its last frame is gone. */
class Block {
  readonly batch = new PacketBatch(BLOCK);
  used = 0;
  live = 0;
}

/** Frames, each with the time when it is due. */
export class FrameQueue {
  readonly #times = new DelayQueue();
  readonly #empty: Block[] = [];
  #blocks = 0;
  #block: Block | undefined;
  /** Of each frame by its number: its block, offset and length. */
  readonly #places: (Block | undefined)[] = [];
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];
  readonly #free: number[] = [];

  /** How many frames wait. */
  get size(): number {
    return this.#times.size;
  }

  /** When the first is due; `Infinity` when none waits. */
  get due(): number {
    return this.#times.due;
  }

  /** Adds a copy of a frame: whether there was memory for it. */
  add(bytes: Uint8Array<ArrayBuffer>, start: number, length: number, due: number): boolean {
    const block = this.#room(length);
    if (!block) return false;
    const { batch } = block;
    const offset = block.used;
    if (length < LARGE) copy(memory(bytes), start, start + length, memory(batch.bytes), offset);
    else batch.bytes.set(bytes.subarray(start, start + length), offset);
    block.used += length;
    block.live++;
    const number = this.#free.pop() ?? this.#places.length;
    this.#places[number] = block;
    this.#offsets[number] = offset;
    this.#lengths[number] = length;
    this.#times.add(number, due);
    return true;
  }

  /**
   * Takes frames out that are due at `now`, in their order, as many as one call can write.
   *
   * @returns A batch with them, to be given to {@link FrameQueue.release}; `undefined` when none is due.
   */
  take(now: number): PacketBatch | undefined {
    let block: Block | undefined;
    while (this.#times.size > 0 && this.#times.due <= now) {
      const number = this.#times.first;
      const place = this.#places[number]!;
      block ??= place;
      const { batch } = block;
      if (block !== place || batch.count === batch.capacity) break;
      this.#times.take(now);
      batch.offsets[batch.count] = this.#offsets[number]!;
      batch.lengths[batch.count++] = this.#lengths[number]!;
      this.#places[number] = undefined;
      this.#free.push(number);
    }
    return block?.batch;
  }

  /** Frees the memory of frames that were taken out and are written. */
  release(batch: PacketBatch): void {
    const block = this.#all.get(batch)!;
    block.live -= batch.count;
    batch.clear();
    if (block.live > 0) return;
    block.used = 0;
    if (block !== this.#block) this.#empty.push(block);
  }

  readonly #all = new Map<PacketBatch, Block>();

  /** A block with room for a frame; `undefined` when all memory is used. */
  #room(length: number): Block | undefined {
    const current = this.#block;
    if (current && current.used + length <= BLOCK_BYTES) return current;
    const next = this.#empty.pop() ?? this.#create();
    // The last frames of the current one free it.
    if (next) this.#block = next;
    return next;
  }

  #create(): Block | undefined {
    if (this.#blocks === MOST_BLOCKS) return undefined;
    this.#blocks++;
    const block = new Block();
    this.#all.set(block.batch, block);
    return block;
  }
}
