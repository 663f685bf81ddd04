// What std and its stand-ins do alike, which is all that netloom may use of them. The suite runs
// against std itself with `deno task test:jsr`.
import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { parse, stringify } from "@std/yaml";

/** Runs the assertion, which must fail. */
function refuses(assertion: () => void, message = ""): void {
  try {
    assertion();
  } catch (error) {
    if (error instanceof AssertionError && error.message.includes(message)) return;
    throw error;
  }
  throw new Error(`Assertion holds: ${assertion}`);
}

Deno.test("assertEquals() compares deeply", () => {
  class Point {
    constructor(readonly x: number) {}
  }
  const equal: [unknown, unknown][] = [
    [NaN, NaN],
    [[1, { a: [2n] }], [1, { a: [2n] }]],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }],
    [new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])],
    [new Map([[{ a: 1 }, 1]]), new Map([[{ a: 1 }, 1]])],
    [new Set([{ a: 1 }]), new Set([{ a: 1 }])],
    [new Set([1, 2]), new Set([2, 1])],
    [Uint8Array.of(1, 2), Uint8Array.of(0, 1, 2).subarray(1)],
    [Uint8Array.of(1).buffer, Uint8Array.of(1).buffer],
    [new Date(1), new Date(1)],
    [new Point(1), new Point(1)],
  ];
  for (const [a, b] of equal) {
    assertEquals(a, b);
    refuses(() => assertNotEquals(a, b));
  }
  const different: [unknown, unknown][] = [
    [1, 1n],
    ["1", 1],
    [null, undefined],
    [{ a: 1 }, { a: 1, b: undefined }],
    [{ a: undefined }, { b: undefined }],
    [[1, 2], [2, 1]],
    [new Map([["a", 1]]), new Map([["a", 2]])],
    [new Set([{ a: 1 }]), new Set([{ a: 2 }])],
    [Uint8Array.of(1, 2), Uint8Array.of(1, 3)],
    [Uint8Array.of(1, 2), Uint8Array.of(1)],
    [Uint8Array.of(1), Int8Array.of(1)],
    [Uint8Array.of(1), [1]],
    [Uint8Array.of(1).buffer, Uint8Array.of(2).buffer],
    [new Point(1), { x: 1 }],
  ];
  for (const [a, b] of different) {
    assertNotEquals(a, b);
    refuses(() => assertEquals(a, b, "seen from here"), "seen from here");
  }
});

Deno.test("Assertions about one value hold or fail", () => {
  const bytes = Uint8Array.of(1);
  assert(1);
  assertFalse("");
  assertExists(0);
  assertStrictEquals(bytes, bytes);
  assertInstanceOf(bytes, Uint8Array);
  assertMatch("veth0", /^veth\d$/);
  assertStringIncludes("veth0", "eth");
  assertArrayIncludes([{ a: 1 }, { a: 2 }, { a: 3 }], [{ a: 3 }, { a: 1 }]);
  assertGreater(2, 1);
  assertGreaterOrEqual(2n, 2n);
  assertLess(1, 2);
  assertLessOrEqual(2, 2);
  assertAlmostEquals(0.1 + 0.2, 0.3);
  assertAlmostEquals(1, 1.5, 0.5);

  refuses(() => assert(0, "nothing"), "nothing");
  refuses(() => assertFalse(1));
  refuses(() => assertExists(null));
  refuses(() => assertStrictEquals(bytes, Uint8Array.of(1)));
  refuses(() => assertInstanceOf(bytes, Int8Array));
  refuses(() => assertMatch("veth", /^veth\d$/));
  refuses(() => assertStringIncludes("veth0", "tap"));
  refuses(() => assertArrayIncludes([1, 2], [2, 3]));
  refuses(() => assertGreater(2, 2));
  refuses(() => assertGreaterOrEqual(1, 2));
  refuses(() => assertLess(2, 2));
  refuses(() => assertLessOrEqual(2, 1));
  refuses(() => assertAlmostEquals(1, 1.1));
  refuses(() => fail("here"), "here");
  refuses(() => unreachable());
});

Deno.test("assertObjectMatch() ignores what only the actual object has", () => {
  const link = { name: "tap1", peer: { name: "br-tap1", up: true }, addresses: ["::1", "::2"] };
  assertObjectMatch(link, { name: "tap1", peer: { up: true } });
  assertObjectMatch({ links: [link] }, { links: [{ name: "tap1" }] });
  refuses(() => assertObjectMatch(link, { peer: { up: false } }));
  refuses(() => assertObjectMatch(link, { name: "tap1", mtu: undefined }));
  refuses(() => assertObjectMatch(link, { addresses: ["::1", "::3"] }));
});

Deno.test("assertThrows() returns the error it expects", () => {
  const thrown = new RangeError("mtu 1 is below 68");
  const fn = () => {
    throw thrown;
  };
  assertStrictEquals(assertThrows(fn), thrown);
  assertStrictEquals(assertThrows(fn, RangeError, "below 68"), thrown);
  assertStrictEquals(assertThrows(fn, Error), thrown);
  refuses(() => assertThrows(fn, TypeError));
  refuses(() => assertThrows(fn, RangeError, "above", "seen from here"), "seen from here");
  refuses(() => assertThrows(() => {}, "seen from here"), "seen from here");
});

