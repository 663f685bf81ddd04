// Holds every table of constants in ffi/ and src/ against the kernel headers of both architectures.
import { exitCodes } from "../../src/cli/main.ts";
import { IFLA_INFO } from "../../src/rtnetlink/link_info.ts";
import { existsSync } from "node:fs";
import { assert, assertEquals } from "@std/assert";
import { ARCHITECTURES } from "../../ffi/libc.ts";
import { ERRNO, errnoName } from "../../ffi/errno.ts";
import { RWF_NOWAIT } from "../../ffi/packet_io.ts";
import * as capture from "../../src/capture/filter.ts";
import * as pcapng from "../../src/capture/writer.ts";
import * as bridge from "../../src/rtnetlink/link_kinds/bridge.ts";
import * as port from "../../src/rtnetlink/link_kinds/bridge_port.ts";
import * as macvlan from "../../src/rtnetlink/link_kinds/macvlan.ts";
import * as vlan from "../../src/rtnetlink/link_kinds/vlan.ts";
import * as vxlan from "../../src/rtnetlink/link_kinds/vxlan.ts";
import { Writer } from "../../src/netlink/bytes.ts";
import * as netlink from "../../src/netlink/message.ts";
import { LINKTYPE } from "../../src/packet/address.ts";
import { IFA } from "../../src/rtnetlink/address.ts";
import * as link from "../../src/rtnetlink/link_attributes.ts";
import { stats64 } from "../../src/rtnetlink/link_attributes.ts";
import * as neighbor from "../../src/rtnetlink/neighbor_attributes.ts";
import { NETNSA } from "../../src/rtnetlink/nsid.ts";
import * as nftUnits from "../../src/nftables/statement_table.ts";
import { ETHERTYPES } from "../../src/rtnetlink/traffic_control.ts";
import { FILTER_PARENTS } from "../../src/rtnetlink/fields.ts";
import * as rule from "../../src/rtnetlink/rule.ts";
import * as route from "../../src/rtnetlink/route_attributes.ts";
import { includeDirs, readConstants } from "./headers.ts";
import { readStruct } from "./structs.ts";
import {
  C_LIBRARY,
  constantsFor,
  HEADERS,
  NEWER,
  OURS,
  RFCS,
  type Table,
  TABLES,
} from "./tables.ts";

function constantsOf(dir: string[]): Map<string, number> {
  return readConstants(dir, HEADERS);
}

