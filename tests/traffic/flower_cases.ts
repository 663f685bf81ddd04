// Filters of the kind flower: each field once, with the line of `tc` that sets the same.
import type { FilterCase } from "./cases.ts";

/** The cases. */
export const FLOWER_CASES: readonly FilterCase[] = [
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "ip",
      priority: 1,
      options: {
        dstMac: "02:00:00:00:00:01",
        srcMac: "02:00:00:00:00:00/ff:ff:00:00:00:00",
        ipProto: "tcp",
        srcIp: "10.0.0.0/8",
        dstIp: "10.1.2.3",
        srcPort: 80,
        dstPort: { min: 1024, max: 2048 },
        tcpFlags: { value: 2, mask: 0x12 },
        ipTos: { value: 0x10, mask: 0xfc },
        ipTtl: 64,
        ipFlags: ["nofrag"],
        classid: "1:10",
      },
    },
    words:
      "tc filter add dev v0 egress protocol ip prio 1 flower dst_mac 02:00:00:00:00:01 src_mac 02:00:00:00:00:00/ff:ff:00:00:00:00 ip_proto tcp src_ip 10.0.0.0/8 dst_ip 10.1.2.3 src_port 80 dst_port 1024-2048 tcp_flags 0x2/0x12 ip_tos 0x10/0xfc ip_ttl 64 ip_flags nofrag classid 1:10",
    info: {
      kind: "flower",
      options: {
        dstMac: "02:00:00:00:00:01",
        srcMac: "02:00:00:00:00:00/ff:ff:00:00:00:00",
        ipProto: "tcp",
        srcIp: "10.0.0.0/8",
        dstIp: "10.1.2.3",
        srcPort: 80,
        dstPort: { min: 1024, max: 2048 },
        tcpFlags: { value: 2, mask: 0x12 },
        ipTos: { value: 0x10, mask: 0xfc },
        ipTtl: 64,
        ipFlags: ["nofrag"],
        classid: "1:10",
      },
    },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "ipv6",
      priority: 2,
      options: {
        ipProto: "udp",
        srcIp: "fd00::/64",
        dstIp: "fd00::1",
        srcPort: { value: 0x50, mask: 0xfff0 },
        dstPort: 53,
        ipFlags: ["frag", "nofirstfrag"],
        actions: [{ kind: "gact", control: "drop" }],
      },
    },
    words:
      "tc filter add dev v0 egress protocol ipv6 prio 2 flower ip_proto udp src_ip fd00::/64 dst_ip fd00::1 src_port 0x50/0xfff0 dst_port 53 ip_flags frag/nofirstfrag action gact drop",
    info: {
      kind: "flower",
      options: {
        ipProto: "udp",
        srcIp: "fd00::/64",
        dstIp: "fd00::1",
        srcPort: { value: 0x50, mask: 0xfff0 },
        dstPort: 53,
        ipFlags: ["frag", "nofirstfrag"],
        actions: [{ kind: "gact", control: "drop" }],
      },
    },
  },
  {
    entry: {
      kind: "flower",
      parent: "ingress",
      protocol: "ip",
      priority: 3,
      options: { ipProto: "icmp", icmpType: 8, icmpCode: 0 },
    },
    words: "tc filter add dev v0 ingress protocol ip prio 3 flower ip_proto icmp type 8 code 0",
    info: { kind: "flower", options: { ipProto: "icmp", icmpType: 8, icmpCode: 0 } },
  },
  {
    entry: {
      kind: "flower",
      parent: "ingress",
      protocol: "ipv6",
      priority: 4,
      options: { ipProto: "icmpv6", icmpType: 128 },
    },
    words: "tc filter add dev v0 ingress protocol ipv6 prio 4 flower ip_proto icmpv6 type 128",
    info: { kind: "flower", options: { ipProto: "icmpv6", icmpType: 128 } },
  },
  {
    entry: {
      kind: "flower",
      parent: "ingress",
      protocol: "arp",
      priority: 5,
      options: {
        arpTip: "10.0.0.1",
        arpSip: "10.0.0.0/24",
        arpOp: "request",
        arpSha: "02:00:00:00:00:01",
        arpTha: "02:00:00:00:00:00/ff:00:00:00:00:00",
      },
    },
    words:
      "tc filter add dev v0 ingress protocol arp prio 5 flower arp_tip 10.0.0.1 arp_sip 10.0.0.0/24 arp_op request arp_sha 02:00:00:00:00:01 arp_tha 02:00:00:00:00:00/ff:00:00:00:00:00",
    info: {
      kind: "flower",
      options: {
        arpTip: "10.0.0.1",
        arpSip: "10.0.0.0/24",
        arpOp: "request",
        arpSha: "02:00:00:00:00:01",
        arpTha: "02:00:00:00:00:00/ff:00:00:00:00:00",
      },
    },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "802.1Q",
      priority: 6,
      options: { vlanId: 10, vlanPrio: 3, vlanEthtype: "ip", ipProto: "sctp", dstPort: 9 },
    },
    words:
      "tc filter add dev v0 egress protocol 802.1Q prio 6 flower vlan_id 10 vlan_prio 3 vlan_ethtype ip ip_proto sctp dst_port 9",
    info: {
      kind: "flower",
      options: { vlanId: 10, vlanPrio: 3, vlanEthtype: "ip", ipProto: "sctp", dstPort: 9 },
    },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "802.1ad",
      priority: 7,
      options: {
        vlanId: 5,
        vlanEthtype: "802.1Q",
        cvlanId: 6,
        cvlanPrio: 2,
        cvlanEthtype: "ipv6",
        numOfVlans: 2,
      },
    },
    words:
      "tc filter add dev v0 egress protocol 802.1ad prio 7 flower vlan_id 5 vlan_ethtype 802.1Q cvlan_id 6 cvlan_prio 2 cvlan_ethtype ipv6 num_of_vlans 2",
    info: {
      kind: "flower",
      options: {
        vlanId: 5,
        vlanEthtype: "802.1Q",
        cvlanId: 6,
        cvlanPrio: 2,
        cvlanEthtype: "ipv6",
        numOfVlans: 2,
      },
    },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "mpls_uc",
      priority: 8,
      options: { mplsLabel: 100, mplsTc: 3, mplsBos: 1, mplsTtl: 64 },
    },
    words:
      "tc filter add dev v0 egress protocol mpls_uc prio 8 flower mpls_label 100 mpls_tc 3 mpls_bos 1 mpls_ttl 64",
    info: { kind: "flower", options: { mplsLabel: 100, mplsTc: 3, mplsBos: 1, mplsTtl: 64 } },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "mpls_uc",
      priority: 9,
      options: {
        mpls: [{ depth: 1, label: 100 }, { depth: 2, label: 200, tc: 1, bos: 1, ttl: 9 }],
      },
    },
    words:
      "tc filter add dev v0 egress protocol mpls_uc prio 9 flower mpls lse depth 1 label 100 lse depth 2 label 200 tc 1 bos 1 ttl 9",
    info: {
      kind: "flower",
      options: {
        mpls: [{ depth: 1, label: 100 }, { depth: 2, label: 200, tc: 1, bos: 1, ttl: 9 }],
      },
    },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "ip",
      priority: 10,
      options: {
        encKeyId: 7,
        encSrcIp: "10.0.0.1",
        encDstIp: "10.0.0.0/24",
        encDstPort: 4789,
        encTos: { value: 0x10, mask: 0xf0 },
        encTtl: 64,
      },
    },
    words:
      "tc filter add dev v0 egress protocol ip prio 10 flower enc_key_id 7 enc_src_ip 10.0.0.1 enc_dst_ip 10.0.0.0/24 enc_dst_port 4789 enc_tos 0x10/0xf0 enc_ttl 64",
    info: {
      kind: "flower",
      options: {
        encKeyId: 7,
        encSrcIp: "10.0.0.1",
        encDstIp: "10.0.0.0/24",
        encDstPort: 4789,
        encTos: { value: 0x10, mask: 0xf0 },
        encTtl: 64,
      },
    },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "ip",
      priority: 11,
      options: {
        encKeyId: 7,
        encSrcIp: "fd00::1",
        encDstPort: 6081,
        geneveOpts: "102:34:05060708",
      },
    },
    words:
      "tc filter add dev v0 egress protocol ip prio 11 flower enc_key_id 7 enc_src_ip fd00::1 enc_dst_port 6081 geneve_opts 0102:34:05060708",
    info: {
      kind: "flower",
      options: {
        encKeyId: 7,
        encSrcIp: "fd00::1",
        encDstPort: 6081,
        geneveOpts: "102:34:05060708",
      },
    },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "ip",
      priority: 12,
      options: { encDstPort: 4789, vxlanOpts: "5/255" },
    },
    words:
      "tc filter add dev v0 egress protocol ip prio 12 flower enc_dst_port 4789 vxlan_opts 5/255",
    info: { kind: "flower", options: { encDstPort: 4789, vxlanOpts: "5/255" } },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "ip",
      priority: 13,
      options: { erspanOpts: "1:2:0:0" },
    },
    words: "tc filter add dev v0 egress protocol ip prio 13 flower erspan_opts 1:2:0:0",
    info: { kind: "flower", options: { erspanOpts: "1:2:0:0" } },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "ip",
      priority: 14,
      options: { gtpOpts: "1:8" },
    },
    words: "tc filter add dev v0 egress protocol ip prio 14 flower gtp_opts 1:8",
    info: { kind: "flower", options: { gtpOpts: "1:8" } },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "ip",
      priority: 15,
      options: {
        ctState: "+trk+est-new",
        ctZone: 5,
        ctMark: { value: 0x10, mask: 0xff },
        ctLabel: "0102030405060708090a0b0c0d0e0f10",
      },
    },
    words:
      "tc filter add dev v0 egress protocol ip prio 15 flower ct_state +trk+est-new ct_zone 5 ct_mark 0x10/0xff ct_label 0102030405060708090a0b0c0d0e0f10",
    info: {
      kind: "flower",
      options: {
        ctState: "-new+est+trk",
        ctZone: 5,
        ctMark: { value: 0x10, mask: 0xff },
        ctLabel: "0102030405060708090a0b0c0d0e0f10",
      },
    },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "ppp_ses",
      priority: 16,
      options: { pppoeSid: 5, pppProto: "ip" },
    },
    words: "tc filter add dev v0 egress protocol ppp_ses prio 16 flower pppoe_sid 5 ppp_proto ip",
    info: { kind: "flower", options: { pppoeSid: 5, pppProto: "ip" } },
  },
  {
    entry: {
      kind: "flower",
      parent: "egress",
      protocol: "all",
      priority: 18,
      options: { indev: "v0" },
    },
    words: "tc filter add dev v0 egress protocol all prio 18 flower indev v0",
    info: { kind: "flower", options: { indev: "v0" } },
  },
];
