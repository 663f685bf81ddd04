// The tables of constants in ffi/ and src/, with the kernel's names for them.
import { IFLA_INFO } from "../../src/rtnetlink/link_info.ts";
import { ARCHITECTURES, C } from "../../ffi/libc.ts";
import { ERRNO } from "../../ffi/errno.ts";
import { IFF_TUN_FLAGS, IORING, TUN, TUN_F } from "../../ffi/packet_io.ts";
import * as capture from "../../src/capture/filter.ts";
import * as controller from "../../src/genetlink/controller.ts";
import * as ovsDatapath from "../../src/genetlink/ovs_datapath.ts";
import * as ovsFlow from "../../src/genetlink/ovs_flow.ts";
import * as ovsVport from "../../src/genetlink/ovs_vport.ts";
import * as bond from "../../src/rtnetlink/link_kinds/bond.ts";
import * as bridge from "../../src/rtnetlink/link_kinds/bridge.ts";
import * as port from "../../src/rtnetlink/link_kinds/bridge_port.ts";
import * as ipvlan from "../../src/rtnetlink/link_kinds/macvlan.ts";
import * as macvlan from "../../src/rtnetlink/link_kinds/macvlan.ts";
import * as tun from "../../src/rtnetlink/link_kinds/plain.ts";
import { VETH_INFO } from "../../src/rtnetlink/link_kinds/plain.ts";
import * as vlan from "../../src/rtnetlink/link_kinds/vlan.ts";
import * as vxlan from "../../src/rtnetlink/link_kinds/vxlan.ts";
import * as netlink from "../../src/netlink/message.ts";
import { DNS_TYPE } from "../../src/packet/dns.ts";
import { ARPOP } from "../../src/packet/ethernet.ts";
import { ETHERTYPE, IPPROTO } from "../../src/packet/address.ts";
import { DHCP, DHCP_OPTION } from "../../src/packet/dhcp.ts";
import { ICMP, ICMPV6 } from "../../src/packet/icmp.ts";
import { ND } from "../../src/packet/neighbor_discovery.ts";
import { TCP_FLAG } from "../../src/packet/tcp.ts";
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from "../../src/packet/segment.ts";
import { IFA, IFA_F, SCOPES } from "../../src/rtnetlink/address.ts";
import * as bridgeVlan from "../../src/rtnetlink/bridge_vlan.ts";
import * as nexthop from "../../src/rtnetlink/nexthop.ts";
import * as rule from "../../src/rtnetlink/rule.ts";
import * as rtnetlink from "../../src/rtnetlink/constants.ts";
import * as link from "../../src/rtnetlink/link_attributes.ts";
import * as neighbor from "../../src/rtnetlink/neighbor_attributes.ts";
import { NETNSA } from "../../src/rtnetlink/nsid.ts";
import * as actions from "../../src/rtnetlink/filter_kinds/actions.ts";
import * as classifiers from "../../src/rtnetlink/filter_kinds/classifiers.ts";
import * as flower from "../../src/rtnetlink/filter_kinds/flower.ts";
import * as flowerNests from "../../src/rtnetlink/filter_kinds/flower_nests.ts";
import * as fqCodel from "../../src/rtnetlink/qdisc_kinds/fq_codel.ts";
import * as htb from "../../src/rtnetlink/qdisc_kinds/htb.ts";
import * as netem from "../../src/rtnetlink/qdisc_kinds/netem_data.ts";
import { LINKLAYERS } from "../../src/rtnetlink/qdisc_kinds/kind.ts";
import * as tbf from "../../src/rtnetlink/qdisc_kinds/tbf.ts";
import * as fields from "../../src/rtnetlink/fields.ts";
import * as trafficControl from "../../src/rtnetlink/traffic_control.ts";
import * as route from "../../src/rtnetlink/route_attributes.ts";
import * as routeNames from "../../src/rtnetlink/constants.ts";
import * as nft from "../../src/nftables/constants.ts";
import * as nftActs from "../../src/nftables/expressions/act.ts";
import * as nftSteps from "../../src/nftables/expressions/compute.ts";
import { ETHER_TYPES } from "../../src/nftables/selectors.ts";
import { VERDICTS } from "../../src/nftables/data.ts";
import * as inetDiag from "../../src/sockdiag/inet_diag.ts";
import type { Arch } from "./headers.ts";

