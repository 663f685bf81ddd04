# In a guest, with the host's files as root: runs the host's command, whose output goes to a port of
# its own, and leaves its exit code in a file. Ends the guest by a reset, on which QEMU ends.
set -e
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
modprobe virtio_console || true # built into some kernels
modprobe virtio_net
modprobe tun # elsewhere udev makes the node whose first use loads it
ip link set lo up
# A test may load a module of tunnels. Without this, gre0 and the like are in every namespace from then on.
echo 2 > /proc/sys/net/core/fb_tunnels_only_for_init_net
ulimit -n 65536
for device in /sys/class/net/*/device; do
  NETLOOM_SPARE_NIC=$(basename "$(dirname "$device")")
  export NETLOOM_SPARE_NIC
done

# A program of its own: what it does to its shell cannot end this one.
set +e
sh /run/guest/command < /dev/null > "$(ls /dev/vport*p1)" 2>&1
echo $? > /run/guest/exit
sync
echo b > /proc/sysrq-trigger
sleep 60
