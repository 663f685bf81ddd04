// wireguard-go's tun package in the same forwarder: forward NETNS_A NETNS_B OFFLOADS MODE.
// It has no offloads in the version Debian ships; each direction is a goroutine, as its users write it.
package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
)

const offset = 16 // room in front of the packet, which Write needs

func attach(netns string) tun.Device {
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY, 0)
	check(err)
	there, err := unix.Open("/run/netns/"+netns, unix.O_RDONLY, 0)
	check(err)
	check(unix.Setns(there, unix.CLONE_NEWNET))
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	check(err)
	request, err := unix.NewIfreq("t0")
	check(err)
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	check(unix.IoctlIfreq(fd, unix.TUNSETIFF, request))
	check(unix.SetNonblock(fd, true))
	device, _, err := tun.CreateUnmonitoredTUNFromFD(fd)
	check(err)
	check(unix.Setns(home, unix.CLONE_NEWNET))
	return device
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func forward(from, to tun.Device) {
	buffer := make([]byte, 1<<17)
	for {
		n, err := from.Read(buffer, offset)
		check(err)
		to.Write(buffer[:offset+n], offset)
	}
}

func echo(device tun.Device) {
	buffer := make([]byte, 1<<17)
	for {
		n, err := device.Read(buffer, offset)
		check(err)
		p := buffer[offset : offset+n]
		if n < 28 || p[0] != 0x45 || p[9] != 1 || p[20] != 8 {
			continue
		}
		for i := 12; i < 16; i++ {
			p[i], p[i+4] = p[i+4], p[i]
		}
		p[20] = 0
		sum := uint32(p[22])<<8 + uint32(p[23]) + 0x0800
		sum = sum&0xffff + sum>>16
		p[22], p[23] = byte(sum>>8), byte(sum)
		device.Write(buffer[:offset+n], offset)
	}
}

func main() {
	a := attach(os.Args[1])
	if os.Args[4] == "echo" {
		fmt.Println("ready")
		echo(a)
	}
	b := attach(os.Args[2])
	fmt.Println("ready")
	go forward(a, b)
	forward(b, a)
}