export type Table = Readonly<Record<string, number>>;

/** The kernel's names of a table's words: the prefix, and the word in capitals. */
function named(prefix: string, table: Table): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.keys(table).map((word) => [word, prefix + word.toUpperCase()]));
}

/** Our tables, the prefix of the kernel's names, and the names that are not prefix and key. */
export const TABLES: [table: Table, prefix: string, names?: Readonly<Record<string, string>>][] = [
  [C, ""],
  [ERRNO, ""],
  [TUN, "TUN"],
  [IFF_TUN_FLAGS, "IFF_"],
  [TUN_F, "TUN_F_"],
  [IORING, "IORING_"],
  [tun.IFLA_TUN, "IFLA_TUN_"],
  [bond.BOND_MODES, "BOND_MODE_", {
    "balance-rr": "BOND_MODE_ROUNDROBIN",
    "active-backup": "BOND_MODE_ACTIVEBACKUP",
    "balance-xor": "BOND_MODE_XOR",
    broadcast: "BOND_MODE_BROADCAST",
    "802.3ad": "BOND_MODE_8023AD",
    "balance-tlb": "BOND_MODE_TLB",
    "balance-alb": "BOND_MODE_ALB",
  }],
  [bond.IFLA_BOND, "IFLA_BOND_"],
  [bond.IFLA_BOND_AD_INFO, "IFLA_BOND_AD_INFO_"],
  [bond.IFLA_BOND_SLAVE, "IFLA_BOND_SLAVE_"],
  [tun.IFLA_VRF, "IFLA_VRF_"],
  [tun.IFLA_VRF_PORT, "IFLA_VRF_PORT_"],
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
  [nexthop.NHA, "NHA_"],
  [nexthop.NHA_RES_GROUP, "NHA_RES_GROUP_"],
  [nexthop.NHA_RES_BUCKET, "NHA_RES_BUCKET_"],
  [rule.FRA, "FRA_"],
  [rule.FIB_RULE, "FIB_RULE_"],
  [
    rule.RULE_ACTIONS,
    "FR_ACT_",
    { ...named("FR_ACT_", rule.RULE_ACTIONS), lookup: "FR_ACT_TO_TBL" },
  ],
  [route.RTAX, "RTAX_"],
  [route.RTAX_FEATURE, "RTAX_FEATURE_"],
  [route.RTNH_F, "RTNH_F_"],
  [route.RTM_F, "RTM_F_"],
  [routeNames.ROUTE_TYPES, "RTN_"],
  [routeNames.ROUTE_PROTOCOLS, "RTPROT_"],
  [routeNames.ROUTE_TABLES, "RT_TABLE_"],
  [routeNames.ROUTE_PREFERENCES, "ICMPV6_ROUTER_PREF_"],
  [fields.TCA, "TCA_"],
  [trafficControl.TCA_STATS, "TCA_STATS_"],
  [fields.QDISC_PARENTS, "TC_H_", { root: "TC_H_ROOT", ingress: "TC_H_INGRESS" }],
  [fqCodel.TCA_FQ_CODEL, "TCA_FQ_CODEL_"],
  [htb.TCA_HTB, "TCA_HTB_"],
  [netem.TCA_NETEM, "TCA_NETEM_"],
  [netem.NETEM_LOSS, "NETEM_LOSS_"],
  [tbf.TCA_TBF, "TCA_TBF_"],
  [classifiers.TCA_U32, "TCA_U32_"],
  [classifiers.TCA_MATCHALL, "TCA_MATCHALL_"],
  [classifiers.TCA_FW, "TCA_FW_"],
  [classifiers.TCA_BPF, "TCA_BPF_"],
  [flower.TCA_FLOWER, "TCA_FLOWER_"],
  [flowerNests.TCA_FLOWER_KEY_MPLS_OPT_LSE, "TCA_FLOWER_KEY_MPLS_OPT_LSE_"],
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
  [bridgeVlan.BRIDGE_VLANDB, "BRIDGE_VLANDB_"],
  [bridgeVlan.BRIDGE_VLANDB_ENTRY, "BRIDGE_VLANDB_ENTRY_"],
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
  [vxlan.IFLA_VXLAN, "IFLA_VXLAN_"],
  [vxlan.VXLAN_DF, "VXLAN_DF_"],
  [vxlan.VXLAN_LABEL_POLICY, "VXLAN_LABEL_"],
  [LINKLAYERS, "TC_LINKLAYER_"],
  [actions.CONTROLS, "TC_ACT_", {
    continue: "TC_ACT_UNSPEC",
    pass: "TC_ACT_OK",
    drop: "TC_ACT_SHOT",
  }],
  [rtnetlink.VLAN_PROTOCOL, "", { "802.1Q": "ETH_P_8021Q", "802.1ad": "ETH_P_8021AD" }],
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
  [nft.NFNL_SUBSYS, "NFNL_SUBSYS_"],
  [nft.NFNL_MSG_BATCH, "NFNL_MSG_BATCH_"],
  [nft.NFNL_BATCH, "NFNL_BATCH_"],
  [nft.NFNLGRP, "NFNLGRP_"],
  [nft.FAMILIES, "NFPROTO_", { ip: "NFPROTO_IPV4", ip6: "NFPROTO_IPV6" }],
  [nft.NFT_MSG, "NFT_MSG_"],
  [nft.NFTA_TABLE, "NFTA_TABLE_"],
  [nft.NFT_TABLE_F, "NFT_TABLE_F_"],
  [nft.NFTA_CHAIN, "NFTA_CHAIN_"],
  [nft.NFTA_HOOK, "NFTA_HOOK_"],
  [nft.NFTA_DEVICE, "NFTA_DEVICE_"],
  [nft.NFTA_RULE, "NFTA_RULE_"],
  [nft.NFTA_SET, "NFTA_SET_"],
  [nft.NFTA_SET_DESC, "NFTA_SET_DESC_"],
  [nft.NFTA_SET_FIELD, "NFTA_SET_FIELD_"],
  [nft.NFT_SET, "NFT_SET_"],
  [nft.NFTA_SET_ELEM_LIST, "NFTA_SET_ELEM_LIST_"],
  [nft.NFTA_SET_ELEM, "NFTA_SET_ELEM_"],
  [nft.NFT_SET_ELEM, "NFT_SET_ELEM_"],
  [nft.NFTA_GEN, "NFTA_GEN_"],
  [nft.NFTA_LIST, "NFTA_LIST_"],
  [nft.NFTA_EXPR, "NFTA_EXPR_"],
  [nft.NFTA_DATA, "NFTA_DATA_"],
  [nft.NFTA_VERDICT, "NFTA_VERDICT_"],
  [nft.NFTA_OBJ, "NFTA_OBJ_"],
  [nft.NFTA_FLOWTABLE, "NFTA_FLOWTABLE_"],
  [nftSteps.NFTA_PAYLOAD, "NFTA_PAYLOAD_"],
  [nftSteps.NFTA_META, "NFTA_META_"],
  [nftSteps.NFTA_CT, "NFTA_CT_"],
  [nftSteps.NFTA_FIB, "NFTA_FIB_"],
  [nftSteps.NFTA_NG, "NFTA_NG_"],
  [nftSteps.NFTA_IMMEDIATE, "NFTA_IMMEDIATE_"],
  [nftSteps.NFTA_CMP, "NFTA_CMP_"],
  [nftSteps.NFTA_RANGE, "NFTA_RANGE_"],
  [nftSteps.NFTA_BITWISE, "NFTA_BITWISE_"],
  [nftSteps.NFTA_BYTEORDER, "NFTA_BYTEORDER_"],
  [nftSteps.NFTA_LOOKUP, "NFTA_LOOKUP_"],
  [nftActs.NFTA_COUNTER, "NFTA_COUNTER_"],
  [nftActs.NFTA_LIMIT, "NFTA_LIMIT_"],
  [nftActs.NFTA_QUOTA, "NFTA_QUOTA_"],
  [nftActs.NFTA_LOG, "NFTA_LOG_"],
  [nftActs.NFTA_REJECT, "NFTA_REJECT_"],
  [nftActs.NFTA_NAT, "NFTA_NAT_"],
  [nftActs.NFTA_MASQ, "NFTA_MASQ_"],
  [nftActs.NFTA_REDIR, "NFTA_REDIR_"],
  [nftActs.NFTA_QUEUE, "NFTA_QUEUE_"],
  [nftActs.NFTA_FWD, "NFTA_FWD_"],
  [nftActs.NFTA_DUP, "NFTA_DUP_"],
  [nftActs.NFTA_DYNSET, "NFTA_DYNSET_"],
  [nftActs.NFTA_OBJREF, "NFTA_OBJREF_"],
  [nftActs.OBJECT_TYPES, "NFT_OBJECT_"],
  [nftActs.DYNSET_OPS, "NFT_DYNSET_OP_", named("NFT_DYNSET_OP_", nftActs.DYNSET_OPS)],
  [nftSteps.PAYLOAD_BASES, "", {
    link: "NFT_PAYLOAD_LL_HEADER",
    network: "NFT_PAYLOAD_NETWORK_HEADER",
    transport: "NFT_PAYLOAD_TRANSPORT_HEADER",
    inner: "NFT_PAYLOAD_INNER_HEADER",
  }],
  [nftSteps.FIB_RESULTS, "NFT_FIB_RESULT_", named("NFT_FIB_RESULT_", nftSteps.FIB_RESULTS)],
  [nftSteps.FIB_FLAGS, "NFTA_FIB_F_", named("NFTA_FIB_F_", nftSteps.FIB_FLAGS)],
  [nftSteps.META_KEYS, "NFT_META_", named("NFT_META_", nftSteps.META_KEYS)],
  [nftSteps.CT_KEYS, "NFT_CT_", named("NFT_CT_", nftSteps.CT_KEYS)],
  [nftSteps.NUMGEN_TYPES, "NFT_NG_", { inc: "NFT_NG_INCREMENTAL", random: "NFT_NG_RANDOM" }],
  [nftSteps.CMP_OPS, "NFT_CMP_", named("NFT_CMP_", nftSteps.CMP_OPS)],
  [nftSteps.RANGE_OPS, "NFT_RANGE_", named("NFT_RANGE_", nftSteps.RANGE_OPS)],
  [nftSteps.BITWISE_OPS, "NFT_BITWISE_", named("NFT_BITWISE_", nftSteps.BITWISE_OPS)],
  [
    nftSteps.BYTEORDER_OPS,
    "NFT_BYTEORDER_",
    named("NFT_BYTEORDER_", nftSteps.BYTEORDER_OPS),
  ],
  [nftActs.LIMIT_TYPES, "", { packets: "NFT_LIMIT_PKTS", bytes: "NFT_LIMIT_PKT_BYTES" }],
  [nftActs.LOG_LEVELS, "NFT_LOGLEVEL_", {
    ...named("NFT_LOGLEVEL_", nftActs.LOG_LEVELS),
    warn: "NFT_LOGLEVEL_WARNING",
  }],
  [nftActs.REJECT_TYPES, "", {
    icmp: "NFT_REJECT_ICMP_UNREACH",
    "tcp reset": "NFT_REJECT_TCP_RST",
    icmpx: "NFT_REJECT_ICMPX_UNREACH",
  }],
  [nftActs.NAT_TYPES, "NFT_NAT_", named("NFT_NAT_", nftActs.NAT_TYPES)],
  [nftActs.NF_NAT_RANGE, "NF_NAT_RANGE_"],
  [ETHER_TYPES, "ETH_P_", { ip: "ETH_P_IP", ip6: "ETH_P_IPV6", arp: "ETH_P_ARP" }],
  [VERDICTS, "NFT_", {
    ...named("NFT_", VERDICTS),
    drop: "NF_DROP",
    accept: "NF_ACCEPT",
  }],
  [ICMP, "ICMP_", { ECHO_REPLY: "ICMP_ECHOREPLY" }],
  [ICMPV6, "ICMPV6_", { ECHO: "ICMPV6_ECHO_REQUEST" }],
  [ETHERTYPE, "ETH_P_"],
  [ARPOP, "ARPOP_", { InREQUEST: "ARPOP_InREQUEST", InREPLY: "ARPOP_InREPLY" }],
  [IPPROTO, "IPPROTO_"],
  [VIRTIO_NET_HDR_F, "VIRTIO_NET_HDR_F_"],
  [VIRTIO_NET_HDR_GSO, "VIRTIO_NET_HDR_GSO_"],
];

