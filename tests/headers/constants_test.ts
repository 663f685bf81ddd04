// Holds every table of constants in ffi/ and src/ against the kernel headers of both architectures.
import { IFLA_INFO } from "../../src/rtnetlink/link_info.ts";
import { existsSync } from "node:fs";
import { assert, assertEquals } from "@std/assert";
import { ARCHITECTURES, C } from "../../ffi/constants.ts";
import { ERRNO, errnoName } from "../../ffi/errno.ts";
import { IFF_TUN_FLAGS, TUN, TUN_F } from "../../ffi/tun.ts";
import { IORING, RWF_NOWAIT } from "../../ffi/packet_io.ts";
import * as capture from "../../src/capture/filter.ts";
import * as pcapng from "../../src/capture/pcapng.ts";
import * as controller from "../../src/genetlink/controller.ts";
import * as ovsDatapath from "../../src/genetlink/ovs_datapath.ts";
import * as ovsFlow from "../../src/genetlink/ovs_flow.ts";
import * as ovsVport from "../../src/genetlink/ovs_vport.ts";
import * as bridge from "../../src/rtnetlink/link_kinds/bridge.ts";
import * as port from "../../src/rtnetlink/link_kinds/bridge_port.ts";
import * as ipvlan from "../../src/rtnetlink/link_kinds/ipvlan.ts";
import * as macvlan from "../../src/rtnetlink/link_kinds/macvlan.ts";
import * as tun from "../../src/rtnetlink/link_kinds/plain.ts";
import { VETH_INFO } from "../../src/rtnetlink/link_kinds/plain.ts";
import * as vlan from "../../src/rtnetlink/link_kinds/vlan.ts";
import { Writer } from "../../src/netlink/bytes.ts";
import * as netlink from "../../src/netlink/constants.ts";
import { DNS_TYPE } from "../../src/packet/dns.ts";
import { ARPOP } from "../../src/packet/ethernet.ts";
import { ETHERTYPE, IPPROTO, LINKTYPE } from "../../src/packet/address.ts";
import { DHCP, DHCP_OPTION } from "../../src/packet/dhcp.ts";
import { ICMP, ICMPV6 } from "../../src/packet/icmp.ts";
import { ND } from "../../src/packet/neighbor_discovery.ts";
import { TCP_FLAG } from "../../src/packet/tcp.ts";
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from "../../src/packet/segment.ts";
import { IFA, IFA_F, SCOPES } from "../../src/rtnetlink/address.ts";
import * as bridgeVlan from "../../src/rtnetlink/bridge_vlan.ts";
import * as rtnetlink from "../../src/rtnetlink/constants.ts";
import * as link from "../../src/rtnetlink/link_attributes.ts";
import { stats64 } from "../../src/rtnetlink/link_attributes.ts";
import * as neighbor from "../../src/rtnetlink/neighbor_attributes.ts";
import { NETNSA } from "../../src/rtnetlink/nsid.ts";
import { FILTER_PARENTS } from "../../src/rtnetlink/filter.ts";
import * as actions from "../../src/rtnetlink/filter_kinds/actions.ts";
import * as classifiers from "../../src/rtnetlink/filter_kinds/classifiers.ts";
import * as fqCodel from "../../src/rtnetlink/qdisc_kinds/fq_codel.ts";
import * as htb from "../../src/rtnetlink/qdisc_kinds/htb.ts";
import * as netem from "../../src/rtnetlink/qdisc_kinds/netem_data.ts";
import * as tbf from "../../src/rtnetlink/qdisc_kinds/tbf.ts";
import * as trafficControl from "../../src/rtnetlink/traffic_control.ts";
import * as route from "../../src/rtnetlink/route_attributes.ts";
import * as routeNames from "../../src/rtnetlink/constants.ts";
import * as inetDiag from "../../src/sockdiag/inet_diag.ts";
import { type Arch, includeDirs, readConstants } from "./headers.ts";
import { readStruct } from "./structs.ts";

