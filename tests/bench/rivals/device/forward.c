// The yardstick: forwards packets between two TUNs of namespaces A and B.
//     forward NETNS_A NETNS_B OFFLOADS(0|1) MODE
// MODE poll waits in poll(2) and drains; echo answers ICMP echo requests on A instead of forwarding.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static char buffer[1 << 17];

static int attach(const char *netns, int offloads) {
  char path[128];
  snprintf(path, sizeof path, "/run/netns/%s", netns);
  int home = open("/proc/self/ns/net", O_RDONLY), there = open(path, O_RDONLY);
  if (home < 0 || there < 0 || setns(there, CLONE_NEWNET)) exit((perror(path), 1));
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "t0");
  request.ifr_flags = IFF_TUN | IFF_NO_PI | (offloads ? IFF_VNET_HDR : 0);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request)) exit((perror("TUNSETIFF"), 1));
  // TUN_F_USO4 and TUN_F_USO6 are newer than some headers.
  if (offloads && ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | 0x20 | 0x40))
    exit((perror("TUNSETOFFLOAD"), 1));
  setns(home, CLONE_NEWNET);
  return fd;
}

/** Makes an echo reply of a request, in place: the checksum grows by what the type lost. */
static int echo(unsigned char *p, int n) {
  if (n < 28 || p[0] != 0x45 || p[9] != 1 || p[20] != 8) return 0;
  unsigned char source[4];
  memcpy(source, p + 12, 4);
  memcpy(p + 12, p + 16, 4);
  memcpy(p + 16, source, 4);
  p[20] = 0;
  unsigned sum = (p[22] << 8 | p[23]) + 0x0800;
  sum = (sum & 0xffff) + (sum >> 16);
  p[22] = sum >> 8;
  p[23] = sum;
  return 1;
}

int main(int argc, char **argv) {
  int offloads = atoi(argv[3]), echoes = !strcmp(argv[4], "echo");
  int fds[2] = {attach(argv[1], offloads), echoes ? -1 : attach(argv[2], offloads)};
  struct pollfd set[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
  puts("ready");
  fflush(stdout);
  for (;;) {
    poll(set, 2, -1);
    for (int i = 0; i < 2; i++) {
      if (!set[i].revents) continue;
      for (int k = 0; k < 64; k++) {
        int n = read(fds[i], buffer, sizeof buffer);
        if (n <= 0) break;
        if (!echoes) write(fds[1 - i], buffer, n);
        else if (echo((unsigned char *)buffer, n)) write(fds[0], buffer, n);
      }
    }
  }
  return argc;
}