for (const { arch, dir } of includeDirs()) {
  Deno.test(`Every constant has the value of the kernel headers for ${arch}`, () => {
    const constants = constantsOf(dir);
    const wrong: string[] = [];
    for (const [name, value] of constantsFor(arch)) {
      const expected = constants.get(name);
      if (expected === undefined) {
        const known = name in NEWER || C_LIBRARY.includes(name) || OURS.includes(name);
        if (!known) wrong.push(`${name}: not in the headers`);
      } else if (expected !== value) wrong.push(`${name}: ${value}, in the headers ${expected}`);
    }
    assertEquals(wrong, []);
  });

  Deno.test(`Every error number has its name, by the headers for ${arch}`, () => {
    const aliases = ["EWOULDBLOCK", "EDEADLOCK"];
    const names = [...readConstants(dir, ["asm/errno.h"])]
      .filter(([name]) => /^E[A-Z0-9]+$/.test(name) && !aliases.includes(name));
    assertEquals(names.map(([, number]) => errnoName(number)), names.map(([name]) => name));
    assertEquals(names.length, Object.keys(ERRNO).length);
  });

  Deno.test(`No attribute of the sets read here is left out, by the headers for ${arch}`, () => {
    const constants = constantsOf(dir);
    // Sets whose prefix no other set shares.
    for (
      const [table, prefix] of [
        [IFA, "IFA_"],
        [NETNSA, "NETNSA_"],
        [route.RTA, "RTA_"],
        [route.RTAX, "RTAX_"],
        [neighbor.NDA, "NDA_"],
        [IFLA_INFO, "IFLA_INFO_"],
        [link.IFLA_INET6, "IFLA_INET6_"],
        [bridge.IFLA_BR, "IFLA_BR_"],
        [port.IFLA_BRPORT, "IFLA_BRPORT_"],
        [rule.FRA, "FRA_"],
        [macvlan.IFLA_MACVLAN, "IFLA_MACVLAN_"],
        [vlan.IFLA_VLAN, "IFLA_VLAN_"],
        [vxlan.IFLA_VXLAN, "IFLA_VXLAN_"],
        [netlink.NLMSGERR_ATTR, "NLMSGERR_ATTR_"],
        [netlink.NL_POLICY_TYPE_ATTR, "NL_POLICY_TYPE_ATTR_"],
      ] as [Table, string][]
    ) {
      const most = constants.get(`${prefix}MAX`) ?? constants.get(`__${prefix}MAX`)! - 1;
      const least = Math.max(...Object.values(table));
      assert(most <= least, `${prefix}*: the headers have ${most}, the table ends with ${least}`);
      const missing = Array.from({ length: most }, (_, i) => i + 1)
        .filter((number) => !Object.values(table).includes(number));
      assertEquals(missing, [], prefix);
    }
  });

  Deno.test(`Single constants have the values of the kernel headers for ${arch}`, () => {
    const constants = constantsOf(dir);
    assertEquals(netlink.NLA_TYPE_MASK, constants.get("NLA_TYPE_MASK")! & 0xffff);
    assertEquals(netlink.NLMSG_HDRLEN, readStruct(dir, "linux/netlink.h", "nlmsghdr").size);
    // linux/socket.h has no socket option levels; SOL_NETLINK is as old as netlink(7).
    assertEquals(netlink.SOL_NETLINK, 270);
    // A cast that is none of C's.
    const fs = dir.map((dir) => `${dir}/linux/fs.h`).find((path) => existsSync(path))!;
    const [, nowait] = /define RWF_NOWAIT\s+\(\((?:__force )?__kernel_rwf_t\)\s*(\w+)\)/.exec(
      Deno.readTextFileSync(fs),
    )!;
    assertEquals(RWF_NOWAIT, Number(nowait));
    assertEquals(capture.TPACKET_V3, constants.get("TPACKET_V3"));
  });

  /** The structs that are read and written by offsets: size, and where members are. */
  const STRUCTS: [
    file: string,
    name: string,
    size: number,
    offsets: Readonly<Record<string, number>>,
  ][] = [
    ["linux/netlink.h", "nlmsghdr", 16, { nlmsg_type: 4, nlmsg_flags: 6, nlmsg_seq: 8 }],
    ["linux/netlink.h", "nlattr", 4, { nla_len: 0, nla_type: 2 }],
    ["linux/netlink.h", "nlmsgerr", 20, { error: 0, msg: 4 }],
    ["linux/netlink.h", "sockaddr_nl", 12, { nl_family: 0, nl_pid: 4, nl_groups: 8 }],
    ["linux/rtnetlink.h", "ifinfomsg", 16, {
      ifi_family: 0,
      ifi_type: 2,
      ifi_index: 4,
      ifi_flags: 8,
      ifi_change: 12,
    }],
    ["linux/rtnetlink.h", "rtgenmsg", 1, { rtgen_family: 0 }],
    ["linux/inet_diag.h", "inet_diag_sockid", 48, {
      idiag_sport: 0,
      idiag_dport: 2,
      idiag_src: 4,
      idiag_dst: 20,
      idiag_if: 36,
      idiag_cookie: 40,
    }],
    ["linux/inet_diag.h", "inet_diag_req_v2", 56, {
      sdiag_family: 0,
      sdiag_protocol: 1,
      idiag_states: 4,
      id: 8,
    }],
    ["linux/inet_diag.h", "inet_diag_msg", 72, {
      idiag_family: 0,
      idiag_state: 1,
      id: 4,
      idiag_rqueue: 56,
      idiag_wqueue: 60,
      idiag_uid: 64,
      idiag_inode: 68,
    }],
    ["linux/rtnetlink.h", "rtmsg", 12, {
      rtm_family: 0,
      rtm_dst_len: 1,
      rtm_src_len: 2,
      rtm_tos: 3,
      rtm_table: 4,
      rtm_protocol: 5,
      rtm_scope: 6,
      rtm_type: 7,
      rtm_flags: 8,
    }],
    ["linux/rtnetlink.h", "rtnexthop", 8, {
      rtnh_len: 0,
      rtnh_flags: 2,
      rtnh_hops: 3,
      rtnh_ifindex: 4,
    }],
    ["linux/rtnetlink.h", "rtvia", 2, { rtvia_family: 0, rtvia_addr: 2 }],
    ["linux/rtnetlink.h", "rta_cacheinfo", 32, {
      rta_clntref: 0,
      rta_lastuse: 4,
      rta_expires: 8,
      rta_error: 12,
      rta_used: 16,
    }],
    ["linux/if_addr.h", "ifaddrmsg", 8, {
      ifa_family: 0,
      ifa_prefixlen: 1,
      ifa_flags: 2,
      ifa_scope: 3,
      ifa_index: 4,
    }],
    ["linux/if_addr.h", "ifa_cacheinfo", 16, {
      ifa_prefered: 0,
      ifa_valid: 4,
      cstamp: 8,
      tstamp: 12,
    }],
    ["linux/neighbour.h", "ndmsg", 12, {
      ndm_family: 0,
      ndm_ifindex: 4,
      ndm_state: 8,
      ndm_flags: 10,
      ndm_type: 11,
    }],
    ["linux/neighbour.h", "nda_cacheinfo", 16, {
      ndm_confirmed: 0,
      ndm_used: 4,
      ndm_updated: 8,
      ndm_refcnt: 12,
    }],
    ["asm-generic/poll.h", "pollfd", 8, { fd: 0, events: 4, revents: 6 }],
    ["linux/if_tun.h", "tun_pi", 4, { flags: 0, proto: 2 }],
    ["linux/io_uring.h", "io_uring_params", 120, {
      sq_entries: 0,
      cq_entries: 4,
      flags: 8,
      sq_off: 40,
      cq_off: 80,
    }],
    ["linux/io_uring.h", "io_sqring_offsets", 40, { head: 0, tail: 4, ring_mask: 8, array: 24 }],
    ["linux/io_uring.h", "io_cqring_offsets", 40, { head: 0, tail: 4, ring_mask: 8, cqes: 20 }],
    ["linux/io_uring.h", "io_uring_cqe", 16, { user_data: 0, res: 8, flags: 12 }],
    ["linux/if_link.h", "ifla_vlan_flags", 8, { flags: 0, mask: 4 }],
    ["linux/if_link.h", "ifla_vlan_qos_mapping", 8, { from: 0, to: 4 }],
    ["linux/if_link.h", "ifla_bridge_id", 8, { prio: 0, addr: 2 }],
    ["linux/if_packet.h", "sockaddr_ll", 20, {
      sll_protocol: 2,
      sll_ifindex: 4,
      sll_hatype: 8,
      sll_pkttype: 10,
    }],
    ["linux/if_packet.h", "packet_mreq", 16, { mr_ifindex: 0, mr_type: 4 }],
    ["linux/if_packet.h", "tpacket_req3", 28, {
      tp_block_size: 0,
      tp_block_nr: 4,
      tp_frame_size: 8,
      tp_frame_nr: 12,
      tp_retire_blk_tov: 16,
    }],
    ["linux/if_packet.h", "tpacket_stats_v3", 12, {
      tp_packets: 0,
      tp_drops: 4,
      tp_freeze_q_cnt: 8,
    }],
    ["linux/filter.h", "sock_filter", 8, { code: 0, jt: 2, jf: 3, k: 4 }],
    ["linux/if_bridge.h", "bridge_vlan_info", 4, { flags: 0, vid: 2 }],
    ["linux/if_bridge.h", "br_boolopt_multi", 8, { optval: 0, optmask: 4 }],
  ];

  Deno.test(`Structs are laid out as the kernel headers for ${arch} say`, () => {
    for (const [file, name, size, offsets] of STRUCTS) {
      const layout = readStruct(dir, file, name);
      assertEquals(layout.size, size, name);
      for (const [member, offset] of Object.entries(offsets)) {
        assertEquals(layout.offsets.get(member), offset, `${name}.${member}`);
      }
    }
    const { epollEventSize, epollDataOffset } = ARCHITECTURES[arch];
    const event = readStruct(dir, "linux/eventpoll.h", "epoll_event", arch === "x86_64");
    assertEquals([epollEventSize, epollDataOffset], [event.size, event.offsets.get("data")]);
  });

  Deno.test(`Link counters are read in the order that the kernel headers for ${arch} have`, () => {
    const { size, offsets } = readStruct(dir, "linux/if_link.h", "rtnl_link_stats64");
    assert(size >= 200, `${size}`); // newer kernels append
    const writer = new Writer();
    for (let i = 0; i < 25; i++) writer.view.setUint32(writer.reserve(8), i, true);
    const read = Object.entries(stats64(0).read(writer, 0, writer.length));
    const expected = [...offsets].slice(0, 25).map(([member, offset]) => [
      member.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()),
      offset / 8,
    ]);
    assertEquals<unknown>(read, expected);
  });
}