type Table = Readonly<Record<string, number>>;

/** Our tables, the prefix of the kernel's names, and the names that are not prefix and key. */
const TABLES: [table: Table, prefix: string, names?: Readonly<Record<string, string>>][] = [
  [C, ""],
  [ERRNO, ""],
  [TUN, "TUN"],
  [IFF_TUN_FLAGS, "IFF_"],
  [TUN_F, "TUN_F_"],
  [IORING, "IORING_"],
  [tun.IFLA_TUN, "IFLA_TUN_"],
  [tun.TUN_TYPES, "IFF_"],
  [netlink.NETLINK, "NETLINK_"],
  [netlink.NETLINK_OPTION, "NETLINK_"],
  [netlink.NLMSG, "NLMSG_"],
  [netlink.NLM_F, "NLM_F_"],
  [netlink.NLA_F, "NLA_F_"],
  [netlink.NLMSGERR_ATTR, "NLMSGERR_ATTR_"],
  [netlink.NL_POLICY_TYPE_ATTR, "NL_POLICY_TYPE_ATTR_"],
  [rtnetlink.RTM, "RTM_"],
  [rtnetlink.RTNLGRP, "RTNLGRP_"],
  [rtnetlink.AF, "AF_"],
  [rtnetlink.IFF, "IFF_"],
  [rtnetlink.RTEXT_FILTER, "RTEXT_FILTER_"],
  [link.IFLA, "IFLA_"],
  [IFLA_INFO, "IFLA_INFO_"],
  [link.IFLA_INET6, "IFLA_INET6_"],
  [link.OPER_STATES, "IF_OPER_"],
  [IFA, "IFA_"],
  [IFA_F, "IFA_F_"],
  [SCOPES, "RT_SCOPE_", { global: "RT_SCOPE_UNIVERSE" }],
  [NETNSA, "NETNSA_"],
  [inetDiag.SOCK_DIAG, "SOCK_DIAG_", { DESTROY: "SOCK_DESTROY" }],
  [inetDiag.INET_DIAG, "INET_DIAG_"],
  [
    inetDiag.TCP_STATES,
    "",
    Object.fromEntries(
      Object.entries({
        established: "ESTABLISHED",
        "syn-sent": "SYN_SENT",
        "syn-recv": "SYN_RECV",
        "fin-wait-1": "FIN_WAIT1",
        "fin-wait-2": "FIN_WAIT2",
        "time-wait": "TIME_WAIT",
        closed: "CLOSE",
        "close-wait": "CLOSE_WAIT",
        "last-ack": "LAST_ACK",
        listening: "LISTEN",
        closing: "CLOSING",
      }).map(([word, name]) => [word, `BPF_TCP_${name}`]),
    ),
  ],
  [route.RTA, "RTA_"],
  [route.RTAX, "RTAX_"],
  [route.RTAX_FEATURE, "RTAX_FEATURE_"],
  [route.RTNH_F, "RTNH_F_"],
  [route.RTM_F, "RTM_F_"],
  [routeNames.ROUTE_TYPES, "RTN_"],
  [routeNames.ROUTE_PROTOCOLS, "RTPROT_"],
  [routeNames.ROUTE_TABLES, "RT_TABLE_"],
  [routeNames.ROUTE_PREFERENCES, "ICMPV6_ROUTER_PREF_"],
  [trafficControl.TCA, "TCA_"],
  [trafficControl.TCA_STATS, "TCA_STATS_"],
  [trafficControl.QDISC_PARENTS, "TC_H_", { root: "TC_H_ROOT", ingress: "TC_H_INGRESS" }],
  [fqCodel.TCA_FQ_CODEL, "TCA_FQ_CODEL_"],
  [htb.TCA_HTB, "TCA_HTB_"],
  [netem.TCA_NETEM, "TCA_NETEM_"],
  [netem.NETEM_LOSS, "NETEM_LOSS_"],
  [tbf.TCA_TBF, "TCA_TBF_"],
  [classifiers.TCA_U32, "TCA_U32_"],
  [classifiers.TCA_MATCHALL, "TCA_MATCHALL_"],
  [classifiers.TCA_FW, "TCA_FW_"],
  [classifiers.TCA_BPF, "TCA_BPF_"],
  [actions.TCA_ACT, "TCA_ACT_"],
  [actions.TCA_POLICE, "TCA_POLICE_"],
  [actions.TCA_SKBEDIT, "TCA_SKBEDIT_"],
  [neighbor.NDA, "NDA_"],
  [neighbor.NFEA, "NFEA_"],
  [neighbor.NTF, "NTF_"],
  [neighbor.NTF_EXT, "NTF_EXT_"],
  [neighbor.NEIGHBOR_STATES, "NUD_"],
  [bridgeVlan.IFLA_BRIDGE, "IFLA_BRIDGE_"],
  [bridgeVlan.BRIDGE_FLAGS, "BRIDGE_FLAGS_"],
  [bridgeVlan.BRIDGE_VLAN_INFO, "BRIDGE_VLAN_INFO_"],
  [bridge.IFLA_BR, "IFLA_BR_"],
  [bridge.BRIDGE_QUERIER, "BRIDGE_QUERIER_"],
  [bridge.BR_BOOLOPT, "BR_BOOLOPT_", {
    noLinklocalLearn: "BR_BOOLOPT_NO_LL_LEARN",
    mstEnabled: "BR_BOOLOPT_MST_ENABLE",
  }],
  [port.IFLA_BRPORT, "IFLA_BRPORT_"],
  [port.BRIDGE_PORT_STATES, "BR_STATE_"],
  [port.MULTICAST_ROUTERS, "MDB_RTR_TYPE_", {
    automatic: "MDB_RTR_TYPE_TEMP_QUERY",
    permanent: "MDB_RTR_TYPE_PERM",
    temporary: "MDB_RTR_TYPE_TEMP",
  }],
  [VETH_INFO, "VETH_INFO_"],
  [macvlan.IFLA_MACVLAN, "IFLA_MACVLAN_"],
  [macvlan.MACVLAN_MODE, "MACVLAN_MODE_"],
  [macvlan.MACVLAN_MACADDR, "MACVLAN_MACADDR_"],
  [macvlan.MACVLAN_FLAG, "MACVLAN_FLAG_"],
  [ipvlan.IFLA_IPVLAN, "IFLA_IPVLAN_"],
  [ipvlan.IPVLAN_MODE, "IPVLAN_MODE_"],
  [ipvlan.IPVLAN_F, "IPVLAN_F_"],
  [vlan.IFLA_VLAN, "IFLA_VLAN_"],
  [vlan.IFLA_VLAN_QOS, "IFLA_VLAN_QOS_"],
  [vlan.VLAN_FLAG, "VLAN_FLAG_"],
  [vlan.VLAN_PROTOCOL, "", { "802.1Q": "ETH_P_8021Q", "802.1ad": "ETH_P_8021AD" }],
  [capture.PACKET_OPTION, "PACKET_"],
  [capture.PACKET_MR, "PACKET_MR_"],
  [capture.PACKET_TYPE, "PACKET_"],
  [capture.TP_STATUS, "TP_STATUS_"],
  [capture.ETH_P, "ETH_P_"],
  [capture.ARPHRD, "ARPHRD_"],
  [capture.BPF, "BPF_"],
  [capture.SKF_AD, "SKF_AD_"],
  [controller.CTRL_CMD, "CTRL_CMD_"],
  [controller.CTRL_ATTR, "CTRL_ATTR_"],
  [controller.CTRL_ATTR_MCAST_GRP, "CTRL_ATTR_MCAST_GRP_"],
  [{ CTRL: controller.GENL_ID_CTRL }, "GENL_ID_"],
  [ovsDatapath.OVS_DP_CMD, "OVS_DP_CMD_"],
  [ovsDatapath.OVS_DP_ATTR, "OVS_DP_ATTR_"],
  [{ DATAPATH: ovsDatapath.OVS_DATAPATH_VERSION }, "", { DATAPATH: "OVS_DATAPATH_VERSION" }],
  [ovsVport.OVS_VPORT_CMD, "OVS_VPORT_CMD_"],
  [ovsVport.OVS_VPORT_ATTR, "OVS_VPORT_ATTR_"],
  [ovsVport.OVS_VPORT_TYPE, "OVS_VPORT_TYPE_"],
  [ovsFlow.OVS_FLOW_CMD, "OVS_FLOW_CMD_"],
  [ovsFlow.OVS_FLOW_ATTR, "OVS_FLOW_ATTR_"],
  [ovsFlow.OVS_KEY_ATTR, "OVS_KEY_ATTR_"],
  [ovsFlow.OVS_ACTION_ATTR, "OVS_ACTION_ATTR_"],
  [ICMP, "ICMP_", { ECHO_REPLY: "ICMP_ECHOREPLY" }],
  [ICMPV6, "ICMPV6_", { ECHO: "ICMPV6_ECHO_REQUEST" }],
  [ETHERTYPE, "ETH_P_"],
  [ARPOP, "ARPOP_", { InREQUEST: "ARPOP_InREQUEST", InREPLY: "ARPOP_InREPLY" }],
  [IPPROTO, "IPPROTO_"],
  [VIRTIO_NET_HDR_F, "VIRTIO_NET_HDR_F_"],
  [VIRTIO_NET_HDR_GSO, "VIRTIO_NET_HDR_GSO_"],
];

