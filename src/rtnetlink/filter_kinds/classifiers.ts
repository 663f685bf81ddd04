/**
 * The classifiers u32, matchall, fw and bpf (`linux/pkt_cls.h`; tc-u32(8), tc-matchall(8), tc-fw(8), tc-bpf(8)).
 *
 * @module
 */
import { binary, type Field, mapped, text, u16, u32 } from "../../netlink/attribute.ts";
import { schema } from "../../netlink/schema.ts";
import { checkOptions, integer, type OptionNames, show } from "../../options.ts";
import type { FilterKind } from "../qdisc_kinds/kind.ts";
import { type Handle, parseHandle } from "../traffic_control.ts";
import { formatHandle } from "../fields.ts";
import { type Action, type ActionInfo, actionsField, actionWords } from "./actions.ts";

/** Attribute numbers of u32. */
export const TCA_U32 = { CLASSID: 1, SEL: 5, ACT: 7, INDEV: 8, PCNT: 9, FLAGS: 11 } as const;

/** Attribute numbers of matchall. */
export const TCA_MATCHALL = { CLASSID: 1, ACT: 2, FLAGS: 3, PCNT: 4 } as const;

/** Attribute numbers of fw. */
export const TCA_FW = { CLASSID: 1, INDEV: 3, ACT: 4, MASK: 5 } as const;

/** Attribute numbers of bpf. */
export const TCA_BPF = {
  ACT: 1,
  CLASSID: 3,
  OPS_LEN: 4,
  OPS: 5,
  FD: 6,
  NAME: 7,
  FLAGS: 8,
  FLAGS_GEN: 9,
  TAG: 10,
  ID: 11,
} as const;

/** Options of every filter, for packets that it matches. */
export interface FilterActions {
  /** The class for them: `1:10`. */
  classid?: Handle;
  /** The actions on them, in this order. */
  actions?: readonly Action[];
}

/** The actions of a filter, as reported. */
export interface FilterActionsInfo {
  /** The class for packets that it matches. */
  classid?: Handle;
  /** The actions on them. */
  actions?: readonly ActionInfo[];
}

/** 32 bits of a packet. */
export interface U32Match {
  /** Bytes from the network header on, a multiple of 4; negative ones reach the link's header. */
  offset: number;
  /** The value, in the order of the network. */
  value: number;
  /** The bits that are compared. */
  mask: number;
}

/** Options of a u32 filter. */
export interface U32Options extends FilterActions {
  /** Bits that a packet must have, all of them. Without any, all packets match. */
  match?: readonly U32Match[];
  /** The name of the link that the packet came in by. */
  indev?: string;
}

/** A u32 filter as the kernel reports it. */
export interface U32Info extends FilterActionsInfo {
  /** Bits that a packet must have. */
  match?: readonly U32Match[];
  /** The name of the link that the packet came in by. */
  indev?: string;
}

/** Options of an fw filter: its handle is the mark that it matches. */
export interface FwOptions extends FilterActions {
  /** The bits of the mark that are compared. Default: all. */
  mask?: number;
  /** The name of the link that the packet came in by. */
  indev?: string;
}

/** An fw filter as the kernel reports it. */
export interface FwInfo extends FilterActionsInfo {
  /** The bits of the mark that are compared. */
  mask?: number;
  /** The name of the link that the packet came in by. */
  indev?: string;
}

/** An instruction of a classic BPF program (`struct sock_filter`). */
export interface BpfInstruction {
  /** The operation. */
  readonly code: number;
  /** Instructions to skip when a condition holds. */
  readonly jt: number;
  /** Instructions to skip when it does not. */
  readonly jf: number;
  /** The operand. */
  readonly k: number;
}

/** Options of a bpf filter: either a classic program, or the descriptor of an eBPF one. */
export interface BpfOptions extends FilterActions {
  /**
   * A classic program over the frame. It returns 0 for no match, 0xffffffff for `classid`, otherwise the
   * number of a class.
   */
  program?: readonly BpfInstruction[];
  /** A descriptor of an eBPF program. */
  fd?: number;
  /** The eBPF program's name. */
  name?: string;
}