Deno.test("C library names have its values where its headers are installed", () => {
  const files = [
    "bits/in.h",
    "bits/socket.h",
    "bits/socket_type.h",
    "sys/mount.h",
    "bits/eventfd.h",
    "netinet/udp.h",
  ];
  const dir = includeDirs().find(({ arch }) => arch === Deno.build.arch)!.dir;
  const text = files.flatMap((file) => dir.map((dir) => `${dir}/${file}`)).map((path) => {
    try {
      return Deno.readTextFileSync(path);
    } catch {
      return "";
    }
  }).join("\n");
  const values = new Map(
    TABLES.flatMap(([table, prefix]) =>
      Object.entries(table).map(([key, value]): [string, number] => [prefix + key, value])
    ),
  );
  for (const name of text ? C_LIBRARY : []) {
    const from = name.replace(/^AF_/, "PF_").replace("PF_UNIX", "PF_LOCAL"); // an alias there
    const found = new RegExp(`\\b${from}\\s*(?:=\\s*)?(0x[0-9a-f]+|\\d+)`).exec(text)?.[1];
    assert(found, `${name} is in none of ${files}`);
    const number = /^0\d/.test(found) ? parseInt(found, 8) : Number(found);
    assertEquals(values.get(name), number, name);
  }
});

Deno.test("Every table of constants in ffi/ and src/ is in this test", async () => {
  const architectures = Object.values(ARCHITECTURES);
  const known = new Set<unknown>([
    ...TABLES.map(([table]) => table),
    ...RFCS,
    ...architectures,
    // Of a file format, which tcpdump knows and the kernel does not.
    ...Object.values(pcapng),
    LINKTYPE,
    // Composed of TC_H_CLSACT and TC_H_MIN_*.
    FILTER_PARENTS,
    // Units of text that nft reads.
    nftUnits.BYTE_UNITS,
    nftUnits.LIMIT_UNITS,
    // Of the command netloom.
    exitCodes,
    // ETH_P_* by the words of tc.
    ETHERTYPES,
  ]);
  const missing: string[] = [];
  for (const file of ["ffi", "src"].flatMap(modulesBelow)) {
    const module = await import(`../../${file}`);
    for (const [key, value] of Object.entries<unknown>(module)) {
      if (isTable(value) && !known.has(value)) missing.push(`${file}: ${key}`);
    }
  }
  assertEquals(missing, []);
});

/** The modules below a folder that define something. */
function modulesBelow(folder: string): string[] {
  return [...Deno.readDirSync(new URL(`../../${folder}`, import.meta.url))].flatMap((it) => {
    const path = `${folder}/${it.name}`;
    if (it.isDirectory) return modulesBelow(path);
    return it.name.endsWith(".ts") && it.name !== "mod.ts" ? [path] : [];
  });
}

function isTable(value: unknown): boolean {
  if (Object.prototype.toString.call(value) !== "[object Object]") return false;
  const values = Object.values(value as object);
  return values.length > 0 && values.every((it) => typeof it === "number");
}

Deno.test("Names newer than the headers are newer than Linux 6.1", () => {
  for (const version of Object.values(NEWER)) {
    const [major = 0, minor = 0] = version.split(".").map(Number);
    assert(major > 6 || major === 6 && minor > 1, version);
  }
});
