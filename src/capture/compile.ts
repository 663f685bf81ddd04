/**
 * From conditions to a classic BPF program.
 *
 * A frame's layer 3 is found first, whatever the link: where it starts and of which type it is are kept in
 * the program's memory. Received VLAN tags are not among the bytes: the kernel has taken the outer one
 * out and keeps it beside them. Sent ones may be either.
 *
 * @module
 */
import { ETHERTYPE } from "../packet/ethernet.ts";
import { IPPROTO } from "../packet/ip.ts";
import { assemble, checkProgram, type Instruction, Label, type Line } from "./bpf.ts";
import { ARPHRD, BPF, ETH_P, PACKET_TYPE, SKF_AD } from "./constants.ts";
import {
  type Condition,
  type End,
  type Filter,
  type FilterProtocol,
  maskByte,
  readFilter,
} from "./filter.ts";
import { show } from "../options.ts";

/** Options of {@link compileFilter}. */
export interface CompileOptions {
  /** Bytes to keep of each frame; default 65,600. */
  readonly snaplen?: number;
  /** Frames that come in, that go out, or both; default both. */
  readonly direction?: "in" | "out" | "both";
}

/** Bytes kept of a frame unless said otherwise: all, also of what TCP segmentation offload makes. */
export const SNAPLEN = 65_600;

const { LD, LDX, ST, STX, ALU, JMP, RET, MISC } = BPF;
const { W, H, B, IMM, ABS, IND, MEM, JEQ, JGT, JGE, JSET, K, X } = BPF;

/** Words of the program's memory. */
const L3_OFFSET = 0;
const L3_TYPE = 1;
/** Tag control information of the outer VLAN tag. */
const TCI = 2;
const UNTAGGED = 0xffff_ffff;

const LOOPBACK_IFINDEX = 1;

const SCTP = 132;

/**
 * Compiles a filter to the program that the kernel runs.
 *
 * @param filter Conditions; without any, every frame is kept.
 * @param options Snap length and direction.
 * @returns The instructions. They look at what the kernel knows beside the bytes (`SKF_AD_*`): they are
 * for sockets, not for files.
 * @throws {TypeError} For an unknown condition or a malformed value.
 * @throws {RangeError} For a number out of range, or a program longer than the kernel takes.
 *
 * @example The last instruction drops, the one before keeps
 * ```ts
 * import { compileFilter } from "@netloom/netloom/capture";
 * import { assertEquals } from "@std/assert";
 *
 * const program = compileFilter({ protocol: "arp" }, { snaplen: 64 });
 * assertEquals(program.slice(-2).map(({ k }) => k), [64, 0]);
 * ```
 */
export function compileFilter(filter: Filter = {}, options: CompileOptions = {}): Instruction[] {
  const condition = readFilter(filter);
  const compiler = new Compiler();
  compiler.direction(options.direction ?? "both");
  if (condition.is !== "all" || condition.of.length > 0) {
    compiler.prologue();
    compiler.when(condition, compiler.keep, compiler.drop);
  }
  return compiler.end(options.snaplen ?? SNAPLEN);
}

/**
 * A program for a socket out of a filter or instructions of one's own, which keep at most `snaplen` bytes
 * then too.
 */
export function programOf(
  filter: Filter | readonly Instruction[] | undefined,
  { snaplen = SNAPLEN, direction = "both" }: CompileOptions,
): Instruction[] {
  if (!Array.isArray(filter)) {
    return compileFilter(filter as Filter | undefined, { snaplen, direction });
  }
  const own = filter as readonly Instruction[];
  checkProgram(own);
  const compiler = new Compiler();
  compiler.direction(direction);
  const head = compiler.end(0);
  const clamped = own.map((it) =>
    it.code === (RET | K) ? { ...it, k: Math.min(it.k, snaplen) } : it
  );
  // What the direction keeps goes on here, after the head's own two returns.
  const onward = { code: JMP | BPF.JA, jt: 0, jf: 0, k: 1 };
  const program = [...head.slice(0, -2), onward, head.at(-1)!, ...clamped];
  checkProgram(program);
  return program;
}

