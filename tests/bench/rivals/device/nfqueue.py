# Accepts every packet of queue 0 of a namespace: `nfqueue.py NETNS`. The protocol is that of
# linux/netfilter/nfnetlink_queue.h, without a library.
import ctypes, os, socket, struct, sys

fd = os.open("/run/netns/" + sys.argv[1], os.O_RDONLY)
if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) != 0:
    raise OSError(ctypes.get_errno(), "setns")
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.bind((0, 0))
s.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
s.setsockopt(270, 5, 1)  # NETLINK_NO_ENOBUFS


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def message(kind, attributes, flags=1):
    body = struct.pack("=BBH", 0, 0, socket.htons(0)) + attributes
    return struct.pack("=IHHII", 16 + len(body), 3 << 8 | kind, flags, 0, 0) + body


s.send(message(2, attribute(1, struct.pack(">BBH", 1, 0, socket.AF_INET))))  # bind
s.send(message(2, attribute(2, struct.pack(">IB", 0xFFFF, 2))))  # copy whole packets
s.send(message(2, attribute(3, struct.pack(">I", 4096))))  # as long as the queue of the TAP
s.send(message(2, attribute(5, struct.pack(">I", 4)) + attribute(4, struct.pack(">I", 4))))  # GSO
print("ready", flush=True)
buffer = bytearray(1 << 17)
while True:
    n = s.recv_into(buffer)
    at = 0
    while at < n:
        length, kind = struct.unpack_from("=IH", buffer, at)
        if kind == 3 << 8:  # a packet: its first attribute has its number
            number = bytes(buffer[at + 24 : at + 28])
            s.send(message(1, attribute(2, struct.pack(">I", 1) + number)))
        at += (length + 3) & ~3
