// flood LINK COUNT RATE: sends COUNT frames of 64 bytes out of LINK, RATE a second (0: as fast as it goes),
// and prints how many seconds that took.
#define _GNU_SOURCE
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 32

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  long count = atol(argv[2]);
  double rate = atof(argv[3]);
  int fd = socket(AF_PACKET, SOCK_RAW, 0);
  struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1]) };
  if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) != 0) {
    perror(argv[1]);
    return 1;
  }
  // Past the queueing discipline: straight into the link.
  int one = 1;
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  unsigned char frame[64] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
  struct iovec part = { frame, sizeof frame };
  struct mmsghdr batch[BATCH] = { 0 };
  for (int i = 0; i < BATCH; i++) {
    batch[i].msg_hdr.msg_iov = &part;
    batch[i].msg_hdr.msg_iovlen = 1;
  }
  double started = now();
  for (long sent = 0; sent < count;) {
    while (rate > 0 && sent > (now() - started) * rate)
      ;
    int n = sendmmsg(fd, batch, count - sent < BATCH ? count - sent : BATCH, 0);
    if (n > 0) sent += n;
  }
  printf("%f\n", now() - started);
  return 0;
}
