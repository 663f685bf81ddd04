// Messages as iproute2 6.1 sends them (strace), without the netlink header and the rate tables, which the
// kernel has not read since Linux 3.14. The link is `v0`, index 10.

/** The body of the message of each command line, in hexadecimal. */
export const CAPTURED: Readonly<Record<string, string>> = {
  "tc qdisc add dev v0 root handle 1: tbf rate 8mbit burst 32000b limit 64000b":
    "00000000 0a000000 00000100 ffffffff 00000000 08000100 74626600 34000200 28000100 " +
    "03010000 ffff0000 40420f00 00000000 00000000 00000000 00fa0000 20a10700 00000000 " +
    "08000600 007d0000",
  "tc qdisc add dev v0 root tbf rate 8mbit burst 32000b latency 50ms peakrate 16mbit mtu 2000b mpu 64b overhead 4":
    "00000000 0a000000 00000000 ffffffff 00000000 08000100 74626600 3c000200 28000100 " +
    "03010400 ffff4000 40420f00 03010400 ffff4000 80841e00 50400100 20a10700 093d0000 " +
    "08000600 007d0000 08000700 d0070000",
  "tc qdisc add dev v0 root handle 5: tbf rate 80gbit burst 10000000b limit 20000000b":
    "00000000 0a000000 00000500 ffffffff 00000000 08000100 74626600 40000200 28000100 " +
    "03010000 ffff0000 ffffffff 00000000 00000000 00000000 002d3101 178e0000 00000000 " +
    "08000600 80969800 0c000400 00e40b54 02000000",
  "tc qdisc add dev v0 root pfifo limit 100":
    "00000000 0a000000 00000000 ffffffff 00000000 0a000100 70666966 6f000000 08000200 " +
    "64000000",
  "tc qdisc add dev v0 parent 1:10 handle 20: pfifo":
    "00000000 0a000000 00002000 10000100 00000000 0a000100 70666966 6f000000",
  "tc qdisc add dev v0 root bfifo limit 32kb":
    "00000000 0a000000 00000000 ffffffff 00000000 0a000100 62666966 6f000000 08000200 " +
    "00800000",
  "tc qdisc add dev v0 ingress":
    "00000000 0a000000 0000ffff f1ffffff 00000000 0c000100 696e6772 65737300",
  "tc qdisc add dev v0 clsact":
    "00000000 0a000000 0000ffff f1ffffff 00000000 0b000100 636c7361 63740000",
};