/** A bpf filter as the kernel reports it. */
export interface BpfInfo extends FilterActionsInfo {
  /** The classic program. */
  program?: readonly BpfInstruction[];
  /** The eBPF program's name. */
  name?: string;
  /** The eBPF program's number in the kernel. */
  id?: number;
  /** The eBPF program's hash, in hexadecimal. */
  tag?: string;
}

/** A class's handle. */
export function classidField(type: number): Field<Handle> {
  return mapped<Handle, number>(
    u32(type),
    (value, path) => parseHandle(value, { path }),
    (value) => formatHandle(value),
  );
}

/** `TC_U32_TERMINAL`: a packet that matches goes no further. */
const TERMINAL = 1;
const MATCH: OptionNames<U32Match> = { offset: true, value: true, mask: true };

/** `struct tc_u32_sel` with its keys. */
const selector: Field<readonly U32Match[]> = {
  type: TCA_U32.SEL,
  write: (w, keys, path) => {
    integer(keys.length, `${path}: the number of matches`, 1, 128);
    const at = w.reserve(16 + keys.length * 16);
    w.view.setUint8(at, TERMINAL);
    w.view.setUint8(at + 2, keys.length);
    keys.forEach((key, i) => {
      checkOptions(key, MATCH, `${path}[${i}]`);
      const { offset, value, mask } = key;
      const from = at + 16 + i * 16;
      integer(offset, `${path}[${i}].offset`, -0x8000, 0x7fff);
      if (offset % 4) {
        throw new RangeError(`${path}[${i}].offset must be a multiple of 4: got ${offset}`);
      }
      w.view.setUint32(from, integer(mask, `${path}[${i}].mask`, 0, 0xffffffff));
      w.view.setUint32(from + 4, integer(value, `${path}[${i}].value`, 0, 0xffffffff));
      w.view.setInt32(from + 8, offset, true);
    });
  },
  read: ({ view }, at, length) =>
    Array.from({ length: Math.floor((length - 16) / 16) }, (_, i) => {
      const from = at + 16 + i * 16;
      return {
        offset: view.getInt32(from + 8, true),
        value: view.getUint32(from + 4),
        mask: view.getUint32(from),
      };
    }),
};

const hex = (value: number): string => `0x${value.toString(16)}`;
const words = { actions: actionWords } as const;

/** u32: compares 32 bits at given places. */
export const u32Filter: FilterKind<U32Options, U32Info, U32Options> = {
  config: "NET_CLS_U32",
  data: schema<U32Options>("TCA_U32_", TCA_U32, {
    classid: classidField(TCA_U32.CLASSID),
    match: selector,
    actions: actionsField(TCA_U32.ACT),
    indev: text(TCA_U32.INDEV, 15),
  }, [2, 3, 4, 6, TCA_U32.PCNT, 10, TCA_U32.FLAGS, 12]),
  options: { classid: true, actions: true, match: true, indev: true },
  // `tc`, too, compares nothing where nothing is given.
  defaults: { match: [{ offset: 0, value: 0, mask: 0 }] },
  decode: (data) => data as U32Info,
  commandOrder: ["match", "indev", "classid", "actions"],
  words: {
    ...words,
    match: (value) =>
      (value as readonly U32Match[]).map(({ offset, value, mask }) =>
        `match u32 ${hex(value)} ${hex(mask)} at ${offset}`
      ).join(" "),
  },
};

/** matchall: matches all packets. */
export const matchall: FilterKind<FilterActions, FilterActionsInfo, FilterActions> = {
  config: "NET_CLS_MATCHALL",
  data: schema<FilterActions>("TCA_MATCHALL_", TCA_MATCHALL, {
    classid: classidField(TCA_MATCHALL.CLASSID),
    actions: actionsField(TCA_MATCHALL.ACT),
  }, [TCA_MATCHALL.FLAGS, TCA_MATCHALL.PCNT, 5]),
  options: { classid: true, actions: true },
  decode: (data) => data as FilterActionsInfo,
  commandOrder: ["classid", "actions"],
  words,
};

