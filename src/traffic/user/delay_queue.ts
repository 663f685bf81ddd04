/**
 * Things that are due at a time: a heap in typed arrays, so that nothing is allocated for each.
 *
 * @module
 */

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