/** Tables that are RFCs', and not in the headers: tcpdump holds those. */
export const RFCS: Table[] = [DHCP, DHCP_OPTION, DNS_TYPE, ND, TCP_FLAG];

/** The headers that are read. */
export const HEADERS = [
  "linux/in.h",
  "linux/in6.h",
  "linux/inet_diag.h",
  "asm/errno.h",
  "asm/fcntl.h",
  "asm/poll.h",
  "asm/socket.h",
  "asm/unistd.h",
  "linux/sockios.h",
  "linux/time.h",
  "linux/timerfd.h",
  "linux/bpf.h",
  "linux/eventpoll.h",
  "linux/fcntl.h",
  "linux/filter.h",
  "linux/genetlink.h",
  "linux/icmp.h",
  "linux/icmpv6.h",
  "linux/if.h",
  "linux/if_addr.h",
  "linux/if_bonding.h",
  "linux/if_arp.h",
  "linux/if_bridge.h",
  "linux/if_ether.h",
  "linux/if_link.h",
  "linux/if_packet.h",
  "linux/if_tun.h",
  "linux/if_vlan.h",
  "linux/io_uring.h",
  "linux/mman.h",
  "linux/netfilter.h",
  "linux/netfilter/nf_nat.h",
  "linux/netfilter/nf_tables.h",
  "linux/netfilter/nfnetlink.h",
  "linux/mount.h",
  "linux/neighbour.h",
  "linux/net_namespace.h",
  "linux/netlink.h",
  "linux/nexthop.h",
  "linux/nsfs.h",
  "linux/openvswitch.h",
  "linux/fib_rules.h",
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
export const NEWER: Readonly<Record<string, string>> = {
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
  IFLA_VXLAN_LOCALBYPASS: "6.5",
  IORING_SETUP_NO_SQARRAY: "6.6",
  IFLA_BR_FDB_N_LEARNED: "6.7",
  IFLA_BR_FDB_MAX_LEARNED: "6.7",
  IFLA_DPLL_PIN: "6.7",
  RTAX_FEATURE_TCP_USEC_TS: "6.7",
  IFLA_VXLAN_LABEL_POLICY: "6.8",
  VXLAN_LABEL_FIXED: "6.8",
  VXLAN_LABEL_INHERIT: "6.8",
  NHA_OP_FLAGS: "6.9",
  NHA_GROUP_STATS: "6.9",
  NHA_HW_STATS_ENABLE: "6.9",
  NHA_HW_STATS_USED: "6.9",
  IFLA_BOND_COUPLED_CONTROL: "6.9",
  IFLA_BOND_BROADCAST_NEIGH: "6.17",
  IFLA_BOND_SLAVE_ACTOR_PORT_PRIO: "6.18",
  FRA_DSCP: "6.12",
  FRA_FLOWLABEL: "6.14",
  FRA_FLOWLABEL_MASK: "6.14",
  FRA_SPORT_MASK: "6.15",
  FRA_DPORT_MASK: "6.15",
  FRA_DSCP_MASK: "6.15",
  IFLA_MAX_PACING_OFFLOAD_HORIZON: "6.13",
  RTA_FLOWLABEL: "6.14",
  IFLA_VXLAN_RESERVED_BITS: "6.14",
  IFLA_NETNS_IMMUTABLE: "6.15",
  IFLA_VXLAN_MC_ROUTE: "6.15",
  NTF_EXT_EXT_VALIDATED: "6.17",
  NFTA_SET_TYPE: "6.15",
  NFTA_SET_COUNT: "6.15",
  IFLA_HEADROOM: "6.18",
  IFLA_TAILROOM: "6.18",
};

/** Names that the C library has, and the kernel's headers for programs do not. */
export const C_LIBRARY = [
  "AF_UNSPEC",
  "AF_UNIX",
  "AF_INET",
  "AF_BRIDGE",
  "AF_INET6",
  "AF_NETLINK",
  "AF_PACKET",
  "SOCK_STREAM",
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
export const OURS = ["IPVLAN_F_BRIDGE"];

/** `reorderHdr` as the kernel has it: `REORDER_HDR`. */
export function upper(key: string): string {
  return /[a-z]/.test(key) ? key.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase() : key;
}

/** All constants for an architecture, by the kernel's names. */
export function constantsFor(arch: Arch): [name: string, value: number][] {
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
