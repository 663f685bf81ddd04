// Counting what passes netfilter's hooks, over nfnetlink: `nft` is not everywhere.
import type { NetNsRef } from "../../ffi/namespace.ts";
import { C } from "../../ffi/libc.ts";
import { Socket } from "../../ffi/socket.ts";
import { forEachAttribute } from "../../src/netlink/attribute.ts";
import { source, Writer } from "../../src/netlink/bytes.ts";

const NETLINK_NETFILTER = 12;
const NFPROTO_IPV4 = 2;
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFNL_SUBSYS_NFTABLES = 10;
/** Message types, in the subsystem. */
const NFT_MSG = { NEWTABLE: 0, NEWCHAIN: 3, NEWRULE: 6, GETRULE: 7 } as const;
const NLM_F = { REQUEST: 1, ACK: 4, DUMP: 0x300, CREATE: 0x400, APPEND: 0x800 } as const;
const NLA_F_NESTED = 0x8000;

/** The hooks of IPv4 (`enum nf_inet_hooks`). */
export const HOOK = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
export type Hook = keyof typeof HOOK;

type Value = string | number | Uint8Array | Attributes;
interface Attributes {
  [type: number]: Value | undefined;
}

function write(writer: Writer, attributes: Attributes): void {
  for (const [type, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    const nested = typeof value === "object" && !(value instanceof Uint8Array);
    const at = writer.begin(Number(type) | (nested ? NLA_F_NESTED : 0));
    if (typeof value === "string") writer.append(new TextEncoder().encode(`${value}\0`));
    else if (value instanceof Uint8Array) writer.append(value);
    else if (typeof value === "number") {
      const offset = writer.reserve(4);
      writer.view.setInt32(offset, value, false);
    } else write(writer, value);
    writer.end(at);
  }
}

/** One expression in a rule's list: `NFTA_LIST_ELEM { NFTA_EXPR_NAME, NFTA_EXPR_DATA }`. */
function expression(name: string, data: Attributes = {}): Attributes {
  return { 1: name, 2: data };
}

/**
 * A table in a namespace with a chain in each hook whose rule counts ICMP packets: the kernel sends others
 * by itself. It also looks at their connection's state, which starts connection tracking in the namespace.
 */
export class HookCounters implements Disposable {
  readonly #socket: Socket;
  readonly #writer = new Writer(8192);
  #sequence = 0;

  constructor(netns: NetNsRef) {
    this.#socket = new Socket(netns, C.AF_NETLINK, C.SOCK_RAW, NETLINK_NETFILTER, "use nftables");
    const create = NLM_F.REQUEST | NLM_F.ACK | NLM_F.CREATE;
    this.#message(NFNL_MSG_BATCH_BEGIN, NLM_F.REQUEST, {}, NFNL_SUBSYS_NFTABLES);
    this.#nft(NFT_MSG.NEWTABLE, create, { 1: "seen" });
    for (const [name, hook] of Object.entries(HOOK)) {
      // NFTA_CHAIN_TABLE, _NAME, _HOOK { _HOOKNUM, _PRIORITY }, _TYPE
      this.#nft(NFT_MSG.NEWCHAIN, create, {
        1: "seen",
        3: name,
        4: { 1: hook, 2: 0 },
        7: "filter",
      });
      // NFTA_RULE_TABLE, _CHAIN, _EXPRESSIONS: the state (NFT_CT_STATE) into a register; the byte of the
      // protocol into the same one, which must be that of ICMP; and a count.
      const list = new Writer();
      for (
        const it of [
          expression("ct", { 1: 1, 2: 0 }),
          expression("payload", { 1: 1, 2: 1, 3: 9, 4: 1 }),
          expression("cmp", { 1: 1, 2: 0, 3: { 1: Uint8Array.of(1) } }),
          expression("counter"),
        ]
      ) write(list, { 1: it });
      this.#nft(NFT_MSG.NEWRULE, create | NLM_F.APPEND, {
        1: "seen",
        2: name,
        4: list.bytes.slice(0, list.length),
      });
    }
    this.#message(NFNL_MSG_BATCH_END, NLM_F.REQUEST, {}, NFNL_SUBSYS_NFTABLES);
    this.#send();
    this.#receive();
  }

  /** The packets each hook has seen. */
  read(): Record<Hook, number> {
    const counts: Record<string, number> = {};
    this.#nft(NFT_MSG.GETRULE, NLM_F.REQUEST | NLM_F.DUMP, {});
    this.#send();
    this.#receive((bytes, start, end) => {
      const all = source(bytes);
      let chain = "";
      forEachAttribute(all, start + 4, end, (type, at, length) => {
        if (type === 2) chain = new TextDecoder().decode(bytes.subarray(at, at + length - 1));
        if (type !== 4) return;
        // The counter's data: NFTA_COUNTER_BYTES, NFTA_COUNTER_PACKETS.
        forEachAttribute(all, at, at + length, (_, at, length) => {
          forEachAttribute(all, at, at + length, (type, at, length) => {
            if (type !== 2) return;
            forEachAttribute(all, at, at + length, (type, at, length) => {
              if (type === 2 && length === 8) counts[chain] = Number(all.view.getBigUint64(at));
            });
          });
        });
      });
    });
    return counts as Record<Hook, number>;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  #nft(type: number, flags: number, attributes: Attributes): void {
    this.#message(NFNL_SUBSYS_NFTABLES << 8 | type, flags, attributes);
  }

  /** `struct nlmsghdr`, `struct nfgenmsg`, attributes. */
  #message(type: number, flags: number, attributes: Attributes, resource = 0): void {
    const writer = this.#writer;
    const at = writer.reserve(20);
    write(writer, attributes);
    writer.align();
    writer.view.setUint32(at, writer.length - at, true);
    writer.view.setUint16(at + 4, type, true);
    writer.view.setUint16(at + 6, flags, true);
    writer.view.setUint32(at + 8, ++this.#sequence, true);
    writer.view.setUint8(at + 16, resource === 0 ? NFPROTO_IPV4 : 0);
    writer.view.setUint16(at + 18, resource, false);
  }

  #send(): void {
    const { bytes, length } = this.#writer;
    this.#socket.send(bytes, length, "use nftables");
    this.#writer.length = 0;
  }

  /** Reads what is there: the kernel has answered by then. */
  #receive(visit?: (bytes: Uint8Array<ArrayBuffer>, start: number, end: number) => void): void {
    const bytes = new Uint8Array(32768);
    const view = new DataView(bytes.buffer);
    for (;;) {
      const length = this.#socket.receive(bytes, 0, "use nftables");
      if (length < 0) return;
      for (let at = 0; at + 16 <= length; at += (view.getUint32(at, true) + 3) & ~3) {
        const type = view.getUint16(at + 4, true);
        const errno = type === 2 ? -view.getInt32(at + 16, true) : 0;
        if (errno !== 0) {
          throw new Error(`nftables: error ${errno} of request ${view.getUint32(at + 8, true)}`);
        }
        if (type > 16) visit?.(bytes, at + 16, at + view.getUint32(at, true));
      }
    }
  }
}
