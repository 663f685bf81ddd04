/**
 * Compilation of filters to classic BPF programs.
 *
 * A program first finds layer 3 of a frame, whatever the link, and keeps its offset and type in its memory. The
 * bytes of a received frame lack the outer VLAN tag: the kernel has removed it and keeps it beside the bytes. In
 * a sent frame it may be in either place.
 *
 * @module
 */
import { ETHERTYPE, IPPROTO } from "../packet/address.ts";
import {
  ARPHRD,
  assemble,
  BPF,
  checkProgram,
  type Condition,
  type End,
  type Filter,
  type FilterProtocol,
  type Instruction,
  Label,
  type Line,
  maskByte,
  PACKET_TYPE,
  readFilter,
  SKF_AD,
} from "./filter.ts";
import { checkOptions, integer, type OptionNames, show, wordValue } from "../options.ts";

/** Options of {@link compileFilter}. */
export interface CompileOptions {
  /** Bytes to keep of each frame, 1..524,032; default 524,032. */
  readonly snaplen?: number;
  /** Frames that come in, that go out, or both; default both. */
  readonly direction?: "in" | "out" | "both";
}

const OPTIONS: OptionNames<CompileOptions> = { snaplen: true, direction: true };

/** Words for directions. */
export const DIRECTIONS = { in: "in", out: "out", both: "both" } as const;

/**
 * The most bytes of a frame, and the default: all of it, also of a GSO packet of BIG TCP (`GSO_MAX_SIZE` of
 * `linux/netdevice.h`: 524,280 bytes with 320 reserved for headers). A block of 512 KiB holds it.
 */
export const SNAPLEN = 524_032;

const { LD, LDX, ST, STX, ALU, JMP, RET, MISC } = BPF;
const { W, H, B, IMM, ABS, IND, MEM, JEQ, JGT, JGE, JSET, K, X } = BPF;

/** Words of the program's memory. */
const L3_OFFSET = 0;
const L3_TYPE = 1;
/** Tag control information of the outer VLAN tag, and of the one inside it. */
const TCI = 2;
const INNER_TCI = 3;
const UNTAGGED = 0xffff_ffff;

const LOOPBACK_IFINDEX = 1;

const SCTP = 132;

/**
 * Compiles a filter to the program that the kernel runs.
 *
 * @param filter The conditions; without any, every frame is kept.
 * @param options Snap length and direction.
 * @returns The instructions. They are for sockets, not for files: they also read data that the kernel keeps beside
 *   the bytes of a frame (`SKF_AD_*`).
 * @throws {TypeError} For an unknown condition or option, or a malformed value.
 * @throws {RangeError} For a number that is out of range, or a program that is longer than the kernel allows.
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
  checkOptions(options, OPTIONS);
  const { snaplen = SNAPLEN, direction = "both" } = options;
  integer(snaplen, "snaplen", 1, SNAPLEN, "bytes");
  const condition = readFilter(filter);
  const compiler = new Compiler();
  compiler.direction(wordValue(direction, DIRECTIONS, "direction"));
  if (condition.is !== "all" || condition.of.length > 0) {
    compiler.prologue();
    compiler.when(condition, compiler.keep, compiler.drop);
  }
  return compiler.end(snaplen);
}

/**
 * The program of a filter or of the caller's own instructions, which then also keep at most `snaplen` bytes.
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
  // Frames of the right direction continue here, behind the two returns of the head.
  const onward = { code: JMP | BPF.JA, jt: 0, jf: 0, k: 1 };
  const program = [...head.slice(0, -2), onward, head.at(-1)!, ...clamped];
  checkProgram(program);
  return program;
}

class Compiler {
  /** The end of frames that are kept. */
  readonly keep = new Label();
  /** The end of frames that are dropped. */
  readonly drop = new Label();
  readonly #lines: Line[] = [];

  /** The program; it keeps `snaplen` bytes. */
  end(snaplen: number): Instruction[] {
    this.#lines.push(this.keep, { code: RET | K, k: snaplen }, this.drop, { code: RET | K, k: 0 });
    return assemble(this.#lines);
  }

  /** Drops frames of the other direction. Of the loopback link, which has every frame twice, it keeps one. */
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

  /** Finds layer 3 and the two outer VLAN tags. */
  prologue(): void {
    this.#set(TCI, UNTAGGED);
    this.#set(INNER_TCI, UNTAGGED);
    this.#load(SKF_AD.VLAN_TAG_PRESENT);
    this.#then((next) => {
      this.#then((tagged) => this.#if(JEQ, 0, next, tagged));
      this.#load(SKF_AD.VLAN_TAG);
      this.#store(TCI);
    });
    this.#then((done) => {
      this.#then((ethernet) => {
        this.#then((bare) => this.#ethernet(ethernet, bare));
        // Layer 3 comes first: the kernel knows its type.
        this.#set(L3_OFFSET, 0);
        this.#load(SKF_AD.PROTOCOL);
        this.#store(L3_TYPE);
        this.#go(done);
      });
      this.#typeAt(12, done, () => {
        // The first tag in the bytes is the outer one, unless the kernel has that beside them.
        this.#tagAt(14);
        this.#typeAt(16, done, () => {
          this.#tagAt(18);
          this.#typeAt(20, done);
        });
      });
    });
  }

  /** Stores the tag control information at `offset` as that of the outer tag, or of the inner one. */
  #tagAt(offset: number): void {
    this.#lines.push({ code: LD | MEM, k: TCI });
    this.#then((next) => {
      this.#then((inner) => {
        this.#then((outer) => this.#if(JEQ, UNTAGGED, outer, inner));
        this.#lines.push({ code: LD | H | ABS, k: offset });
        this.#store(TCI);
        this.#go(next);
      });
      // Of three tags the innermost does not count.
      this.#lines.push({ code: LD | MEM, k: INNER_TCI });
      this.#then((inner) => this.#if(JEQ, UNTAGGED, inner, next));
      this.#lines.push({ code: LD | H | ABS, k: offset });
      this.#store(INNER_TCI);
    });
  }

  /** Reads an EtherType and goes to `done`, unless it is that of a tag and `behind` reads on. */
  #typeAt(offset: number, done: Label, behind?: () => void): void {
    this.#set(L3_OFFSET, offset + 2);
    this.#lines.push({ code: LD | H | ABS, k: offset });
    this.#store(L3_TYPE);
    if (!behind) return this.#go(done);
    this.#then((tag) => {
      this.#then((next) => this.#if(JEQ, ETHERTYPE["8021Q"], tag, next));
      this.#then((next) => this.#if(JEQ, ETHERTYPE["8021AD"], tag, next));
      this.#if(JEQ, ETHERTYPE.QINQ1, tag, done);
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
        return this.#vlan(condition, yes, no);
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

  /** One of some protocols over IPv4 or IPv6; over IPv6 also behind a fragment header. */
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

  #vlan({ inner, id }: Condition & { is: "vlan" }, yes: Label, no: Label): void {
    this.#lines.push({ code: LD | MEM, k: inner ? INNER_TCI : TCI });
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
    this.#if(JEQ, ETHERTYPE.RARP, carries, no);
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

  /** Later fragments have no ports; over IPv6 extension headers are not followed. */
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

  /** Places the label that `build` continues with right behind its lines. */
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

  /** X = offset of layer 3. */
  #at(): void {
    this.#lines.push({ code: LDX | MEM, k: L3_OFFSET });
  }

  /** A = a value that the kernel keeps beside the bytes. */
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