/** Tables that are RFCs', and not in the headers: tcpdump holds those. */
const RFCS: Table[] = [DHCP, DHCP_OPTION, DNS_TYPE, ND, TCP_FLAG];

const HEADERS = [
  "linux/in.h",
  "linux/in6.h",
  "linux/inet_diag.h",
  "asm/errno.h",
  "asm/fcntl.h",
  "asm/poll.h",
  "asm/socket.h",
  "asm/unistd.h",
  "linux/sockios.h",
  "linux/bpf.h",
  "linux/eventpoll.h",
  "linux/fcntl.h",
  "linux/filter.h",
  "linux/genetlink.h",
  "linux/icmp.h",
  "linux/icmpv6.h",
  "linux/if.h",
  "linux/if_addr.h",
  "linux/if_arp.h",
  "linux/if_bridge.h",
  "linux/if_ether.h",
  "linux/if_link.h",
  "linux/if_packet.h",
  "linux/if_tun.h",
  "linux/if_vlan.h",
  "linux/io_uring.h",
  "linux/mman.h",
  "linux/mount.h",
  "linux/neighbour.h",
  "linux/net_namespace.h",
  "linux/netlink.h",
  "linux/nsfs.h",
  "linux/openvswitch.h",
  "linux/rtnetlink.h",
  "linux/pkt_sched.h",
  "linux/pkt_cls.h",
  "linux/tc_act/tc_skbedit.h",
  "linux/gen_stats.h",
  "linux/sched.h",
  "linux/sock_diag.h",
  "linux/stat.h",
  "linux/udp.h",
  "linux/veth.h",
  "linux/virtio_net.h",
];

