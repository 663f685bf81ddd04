// The emulated machine: its processor, the kernel's command line, its devices.
import type { Kernel } from "./kernel.ts";

/**
 * TCG translates a simple instruction into one of the host, and others into a loop or a call. Without
 * these features the kernel and libc copy by plain moves, which halves the time of everything.
 */
const CPU = "max,-erms,-fsrm,-avx,-avx2,-bmi1,-bmi2,-smap,-smep,-pku,-la57";

/** One processor: two emulated ones take 1.5 times as long, because most work is that of one thread. */
const MACHINE = `-accel tcg -cpu ${CPU} -smp 1 -m 3G -nodefaults -no-user-config -display none`;

/** Words of the kernel's command line. */
const APPEND = [
  "console=ttyS0 loglevel=4",
  // A crash resets the guest, and -no-reboot ends it at a reset.
  "panic=-1 oops=panic",
  // A machine that is slow, or stopped for a while, is not locked up.
  "nowatchdog rcupdate.rcu_cpu_stall_suppress=1",
  // Defences cost a third of the time, and protect nobody here. Without randomized addresses code is
  // where it was when QEMU translated it.
  "mitigations=off nokaslr norandmaps randomize_kstack_offset=off",
  "init_on_alloc=0 hardened_usercopy=off lsm= audit=0",
  // rep_good: copying by `rep movs`.
  "clearcpuid=112 rcupdate.rcu_expedited=1",
].join(" ");

/**
 * The arguments for QEMU.
 *
 * @param kernel The kernel to boot
 * @param image Its initramfs
 * @param share The directory that the guest may write to, which gets `console` as well
 */
export function qemuArguments(kernel: Kernel, image: string, share: string): string[] {
  const files = (id: string, path: string, more: string) => [
    ...["-fsdev", `local,id=${id},path=${path},security_model=none,multidevs=remap${more}`],
    ...["-device", `virtio-9p-pci,fsdev=${id},mount_tag=${id}`],
  ];
  return [
    ...MACHINE.split(" "),
    "-no-reboot",
    ...["-kernel", `${kernel.root}/boot/vmlinuz-${kernel.release}`],
    ...["-initrd", image, "-append", APPEND],
    ...files("host", "/", ",readonly=on"),
    ...files("guest", share, ""),
    ...["-serial", `file:${share}/console`],
    ...["-chardev", "file,id=output,path=/dev/stdout", "-device", "virtio-serial-pci"],
    ...["-device", "virtserialport,chardev=output,nr=1"],
    // A network card with QEMU's own gateway behind it, 10.0.2.2, and nothing beyond.
    ...["-netdev", "user,id=spare,restrict=on"],
    ...["-device", "virtio-net-pci,netdev=spare,romfile="],
  ];
}