Deno.test("assertRejects() resolves to the error it expects", async () => {
  const reason = new RangeError("mtu 1 is below 68");
  const fn = () => Promise.reject(reason);
  assertStrictEquals(await assertRejects(fn), reason);
  assertStrictEquals(await assertRejects(fn, RangeError, "below 68"), reason);
  await assertRejects(() => assertRejects(fn, TypeError), AssertionError);
  await assertRejects(() => assertRejects(fn, RangeError, "above"), AssertionError);
  await assertRejects(() => assertRejects(() => Promise.resolve()), AssertionError);
  const throws = () => {
    throw reason;
  };
  await assertRejects(() => assertRejects(throws), AssertionError);
});

Deno.test("parseArgs() tells flags from arguments", () => {
  const options = {
    boolean: ["up", "stp"],
    string: ["name"],
    alias: { name: "n", up: "u" },
  } as const;
  assertEquals(
    parseArgs(
      ["add", "-n", "007", "--up", "--mtu", "1500", "--mac=02::01", "3", "--", "-x"],
      options,
    ),
    {
      n: "007",
      name: "007",
      up: true,
      u: true,
      stp: false,
      mtu: 1500,
      mac: "02::01",
      _: ["add", 3, "-x"],
    } as unknown,
  );
  assertEquals(parseArgs([], options), { up: false, u: false, stp: false, _: [] } as unknown);
  const { up, u, name } = parseArgs(["-u", "--name=br0"], options);
  assertEquals<[boolean, boolean, string | undefined]>([up, u, name], [true, true, "br0"]);
});

Deno.test("parseArgs() takes the last of repeated flags or collects them all", () => {
  const options = { string: ["name", "address"], collect: ["address"] } as const;
  const args = ["--name", "a", "--address", "10.0.0.1/8", "--name=b", "--address", "::1/128"];
  const { name, address } = parseArgs(args, options);
  assertEquals<string | undefined>(name, "b");
  assertEquals<string[]>(address, ["10.0.0.1/8", "::1/128"]);
  assertEquals(parseArgs(["--address", "::1"], options).address, ["::1"]);
  assertEquals(parseArgs([], options).address, []);
});

Deno.test("parseArgs() negates a negatable flag", () => {
  const options = { boolean: ["up"], negatable: ["up"], default: { up: true } } as const;
  assertEquals(parseArgs([], options).up, true);
  assertEquals(parseArgs(["--no-up"], options).up, false);
  assertEquals(parseArgs(["--no-up", "--up"], options).up, true);
  assertEquals(parseArgs(["--up=false"], options).up, false);
});

Deno.test("parseArgs() fills in defaults under all names of a flag", () => {
  const options = {
    string: ["name"],
    alias: { name: "n" },
    default: { name: "br0", ports: ["a", "b"], mtu: 1500 },
  };
  assertEquals(
    parseArgs(["--mtu", "9000"], options),
    { name: "br0", n: "br0", ports: ["a", "b"], mtu: 9000, _: [] } as unknown,
  );
});

Deno.test("parseArgs() leaves a command's own flags alone with stopEarly", () => {
  assertEquals(
    parseArgs(["--ns", "a", "ip", "-o", "link"], { string: ["ns"], stopEarly: true }),
    { ns: "a", _: ["ip", "-o", "link"] } as unknown,
  );
});

Deno.test("parseArgs() hands undeclared arguments to unknown", () => {
  const seen: string[] = [];
  const unknown = (arg: string) => {
    seen.push(arg);
    return !arg.startsWith("-");
  };
  const flags = parseArgs(["br0", "--up", "--down"], { boolean: ["up"], unknown });
  assertEquals(seen, ["br0", "--down"]);
  assertEquals(flags, { up: true, _: ["br0"] } as unknown);
});

Deno.test("parse() reads the YAML that topologies are written in", () => {
  const text = `
bridges:
  br0: { stp: false, mtu: 1500 }   # a comment
hosts:
  - &host
    name: "h1"
    addresses: [10.0.0.1/24, 'fd00::1/64']
    mac: "02:00:00:00:00:01"
    alias: null
    weight: 0.5
    id: 0x1f
  - *host
note: |
  two
  lines
empty:
`;
  const host = {
    name: "h1",
    addresses: ["10.0.0.1/24", "fd00::1/64"],
    mac: "02:00:00:00:00:01",
    alias: null,
    weight: 0.5,
    id: 31,
  };
  assertEquals(
    parse(text),
    {
      bridges: { br0: { stp: false, mtu: 1500 } },
      hosts: [host, host],
      note: "two\nlines\n",
      empty: null,
    } as unknown,
  );
  assertEquals(parse(""), null);
});

Deno.test("parse() throws a SyntaxError if the YAML is malformed", () => {
  for (const text of ["a: [", "a: 1\na: 2", "a: *nobody", "a: 'open", "---\na\n---\nb"]) {
    assertThrows(() => parse(text), SyntaxError);
  }
});

Deno.test("stringify() writes what parse() reads", () => {
  const value = {
    name: "br0",
    up: true,
    mtu: 1500,
    alias: null,
    ports: ["tap1", { name: "tap2" }],
    none: [],
  };
  const text = `name: br0
up: true
mtu: 1500
alias: null
ports:
  - tap1
  - name: tap2
none: []
`;
  assertEquals(stringify(value), text);
  const odd = {
    strings: ["", "true", "1", "no", "~", "#", "a: b", "a\nb\n", "::1", "10:20:30:40:50:55"],
    date: "2026-01-01",
    long: Array(40).fill("word").join(" "),
  };
  assertEquals(parse(stringify(odd)), odd);
});

Deno.test("stringify() throws a TypeError if a value is undefined, unless told to skip it", () => {
  assertThrows(() => stringify({ a: undefined }), TypeError);
  assertEquals(parse(stringify({ a: undefined, b: 1 }, { skipInvalid: true })), { b: 1 });
});
