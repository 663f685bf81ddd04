// The yardstick: takes the frames that v0 in a namespace sends out to a TAP, and puts them back by a packet socket.
//     redirect NETNS OFFLOADS(0|1)
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[1 << 17];

static void run(const char *line) {
  if (system(line)) exit((fprintf(stderr, "%s\n", line), 1));
}

int main(int argc, char **argv) {
  char path[128];
  snprintf(path, sizeof path, "/run/netns/%s", argv[1]);
  int offloads = atoi(argv[2]), there = open(path, O_RDONLY);
  if (there < 0 || setns(there, CLONE_NEWNET)) exit((perror(path), 1));
  int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "c0");
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (tap < 0 || ioctl(tap, TUNSETIFF, &request)) exit((perror("TUNSETIFF"), 1));
  // TUN_F_USO4 and TUN_F_USO6 are newer than some headers.
  if (offloads && ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | 0x20 | 0x40))
    exit((perror("TUNSETOFFLOAD"), 1));
  run("ip link set c0 mtu 1279 txqueuelen 4096 up");
  int out = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex("v0")};
  if (out < 0 || setsockopt(out, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) ||
      setsockopt(out, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) ||
      bind(out, (struct sockaddr *)&to, sizeof to))
    exit((perror("packet socket"), 1));
  run("tc qdisc add dev v0 clsact");
  run("tc filter add dev v0 egress protocol all u32 match u32 0 0 action mirred egress redirect dev c0");
  puts("ready");
  fflush(stdout);
  struct pollfd set = {tap, POLLIN, 0};
  for (;;) {
    poll(&set, 1, -1);
    for (int k = 0; k < 64; k++) {
      int n = read(tap, buffer, sizeof buffer);
      if (n <= 0) break;
      if (write(out, buffer, n) < 0 && errno != ENOBUFS) perror("write");
    }
  }
  return argc;
}