/** Names that came after Linux 6.1, the oldest headers these tests are run with, and what brought them. */
const NEWER: Readonly<Record<string, string>> = {
  IFLA_DEVLINK_PORT: "6.2",
  IFLA_BRPORT_MAB: "6.2",
  NTF_EXT_LOCKED: "6.2",
  TCA_NETEM_PRNG_SEED: "6.6",
  TUN_F_USO4: "6.2",
  TUN_F_USO6: "6.2",
  VIRTIO_NET_HDR_GSO_UDP_L4: "6.2",
  IFLA_BRPORT_MCAST_N_GROUPS: "6.3",
  IFLA_BRPORT_MCAST_MAX_GROUPS: "6.3",
  IFLA_GSO_IPV4_MAX_SIZE: "6.3",
  IFLA_GRO_IPV4_MAX_SIZE: "6.3",
  IFLA_BRPORT_NEIGH_VLAN_SUPPRESS: "6.4",
  IFLA_MACVLAN_BC_CUTOFF: "6.4",
  IFLA_BRPORT_BACKUP_NHID: "6.6",
  IORING_SETUP_NO_SQARRAY: "6.6",
  IFLA_BR_FDB_N_LEARNED: "6.7",
  IFLA_BR_FDB_MAX_LEARNED: "6.7",
  IFLA_DPLL_PIN: "6.7",
  RTAX_FEATURE_TCP_USEC_TS: "6.7",
  IFLA_MAX_PACING_OFFLOAD_HORIZON: "6.13",
  RTA_FLOWLABEL: "6.14",
  IFLA_NETNS_IMMUTABLE: "6.15",
  NTF_EXT_EXT_VALIDATED: "6.17",
  IFLA_HEADROOM: "6.18",
  IFLA_TAILROOM: "6.18",
};

