// Command golang does one job in the network namespace it is started in and prints one JSON line
// with the time that took.
//
// Usage:
//
//	golang create PAIRS   create veth pairs with vishvananda/netlink
//	golang routes ROUTES  add routes through the link v0, and delete them
//	golang dump ROUNDS    list links with vishvananda/netlink, parsed
//	golang raw ROUNDS     receive the same dump and parse no more than message lengths
//	golang star HOSTS     hosts on a bridge, each in a namespace of its own, and their removal
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"sort"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: %s create|routes|dump|raw|star NUMBER", os.Args[0]))
	}
	number, err := strconv.Atoi(os.Args[2])
	if err == nil && number < 1 {
		err = fmt.Errorf("not a positive number: %d", number)
	}
	var result map[string]any
	if err == nil {
		switch os.Args[1] {
		case "create":
			result, err = create(number)
		case "routes":
			result, err = routes(number)
		case "dump":
			result, err = dump(number)
		case "raw":
			result, err = raw(number)
		case "star":
			result, err = star(number)
		default:
			err = fmt.Errorf("unknown job %q", os.Args[1])
		}
	}
	if err != nil {
		fail(err)
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// create uses one handle, so one socket, for all requests: the library's own shortcut opens one for
// each.
func create(pairs int) (map[string]any, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	cpu, start := cpuTime(), time.Now()
	for n := 0; n < pairs; n++ {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fmt.Sprintf("v%d", n)
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: fmt.Sprintf("p%d", n)}
		if err := handle.LinkAdd(veth); err != nil {
			return nil, fmt.Errorf("create %s: %w", attrs.Name, err)
		}
	}
	return map[string]any{
		"create_ms": ms(time.Since(start)),
		"cpu_ms":    ms(cpuTime() - cpu),
	}, nil
}

// star creates a switch and hosts in namespaces without names, a veth pair and an address each. A pair
// between the last namespace and this one tells when all are gone.
func star(hosts int) (map[string]any, error) {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		return nil, err
	}
	cpu, start := cpuTime(), time.Now()
	open := func() (netns.NsHandle, *netlink.Handle, error) {
		ns, err := netns.New()
		if err != nil {
			return ns, nil, err
		}
		if err := netns.Set(home); err != nil {
			return ns, nil, err
		}
		handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
		return ns, handle, err
	}
	hub, ports, err := open()
	if err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := ports.LinkAdd(bridge); err != nil {
		return nil, err
	}
	if err := ports.LinkSetUp(bridge); err != nil {
		return nil, err
	}
	namespaces, handles := []netns.NsHandle{hub}, []*netlink.Handle{ports}
	for n := 1; n <= hosts; n++ {
		ns, handle, err := open()
		if err != nil {
			return nil, err
		}
		namespaces, handles = append(namespaces, ns), append(handles, handle)
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth0"
		name := fmt.Sprintf("h%d", n)
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerNamespace: netlink.NsFd(hub)}
		if err := handle.LinkAdd(veth); err != nil {
			return nil, err
		}
		ip := net.IPv4(10, 1, byte(n>>8), byte(n))
		address := &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(16, 32)}}
		if err := handle.AddrAdd(veth, address); err != nil {
			return nil, err
		}
		if err := handle.LinkSetUp(veth); err != nil {
			return nil, err
		}
		port, err := ports.LinkByName(name)
		if err != nil {
			return nil, err
		}
		if err := ports.LinkSetMaster(port, bridge); err != nil {
			return nil, err
		}
		if err := ports.LinkSetUp(port); err != nil {
			return nil, err
		}
	}
	created, createdCpu := time.Since(start), cpuTime()-cpu
	attrs = netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("nlb%d", os.Getpid())
	last := namespaces[len(namespaces)-1]
	witness := &netlink.Veth{LinkAttrs: attrs, PeerName: "witness", PeerNamespace: netlink.NsFd(last)}
	if err := netlink.LinkAdd(witness); err != nil {
		return nil, err
	}
	start = time.Now()
	for n := range namespaces {
		handles[n].Close()
		namespaces[n].Close()
	}
	for {
		if _, err := netlink.LinkByName(attrs.Name); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return map[string]any{
		"create_ms": ms(created),
		"delete_ms": ms(time.Since(start)),
		"cpu_ms":    ms(createdCpu),
	}, nil
}

