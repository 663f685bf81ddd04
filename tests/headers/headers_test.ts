import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type Arch, includeDirs, readConstants } from "./headers.ts";

/** Reads constants from headers given as text: `files` in order, from a directory of their own. */
function constantsOf(headers: Record<string, string>, files = Object.keys(headers)) {
  const dir = Deno.makeTempDirSync({ prefix: "nlb-headers-" });
  try {
    for (const [name, text] of Object.entries(headers)) {
      Deno.mkdirSync(`${dir}/${name.replace(/[^/]*$/, "")}`, { recursive: true });
      Deno.writeTextFileSync(`${dir}/${name}`, text);
    }
    return Object.fromEntries(readConstants(dir, files));
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

Deno.test("readConstants() reads decimal, hexadecimal, octal and character values", () => {
  assertEquals(
    constantsOf({
      "a.h": `
        #define DECIMAL 42 /* a comment
                              of two lines */
        #define HEX 0xFFu // and one to the end of the line
        # define OCTAL 00000100
        #define ZERO 0
        #define LETTER 'T'
        #define LONG 0x100000000ULL
      `,
    }),
    { DECIMAL: 42, HEX: 255, OCTAL: 64, ZERO: 0, LETTER: 84, LONG: 2 ** 32 },
  );
});

Deno.test("readConstants() evaluates expressions with C's precedence, widths and signs", () => {
  assertEquals(
    constantsOf({
      "a.h": `
        #define SHIFT (1 << 3)
        #define OR (SHIFT|0x1)
        #define MIXED 1 + 2 * 3 << 1
        #define TERNARY (OR == 9 ? -1 : 1)
        #define SIGNED (1 << 31)
        #define UNSIGNED (1U << 31)
        #define MASK ~0xC000
        #define CAST ((unsigned char)0x1FF)
        #define POLL (__poll_t)0x1
        #define SIZES (sizeof(int) + sizeof(long) + sizeof(char *) + sizeof(unsigned short))
        #define CONTINUED (1 | \\
                           2)
      `,
    }),
    {
      SHIFT: 8,
      OR: 9,
      MIXED: 14,
      TERNARY: -1,
      SIGNED: -(2 ** 31),
      UNSIGNED: 2 ** 31,
      MASK: -0xC001,
      CAST: 255,
      POLL: 1,
      SIZES: 22,
      CONTINUED: 3,
    },
  );
});

Deno.test("readConstants() counts enumerators on from the last value, references included", () => {
  assertEquals(
    constantsOf({
      "a.h": `
        enum { A, B = 3, C, };
        enum named { D = C, E, __MAX };
        #define MAX (__MAX - 1)
        struct wrap { enum { F = -1, G } inner; };
        enum unit { H = sizeof(struct wrap), I, J = 7, K };
      `,
    }),
    { A: 0, B: 3, C: 4, D: 4, E: 5, __MAX: 6, MAX: 5, F: -1, G: 0, J: 7, K: 8 },
  );
});

Deno.test("readConstants() reads an enumerator that a macro of the same name announces", () => {
  const header = `
    enum {
      FIRST = 16,
    #define FIRST FIRST
      SECOND,
    #define SECOND SECOND
    };`;
  assertEquals(constantsOf({ "a.h": header }), { FIRST: 16, SECOND: 17 });
});

Deno.test("readConstants() follows conditionals and undefinitions", () => {
  assertEquals(
    constantsOf({
      "a.h": `
        #define FOUR 4
        #if defined(NO) || !defined FOUR
        #define A 1
        #elif FOUR > 3 && UNKNOWN == 0
        #define A 2
        # ifdef NO
        #  if this is never looked at
        #  else
        #   define A 3
        #  endif
        # endif
        #else
        #define A 4
        #endif
        #ifndef FOUR
        #define FOUR 5
        #endif
        #define GONE 1
        #undef GONE
      `,
    }),
    { FOUR: 4, A: 2 },
  );
});

Deno.test("readConstants() expands macros with parameters, pasted tokens among them", () => {
  assertEquals(
    constantsOf({
      "a.h": `
        #define __AC(X,Y) (X##Y)
        #define _AC(X,Y) __AC(X,Y)
        #define BIT(x) (_AC(1,UL) << (x))
        #define THREE 3
        #define A BIT(THREE)
        #define B BIT((1 + 2) * 2)
        #define CALL(a, b) ((a) - (b))
        #define C CALL(CALL(5, 1), 1)
      `,
    }),
    { THREE: 3, A: 8, B: 64, C: 3 },
  );
});

Deno.test("readConstants() leaves out what is no integer constant", () => {
  assertEquals(
    constantsOf({
      "a.h": `
        #define GUARD
        #define TEXT "1"
        #define TYPE unsigned int
        #define STRUCT_SIZE sizeof(struct sockaddr)
        #define ELSEWHERE SOMETHING
        #define WITH_PARAMETER(x) 1
        #define FRACTION 1.5
        #define TOO_LONG 0xFFFFFFFFFFFFFFFF
      `,
    }),
    {},
  );
});

Deno.test("readConstants() follows kernel headers, once, and leaves other headers alone", () => {
  assertEquals(
    constantsOf({
      "linux/a.h": `
        #ifndef _LINUX_A_H
        #define _LINUX_A_H
        #include <sys/socket.h>
        #include <asm-generic/b.h>
        #include <linux/a.h>
        #define A (B + 1)
        #endif`,
      "asm-generic/b.h": "#define B 1\n",
    }, ["linux/a.h"]),
    { A: 2, B: 1 },
  );
});

Deno.test("readConstants() names a header that does not exist", () => {
  const error = assertThrows(
    () => constantsOf({ "linux/a.h": "#include <linux/missing.h>\n" }),
    Deno.errors.NotFound,
  );
  assertStringIncludes(error.message, "linux/missing.h");
});

/** The headers that the library's tables come from. */
const FILES = [
  "asm/fcntl.h",
  "asm-generic/fcntl.h",
  "asm/socket.h",
  "asm/errno.h",
  "asm/unistd.h",
  "linux/eventpoll.h",
  "linux/fib_rules.h",
  "linux/if.h",
  "linux/if_addr.h",
  "linux/if_arp.h",
  "linux/if_bridge.h",
  "linux/if_ether.h",
  "linux/if_link.h",
  "linux/if_tun.h",
  "linux/mount.h",
  "linux/neighbour.h",
  "linux/net_namespace.h",
  "linux/netlink.h",
  "linux/rtnetlink.h",
  "linux/sched.h",
  "linux/veth.h",
];

/** Values known by heart, alike on both architectures. */
const COMMON: Readonly<Record<string, number>> = {
  ARPHRD_ETHER: 1,
  CLONE_NEWNET: 0x40000000,
  EEXIST: 17,
  EPOLLET: 2 ** 31,
  ETH_P_IPV6: 0x86DD,
  IFA_LOCAL: 2,
  IFF_TAP: 2,
  IFF_UP: 1,
  IFLA_ADDRESS: 1,
  IFLA_BR_STP_STATE: 5,
  IFLA_BRPORT_GUARD: 5,
  IFLA_MTU: 4,
  MS_BIND: 4096,
  NDA_LLADDR: 2,
  NETNSA_NSID: 1,
  NLM_F_DUMP: 0x300,
  NTF_SELF: 2,
  O_CLOEXEC: 0o2000000,
  RTM_GETLINK: 18,
  RTM_NEWLINK: 16,
  SOL_SOCKET: 1,
  TUNSETIFF: 0x400454CA,
  VETH_INFO_PEER: 1,
};

/** Values that differ between the two. */
const SPECIFIC: Readonly<Record<Arch, Readonly<Record<string, number>>>> = {
  x86_64: { O_DIRECTORY: 0x10000, O_DIRECT: 0x4000, __NR_setns: 308, __NR_ioctl: 16 },
  aarch64: { O_DIRECTORY: 0x4000, O_DIRECT: 0x10000, __NR_setns: 268, __NR_ioctl: 29 },
};

for (const arch of ["x86_64", "aarch64"] as const) {
  Deno.test(`readConstants() reads well-known values from the ${arch} headers`, () => {
    const constants = readConstants(dirsOf(arch), FILES);
    const expected = { ...COMMON, ...SPECIFIC[arch] };
    const actual = Object.keys(expected).map((name) => [name, constants.get(name)]);
    assertEquals(Object.fromEntries(actual), expected);
  });

  Deno.test({
    name: `readConstants() agrees with gcc on every constant of the ${arch} headers` +
      (hasGcc() ? "" : " (ignored: needs gcc, apt-get install -y gcc)"),
    ignore: !hasGcc(),
    fn() {
      const constants = readConstants(dirsOf(arch), FILES);
      assertEquals(Object.fromEntries(constants), gccValues(arch, [...constants.keys()]));
    },
  });
}

function dirsOf(arch: Arch): string[] {
  return includeDirs().find((headers) => headers.arch === arch)?.dir ?? [];
}

function hasGcc(): boolean {
  try {
    return new Deno.Command("gcc", { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/**
 * What gcc computes for each name. It only compiles, so one compiler does for the headers of both
 * architectures.
 */
function gccValues(arch: Arch, names: string[]): Record<string, number> {
  const dir = Deno.makeTempDirSync({ prefix: "nlb-headers-" });
  try {
    // Stand-ins for the few declarations that kernel headers expect of libc and the compiler.
    Deno.mkdirSync(`${dir}/sys`);
    Deno.writeTextFileSync(`${dir}/stddef.h`, "");
    Deno.writeTextFileSync(
      `${dir}/sys/socket.h`,
      "struct sockaddr { unsigned short family; char data[14]; };",
    );
    const includes = ["linux/ioctl.h", ...FILES].map((file) => `#include <${file}>`);
    const values = names.map((name) => `(long long)(${name}),`);
    Deno.writeTextFileSync(
      `${dir}/values.c`,
      [...includes, "const long long values[] = {", ...values, "};"].join("\n"),
    );
    const output = new Deno.Command("gcc", {
      args: [
        "-nostdinc",
        ...["__x86_64__", "__aarch64__"].map((name) => `-U${name}`),
        `-D__${arch}__`,
        ...[dir, ...dirsOf(arch)].flatMap((path) => ["-isystem", path]),
        ...["-S", "-o", "-", `${dir}/values.c`],
      ],
    }).outputSync();
    const decoder = new TextDecoder();
    if (!output.success) throw new Error(decoder.decode(output.stderr));
    // Values stand in the assembler output in order: `.quad 16`, and `.zero 8` for noughts.
    const numbers = [...decoder.decode(output.stdout).matchAll(/\.(quad|xword|zero)\s+(-?\d+)/g)]
      .flatMap(([, kind, text]) =>
        kind === "zero" ? new Array<number>(Number(text) / 8).fill(0) : [Number(text)]
      );
    return Object.fromEntries(names.map((name, at) => [name, numbers[at] ?? NaN]));
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}