/** Names that the C library has, and the kernel's headers for programs do not. */
const C_LIBRARY = [
  "AF_UNSPEC",
  "AF_INET",
  "AF_BRIDGE",
  "AF_INET6",
  "AF_NETLINK",
  "AF_PACKET",
  "SOCK_DGRAM",
  "SOCK_RAW",
  "SOCK_NONBLOCK",
  "SOCK_CLOEXEC",
  "MSG_PEEK",
  "MSG_TRUNC",
  "MSG_DONTWAIT",
  "MSG_ERRQUEUE",
  "SOL_IP",
  "SOL_IPV6",
  "SOL_PACKET",
  "SOL_UDP",
  "MNT_DETACH",
  "EFD_CLOEXEC",
  "EFD_NONBLOCK",
];

/** Names that are ours: the absence of a flag. */
const OURS = ["IPVLAN_F_BRIDGE"];

/** `reorderHdr` as the kernel has it: `REORDER_HDR`. */
function upper(key: string): string {
  return /[a-z]/.test(key) ? key.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase() : key;
}

function constantsOf(dir: string[]): Map<string, number> {
  return readConstants(dir, HEADERS);
}

/** All constants for an architecture, by the kernel's names. */
function constantsFor(arch: Arch): [name: string, value: number][] {
  const { epollEventSize: _1, epollDataOffset: _2, ...numbers } = ARCHITECTURES[arch];
  return [...TABLES, [numbers, ""] as typeof TABLES[number]].flatMap((
    [table, prefix, names = {}],
  ) =>
    Object.entries(table).map(([key, value]): [string, number] => [
      names[key] ?? prefix + (prefix ? upper(key) : key),
      value,
    ])
  );
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
        [macvlan.IFLA_MACVLAN, "IFLA_MACVLAN_"],
        [vlan.IFLA_VLAN, "IFLA_VLAN_"],
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
    const from = name.replace(/^AF_/, "PF_");
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
  ]);
  const missing: string[] = [];
  for (
    const directory of [
      "ffi",
      "src/netlink",
      "src/rtnetlink",
      "src/capture",
      "src/link",
      "src/packet",
    ]
  ) {
    for (
      const { name, isFile } of Deno.readDirSync(new URL(`../../${directory}`, import.meta.url))
    ) {
      if (!isFile || !name.endsWith(".ts") || name === "mod.ts") continue;
      const module = await import(`../../${directory}/${name}`);
      for (const [key, value] of Object.entries<unknown>(module)) {
        if (isTable(value) && !known.has(value)) missing.push(`${directory}/${name}: ${key}`);
      }
    }
  }
  assertEquals(missing, []);
});

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
