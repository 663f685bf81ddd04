/**
 * libc and kernel constants the `ffi/` layer passes down. `tests/headers/constants_test.ts` checks every
 * one against the x86-64 and the arm64 kernel headers, under the names the headers use.
 *
 * @module
 */

/** Constants with one value on every architecture netloom supports. */
export const C = {
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_CLOEXEC: 0o2000000,
  AT_FDCWD: -100,
  AT_STATX_DONT_SYNC: 0x4000,
  STATX_MODE: 0x2,
  STATX_NLINK: 4,
  STATX_INO: 0x100,
  LOCK_EX: 2,
  LOCK_NB: 4,

  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  AF_PACKET: 17,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_ERROR: 4,
  SO_BROADCAST: 6,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_SNDBUFFORCE: 32,
  SO_MARK: 36,
  SO_ATTACH_FILTER: 26,
  SO_RCVBUFFORCE: 33,
  SO_NETNS_COOKIE: 71,
  SIOCGIFINDEX: 0x8933,
  MSG_PEEK: 2,
  MSG_TRUNC: 0x20,
  MSG_DONTWAIT: 0x40,
  MSG_ERRQUEUE: 0x2000,
  SOL_IP: 0,
  IP_RECVERR: 11,
  IP_HDRINCL: 3,
  SOL_IPV6: 41,
  IPV6_RECVERR: 25,
  IPV6_HDRINCL: 36,
  SOL_UDP: 17,
  UDP_SEGMENT: 103,
  UDP_GRO: 104,
  SOL_PACKET: 263,
  PACKET_ADD_MEMBERSHIP: 1,
  PACKET_VNET_HDR: 15,
  PACKET_IGNORE_OUTGOING: 23,
  PACKET_MR_PROMISC: 1,
  POLLIN: 1,
  POLLOUT: 4,
  PROT_READ: 1,
  PROT_WRITE: 2,
  MAP_SHARED: 1,

  S_IFCHR: 0o020000,
  FSOPEN_CLOEXEC: 1,
  FSMOUNT_CLOEXEC: 1,
  FSCONFIG_CMD_CREATE: 6,

  // System calls that came when all architectures got the same numbers.
  __NR_io_uring_setup: 425,
  __NR_io_uring_enter: 426,
  __NR_fsopen: 430,
  __NR_fsconfig: 431,
  __NR_fsmount: 432,

  CLONE_NEWNET: 0x40000000,
  NS_GET_USERNS: 0xb701,
  NS_GET_OWNER_UID: 0xb704,
  MS_BIND: 4096,
  MS_REC: 16384,
  MS_SHARED: 1 << 20,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MNT_DETACH: 2,

  EPOLL_CLOEXEC: 0o2000000,
  CLOCK_MONOTONIC: 1,
  TFD_CLOEXEC: 0o2000000,
  TFD_NONBLOCK: 0o4000,
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
  EPOLLIN: 0x1,
  EPOLLOUT: 0x4,
  EPOLLERR: 0x8,
  EPOLLHUP: 0x10,
  EPOLLET: 0x80000000,
  EFD_CLOEXEC: 0o2000000,
  EFD_NONBLOCK: 0o4000,
} as const;

/** What differs between architectures. */
export interface Architecture {
  /** `open(2)`: fail unless the path is a directory. */
  readonly O_DIRECTORY: number;
  /** `open(2)`: fail when the last part of the path is a symbolic link. */
  readonly O_NOFOLLOW: number;
  /** Number of `getdents64(2)`. */
  readonly __NR_getdents64: number;
  /** Number of `statx(2)`. */
  readonly __NR_statx: number;
  /** Size of `struct epoll_event`: the kernel packs it on x86-64 only. */
  readonly epollEventSize: number;
  /** Offset of `epoll_data_t` in it. */
  readonly epollDataOffset: number;
}

/** The per-architecture table, by the names `Deno.build.arch` uses. */
export const ARCHITECTURES: Readonly<Record<"x86_64" | "aarch64", Architecture>> = {
  x86_64: {
    O_DIRECTORY: 0o200000,
    O_NOFOLLOW: 0o400000,
    __NR_getdents64: 217,
    __NR_statx: 332,
    epollEventSize: 12,
    epollDataOffset: 4,
  },
  aarch64: {
    O_DIRECTORY: 0o40000,
    O_NOFOLLOW: 0o100000,
    __NR_getdents64: 61,
    __NR_statx: 291,
    epollEventSize: 16,
    epollDataOffset: 8,
  },
};

/** The running architecture's constants. */
export const ARCH: Architecture = ARCHITECTURES[Deno.build.arch];