// routes adds as many host routes below 10.0.0.0/8, lists them and deletes them.
func routes(count int) (map[string]any, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	link, err := handle.LinkByName("v0")
	if err != nil {
		return nil, err
	}
	cpu, start := cpuTime(), time.Now()
	gateway := net.IPv4(192, 0, 2, 2)
	for n := 0; n < count; n++ {
		destination := net.IPv4(10, byte(n>>16), byte(n>>8), byte(n))
		route := &netlink.Route{
			LinkIndex: link.Attrs().Index,
			Dst:       &net.IPNet{IP: destination, Mask: net.CIDRMask(32, 32)},
			Gw:        gateway,
		}
		if err := handle.RouteAdd(route); err != nil {
			return nil, fmt.Errorf("add %s: %w", destination, err)
		}
	}
	added, addedCpu := time.Since(start), cpuTime()-cpu
	start = time.Now()
	all, err := handle.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	listed := time.Since(start)
	for n := range all {
		if all[n].Gw == nil {
			continue // the network of the link's address
		}
		if err := handle.RouteDel(&all[n]); err != nil {
			return nil, err
		}
	}
	return map[string]any{
		"add_ms":   ms(added),
		"list_ms":  ms(listed),
		"flush_ms": ms(time.Since(start)),
		"cpu_ms":   ms(addedCpu),
	}, nil
}

func dump(rounds int) (map[string]any, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	return repeat(rounds, func() (int, error) {
		links, err := handle.LinkList()
		return len(links), err
	})
}

func raw(rounds int) (map[string]any, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	request := make([]byte, unix.NLMSG_HDRLEN+unix.SizeofIfInfomsg)
	binary.LittleEndian.PutUint32(request, uint32(len(request)))
	binary.LittleEndian.PutUint16(request[4:], unix.RTM_GETLINK)
	binary.LittleEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	buffer := make([]byte, 64*1024)

	return repeat(rounds, func() (int, error) {
		if err := unix.Sendto(fd, request, 0, kernel); err != nil {
			return 0, err
		}
		for links := 0; ; {
			size, _, err := unix.Recvfrom(fd, buffer, 0)
			if err != nil {
				return 0, err
			}
			// Only as much as it takes to notice the end.
			for at := 0; at < size; {
				switch kind := binary.LittleEndian.Uint16(buffer[at+4:]); kind {
				case unix.RTM_NEWLINK:
					links++
				case unix.NLMSG_DONE:
					return links, nil
				default:
					return 0, fmt.Errorf("message of type %d", kind)
				}
				at += (int(binary.LittleEndian.Uint32(buffer[at:])) + 3) &^ 3
			}
		}
	})
}

// repeat times every round by itself and reports the median.
func repeat(rounds int, round func() (int, error)) (map[string]any, error) {
	times := make([]float64, rounds)
	links, cpu := 0, cpuTime()
	for n := range times {
		start := time.Now()
		var err error
		if links, err = round(); err != nil {
			return nil, err
		}
		times[n] = ms(time.Since(start))
	}
	cpu = (cpuTime() - cpu) / time.Duration(rounds)
	sort.Float64s(times)
	return map[string]any{
		"links":     links,
		"median_ms": (times[(rounds-1)/2] + times[rounds/2]) / 2,
		"cpu_ms":    ms(cpu),
	}, nil
}

// cpuTime is the user and system time of this process so far.
func cpuTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func ms(duration time.Duration) float64 {
	return float64(duration.Microseconds()) / 1000
}
