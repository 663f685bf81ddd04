#!/busybox sh
# The first program in a guest: the host's files, read-only, below a layer that takes what is written.
# A failing command ends it, which is a panic, which the host reports.
set -e
/busybox mkdir /bin /proc /host /layer /new
/busybox --install -s /bin
PATH=/bin
. /settings

mount -t proc proc /proc
while read -r module; do insmod "/modules/$module"; done < /modules/order
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /host
mount -t tmpfs layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /new

cd /new
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t devtmpfs devtmpfs dev
mkdir -p dev/pts dev/shm usr/lib/modules
mount -t devpts devpts dev/pts
mount -t tmpfs shm dev/shm
mount -t tmpfs run run
mkdir run/guest "usr/lib/modules/$(uname -r)"
mount --bind "/new$MODULES/$(uname -r)" "usr/lib/modules/$(uname -r)"
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 guest run/guest
umount /proc
exec switch_root /new /bin/sh /run/guest/start