class Compiler {
  /** Where a frame is kept. */
  readonly keep = new Label();
  /** Where it is dropped. */
  readonly drop = new Label();
  readonly #lines: Line[] = [];

  /** The program; it keeps `snaplen` bytes. */
  end(snaplen: number): Instruction[] {
    this.#lines.push(this.keep, { code: RET | K, k: snaplen }, this.drop, { code: RET | K, k: 0 });
    return assemble(this.#lines);
  }

  /** Drops frames of the other direction. The loopback link has every frame twice: once is enough. */
  direction(direction: "in" | "out" | "both"): void {
    this.#then((go) => {
      if (direction === "both") {
        this.#load(SKF_AD.IFINDEX);
        this.#then((next) => this.#if(JEQ, LOOPBACK_IFINDEX, next, go));
      }
      const [out, into] = direction === "out" ? [go, this.drop] : [this.drop, go];
      this.#load(SKF_AD.PKTTYPE);
      this.#if(JEQ, PACKET_TYPE.OUTGOING, out, into);
    });
  }

  /** Finds layer 3, and the outer VLAN tag. */
  prologue(): void {
    this.#set(TCI, UNTAGGED);
    this.#load(SKF_AD.VLAN_TAG_PRESENT);
    this.#then((next) => {
      this.#then((tagged) => this.#if(JEQ, 0, next, tagged));
      this.#load(SKF_AD.VLAN_TAG);
      this.#store(TCI);
    });
    this.#then((done) => {
      this.#then((ethernet) => {
        this.#then((bare) => this.#ethernet(ethernet, bare));
        // No header before layer 3: the kernel knows its type.
        this.#set(L3_OFFSET, 0);
        this.#load(SKF_AD.PROTOCOL);
        this.#store(L3_TYPE);
        this.#go(done);
      });
      this.#typeAt(12, done, () => {
        // A tag among the bytes; it is the outer one unless the kernel has one beside them.
        this.#lines.push({ code: LD | MEM, k: TCI });
        this.#then((next) => {
          this.#then((outer) => this.#if(JEQ, UNTAGGED, outer, next));
          this.#lines.push({ code: LD | H | ABS, k: 14 });
          this.#store(TCI);
        });
        this.#typeAt(16, done, () => this.#typeAt(20, done));
      });
    });
  }

  /** Reads an EtherType, and goes to `done` with it unless it is a tag's and there is more to look at. */
  #typeAt(offset: number, done: Label, behind?: () => void): void {
    this.#set(L3_OFFSET, offset + 2);
    this.#lines.push({ code: LD | H | ABS, k: offset });
    this.#store(L3_TYPE);
    if (!behind) return this.#go(done);
    this.#then((tag) => {
      this.#then((next) => this.#if(JEQ, ETHERTYPE["8021Q"], tag, next));
      this.#then((next) => this.#if(JEQ, ETHERTYPE["8021AD"], tag, next));
      this.#if(JEQ, ETH_P.QINQ1, tag, done);
    });
    behind();
  }

  /** Whether frames have an Ethernet header. */
  #ethernet(yes: Label, no: Label): void {
    this.#load(SKF_AD.HATYPE);
    this.#then((next) => this.#if(JEQ, ARPHRD.ETHER, yes, next));
    this.#if(JEQ, ARPHRD.LOOPBACK, yes, no);
  }

  /** Goes to one label when a condition holds, to the other when it does not. */
  when(condition: Condition, yes: Label, no: Label): void {
    switch (condition.is) {
      case "all":
        for (const part of condition.of) this.#then((next) => this.when(part, next, no));
        return this.#go(yes);
      case "any":
        for (const part of condition.of) this.#then((next) => this.when(part, yes, next));
        return this.#go(no);
      case "not":
        return this.when(condition.of, no, yes);
      case "protocol":
        return this.#protocol(condition.protocol, yes, no);
      case "ipProtocol":
        this.#then((next) => this.#ipProtocol(ETHERTYPE.IP, [condition.number], yes, next));
        return this.#ipProtocol(ETHERTYPE.IPV6, [condition.number], yes, no);
      case "etherType":
        return this.#type(condition.number, yes, no);
      case "vlan":
        return this.#vlan(condition.id, yes, no);
      case "net":
        return condition.prefix.address.length === 4
          ? this.#net4(condition, yes, no)
          : this.#net6(condition, yes, no);
      case "port":
        return this.#port(condition, yes, no);
      case "mac":
        return this.#mac(condition, yes, no);
      default:
        throw new TypeError(`Unknown condition ${show(condition)}`);
    }
  }

  #protocol(name: FilterProtocol, yes: Label, no: Label): void {
    switch (name) {
      case "arp":
        return this.#type(ETHERTYPE.ARP, yes, no);
      case "ip":
        return this.#type(ETHERTYPE.IP, yes, no);
      case "ip6":
        return this.#type(ETHERTYPE.IPV6, yes, no);
      case "icmp":
        return this.#ipProtocol(ETHERTYPE.IP, [IPPROTO.ICMP], yes, no);
      case "icmp6":
        return this.#ipProtocol(ETHERTYPE.IPV6, [IPPROTO.ICMPV6], yes, no);
      default: {
        const number = { tcp: IPPROTO.TCP, udp: IPPROTO.UDP, sctp: SCTP }[name];
        return this.when({ is: "ipProtocol", number }, yes, no);
      }
    }
  }

  #type(type: number, yes: Label, no: Label): void {
    this.#lines.push({ code: LD | MEM, k: L3_TYPE });
    this.#if(JEQ, type, yes, no);
  }

  /** One of some protocols over IPv4 or IPv6; over the latter also behind a fragment header. */
  #ipProtocol(type: number, numbers: readonly number[], yes: Label, no: Label): void {
    this.#then((next) => this.#type(type, next, no));
    this.#at();
    this.#lines.push({ code: LD | B | IND, k: type === ETHERTYPE.IP ? 9 : 6 });
    for (const number of numbers) this.#then((next) => this.#if(JEQ, number, yes, next));
    if (type === ETHERTYPE.IP || numbers.length > 1) return this.#go(no);
    this.#then((next) => this.#if(JEQ, IPPROTO.FRAGMENT, next, no));
    this.#lines.push({ code: LD | B | IND, k: 40 });
    this.#if(JEQ, numbers[0]!, yes, no);
  }

  #vlan(id: number | boolean, yes: Label, no: Label): void {
    this.#lines.push({ code: LD | MEM, k: TCI });
    if (id === false) return this.#if(JEQ, UNTAGGED, yes, no);
    if (id === true) return this.#if(JEQ, UNTAGGED, no, yes);
    this.#then((next) => this.#if(JEQ, UNTAGGED, no, next));
    this.#lines.push({ code: ALU | BPF.AND | K, k: 0xfff });
    this.#if(JEQ, id, yes, no);
  }

  #net4({ end, prefix }: Condition & { is: "net" }, yes: Label, no: Label): void {
    const arp = new Label();
    this.#then((next) => this.#type(ETHERTYPE.IP, next, arp));
    this.#words(end, prefix, 12, 16, yes, no);
    this.#lines.push(arp);
    const carries = new Label();
    this.#then((next) => this.#if(JEQ, ETHERTYPE.ARP, carries, next));
    this.#if(JEQ, ETH_P.RARP, carries, no);
    this.#lines.push(carries);
    this.#words(end, prefix, 14, 24, yes, no);
  }

  #net6({ end, prefix }: Condition & { is: "net" }, yes: Label, no: Label): void {
    this.#then((next) => this.#type(ETHERTYPE.IPV6, next, no));
    this.#words(end, prefix, 8, 24, yes, no);
  }

  #words(
    end: End,
    { address, length }: { address: Uint8Array; length: number },
    src: number,
    dst: number,
    yes: Label,
    no: Label,
  ): void {
    this.#at();
    this.#ends(end, src, dst, yes, no, (offset, yes, no) => {
      for (let i = 0; i < address.length && 8 * i < length; i += 4) {
        const [value, mask] = [
          word((at) => address[i + at]!),
          word((at) => maskByte(length, i + at)),
        ];
        this.#lines.push({ code: LD | W | IND, k: offset + i });
        if (mask !== 0xffff_ffff) this.#lines.push({ code: ALU | BPF.AND | K, k: mask });
        this.#then((next) => this.#if(JEQ, value, next, no));
      }
      this.#go(yes);
    });
  }

  /** Not of later fragments, which have no ports; over IPv6 not behind extension headers. */
  #port({ end, first, last }: Condition & { is: "port" }, yes: Label, no: Label): void {
    const numbers = [IPPROTO.TCP, IPPROTO.UDP, SCTP];
    const compare = (offset: number, yes: Label, no: Label) => {
      this.#lines.push({ code: LD | H | IND, k: offset });
      if (first === last) return this.#if(JEQ, first, yes, no);
      this.#then((next) => this.#if(JGE, first, next, no));
      this.#if(JGT, last, no, yes);
    };
    const six = new Label();
    this.#then((next) => this.#type(ETHERTYPE.IP, next, six));
    this.#then((next) => this.#ipProtocol(ETHERTYPE.IP, numbers, next, no));
    this.#lines.push({ code: LD | H | IND, k: 6 });
    this.#then((next) => this.#if(JSET, 0x1fff, no, next));
    this.#lines.push(
      { code: LD | B | IND, k: 0 },
      { code: ALU | BPF.AND | K, k: 15 },
      { code: ALU | BPF.LSH | K, k: 2 },
      { code: ALU | BPF.ADD | X, k: 0 },
      { code: MISC, k: 0 }, // X = A
    );
    this.#ends(end, 0, 2, yes, no, compare);
    this.#lines.push(six);
    this.#then((next) => this.#ipProtocol(ETHERTYPE.IPV6, numbers, next, no));
    this.#ends(end, 40, 42, yes, no, compare);
  }

  #mac({ end, address }: Condition & { is: "mac" }, yes: Label, no: Label): void {
    this.#then((next) => this.#ethernet(next, no));
    this.#ends(end, 6, 0, yes, no, (offset, yes, no) => {
      this.#lines.push({ code: LD | W | ABS, k: offset + 2 });
      this.#then((next) => this.#if(JEQ, word((at) => address[2 + at]!), next, no));
      this.#lines.push({ code: LD | H | ABS, k: offset });
      this.#if(JEQ, address[0]! << 8 | address[1]!, yes, no);
    });
  }

  #ends(
    end: End,
    src: number,
    dst: number,
    yes: Label,
    no: Label,
    test: (offset: number, yes: Label, no: Label) => void,
  ): void {
    if (end === "src") return test(src, yes, no);
    if (end === "either") this.#then((next) => test(src, yes, next));
    test(dst, yes, no);
  }

  /** Puts what `build` goes on with right behind it. */
  #then(build: (next: Label) => void): void {
    const next = new Label();
    build(next);
    this.#lines.push(next);
  }

  /** Compares the accumulator. */
  #if(test: number, k: number, jt: Label, jf: Label): void {
    this.#lines.push({ code: JMP | test | K, k, jt, jf });
  }

  #go(to: Label): void {
    this.#lines.push({ code: JMP | BPF.JA, k: 0, jt: to, jf: to });
  }

  /** X = where layer 3 starts. */
  #at(): void {
    this.#lines.push({ code: LDX | MEM, k: L3_OFFSET });
  }

  /** A = what the kernel knows beside the bytes. */
  #load(what: number): void {
    this.#lines.push({ code: LD | W | ABS, k: SKF_AD.OFF + what >>> 0 });
  }

  #store(where: number): void {
    this.#lines.push({ code: ST, k: where });
  }

  #set(where: number, value: number): void {
    this.#lines.push({ code: LDX | IMM, k: value }, { code: STX, k: where });
  }
}

/** Four bytes as a number, the first one highest. */
function word(byte: (at: number) => number): number {
  return (byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3)) >>> 0;
}