/** fw: compares the mark with the filter's handle. */
export const fw: FilterKind<FwOptions, FwInfo, FwOptions> = {
  config: "NET_CLS_FW",
  data: schema<FwOptions>("TCA_FW_", TCA_FW, {
    classid: classidField(TCA_FW.CLASSID),
    mask: u32(TCA_FW.MASK),
    indev: text(TCA_FW.INDEV, 15),
    actions: actionsField(TCA_FW.ACT),
  }, [2]),
  options: { classid: true, actions: true, mask: true, indev: true },
  decode: (data) => data as FwInfo,
  commandOrder: ["classid", "indev", "actions"],
  words: { ...words, mask: () => "" }, // part of the handle there
};

const operations: Field<readonly BpfInstruction[]> = {
  type: TCA_BPF.OPS,
  write: (w, program, path) => {
    program.forEach(({ code, jt, jf, k }, i) => {
      const at = w.reserve(8);
      w.view.setUint16(at, integer(code, `${path}[${i}].code`, 0, 0xffff), true);
      w.view.setUint8(at + 2, integer(jt, `${path}[${i}].jt`, 0, 255));
      w.view.setUint8(at + 3, integer(jf, `${path}[${i}].jf`, 0, 255));
      w.view.setUint32(at + 4, integer(k, `${path}[${i}].k`, 0, 0xffffffff), true);
    });
  },
  read: ({ view }, at, length) =>
    Array.from({ length: length >> 3 }, (_, i) => ({
      code: view.getUint16(at + i * 8, true),
      jt: view.getUint8(at + i * 8 + 2),
      jf: view.getUint8(at + i * 8 + 3),
      k: view.getUint32(at + i * 8 + 4, true),
    })),
};

/** A bpf filter on the wire. */
export interface BpfData extends BpfOptions {
  /** The number of instructions. */
  count?: number;
  /** The eBPF program's number. */
  id?: number;
  /** The eBPF program's hash. */
  tag?: string;
}

/** bpf: a program decides. */
export const bpf: FilterKind<BpfOptions, BpfInfo, BpfData> = {
  config: "NET_CLS_BPF",
  data: schema<BpfData>("TCA_BPF_", TCA_BPF, {
    actions: actionsField(TCA_BPF.ACT),
    classid: classidField(TCA_BPF.CLASSID),
    count: u16(TCA_BPF.OPS_LEN, { min: 1, max: 4096 }),
    program: operations,
    fd: u32(TCA_BPF.FD),
    name: text(TCA_BPF.NAME, 255),
    id: u32(TCA_BPF.ID),
    tag: mapped<string, Uint8Array>(
      binary(TCA_BPF.TAG),
      () => new Uint8Array(0), // the kernel's alone
      (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    ),
  }, [2, TCA_BPF.FLAGS, TCA_BPF.FLAGS_GEN]),
  readOnly: ["id", "tag"],
  options: { classid: true, actions: true, program: true, fd: true, name: true },
  encode: (options) => {
    const { program, fd } = options;
    if ((program === undefined) === (fd === undefined)) {
      throw new TypeError("options must have one of program and fd");
    }
    if (program !== undefined && !Array.isArray(program)) {
      throw new TypeError(`options.program must be instructions: got ${show(program)}`);
    }
    return program ? { ...options, count: program.length } : options;
  },
  decode: ({ count: _, ...rest }) => rest as BpfInfo,
  commandOrder: ["program", "fd", "name", "classid", "actions"],
  words: {
    ...words,
    program: (value) => {
      const program = value as readonly BpfInstruction[];
      const lines = program.map(({ code, jt, jf, k }) => `${code} ${jt} ${jf} ${k}`);
      return `bytecode '${program.length},${lines.join(",")}'`;
    },
    name: () => "",
  },
};
