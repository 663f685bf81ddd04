import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4";
import {
  buildPacket,
  Dns,
  dns,
  DNS_TYPE,
  type DnsData,
  type DnsFields,
  type DnsRecord,
  ipv4,
  udp,
} from "../../src/packet/mod.ts";
import { SAMPLES } from "./samples.ts";
import { tshark, tsharkTest } from "./tshark.ts";

/** A message by itself. */
function messageOf(fields: DnsFields): Dns {
  return Dns.parse(buildPacket(dns(fields)))!;
}

tsharkTest("tshark reads the records that dns() writes", () => {
  const frame = SAMPLES["DNS response"]!;
  const fields: Record<string, string> = {
    "dns.count.answers": "10",
    "dns.qry.name": "www.example.com",
    "dns.cname": "host.example.com",
    "dns.a": "10.0.0.9",
    "dns.aaaa": "2001:db8::9",
    "dns.ns": "ns.example.com",
    "dns.ptr.domain_name": "host.example.com",
    "dns.mx.mail_exchange": "mail.example.com",
    "dns.mx.preference": "10",
    "dns.txt": "second",
    "dns.soa.mname": "ns.example.com",
    "dns.soa.rname": "admin.example.com",
    "dns.soa.minimum_ttl": "4294967295",
    "dns.srv.priority": "1",
    "dns.srv.weight": "2",
    "dns.srv.port": "80",
    "dns.srv.target": "www.example.com",
    "dns.resp.ttl": "300",
    "_ws.malformed": "",
    "_ws.expert.severity": "",
  };
  const [row] = tshark([frame], "ethernet", ...Object.keys(fields));
  // tshark's note of a response without a request aside.
  assertEquals(row!.slice(0, -1), Object.values(fields).slice(0, -1));
});

const label = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) =>
  Array.from(bytes, (byte) => {
    if (byte === 0x2e || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    const printable = byte > 0x20 && byte < 0x7f;
    return printable ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
  }).join("")
);
/** Names with few different labels, so that they share suffixes. */
const name = fc.array(fc.oneof(fc.constantFrom("a", "b", "example", "com"), label), {
  maxLength: 8,
}).map((labels) => labels.length === 0 ? "." : `${labels.join(".")}.`);
const u16 = fc.nat({ max: 0xffff });
const u32 = fc.nat({ max: 0xffffffff });
const text = fc.array(fc.constantFrom("", "plain text", '\\"quoted\\"', "\\\\", "\\255\\000"), {
  minLength: 1,
  maxLength: 4,
});
const data: Readonly<Record<string, fc.Arbitrary<DnsData>>> = {
  [DNS_TYPE.A]: fc.constantFrom({ address: "10.0.0.1" }, { address: "255.255.255.255" }),
  [DNS_TYPE.AAAA]: fc.constantFrom({ address: "2001:db8::1" }, { address: "::" }),
  [DNS_TYPE.NS]: fc.record({ target: name }),
  [DNS_TYPE.CNAME]: fc.record({ target: name }),
  [DNS_TYPE.PTR]: fc.record({ target: name }),
  [DNS_TYPE.MX]: fc.record({ preference: u16, exchange: name }),
  [DNS_TYPE.TXT]: fc.record({ text }),
  [DNS_TYPE.SOA]: fc.record({
    primary: name,
    mailbox: name,
    serial: u32,
    refresh: u32,
    retry: u32,
    expire: u32,
    minimum: u32,
  }),
  [DNS_TYPE.SRV]: fc.record({ priority: u16, weight: u16, port: u16, target: name }),
  99: fc.record({ bytes: fc.uint8Array() }),
};
const record: fc.Arbitrary<Required<DnsRecord>> = fc.constantFrom(...Object.keys(data)).chain((
  type,
) => fc.record({ name, type: fc.constant(Number(type)), class: u16, ttl: u32, data: data[type]! }));
const records = fc.array(record, { maxLength: 6 });
const question = fc.record({ name, type: u16, class: u16 });
const fields = fc.record({
  id: u16,
  response: fc.boolean(),
  opcode: fc.nat({ max: 15 }),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  rcode: fc.nat({ max: 15 }),
  questions: fc.array(question, { maxLength: 3 }),
  answers: records,
  authorities: records,
  additionals: records,
});

Deno.test("Dns reads what dns() has written", () => {
  fc.assert(fc.property(fields, (fields) => {
    const message = messageOf(fields);
    for (const [name, value] of Object.entries(fields)) {
      assertEquals(message[name as keyof Dns], structuredClone(value), name);
    }
    assert(message.complete);
  }));
});

Deno.test("dns() writes each name once and points to it", () => {
  const names = Array.from({ length: 50 }, (_, i) => `host${i}.a-long-domain.example.com.`);
  const questions = names.map((name) => ({ name, type: DNS_TYPE.A }));
  const message = messageOf({ id: 1, questions });
  assert(message.end < 50 * 20);
  assertEquals(message.questions.map(({ name }) => name), names);
  // Beyond 16,383 bytes a pointer does not lead.
  const bytes = new Uint8Array(20_000);
  const far = messageOf({
    id: 1,
    answers: [
      { name: ".", type: 99, data: { bytes } },
      { name: "a.example.", type: DNS_TYPE.CNAME, data: { target: "b.example." } },
      { name: "a.example.", type: DNS_TYPE.CNAME, data: { target: "b.example." } },
    ],
  });
  assert(far.complete);
  assertEquals(far.answers[2]!.data, { target: "b.example." });
});

/** A query whose name has these bytes. */
function named(...name: number[]): Dns {
  return Dns.parse(Uint8Array.of(0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name, 0, 1, 0, 1))!;
}

Deno.test("Dns refuses names that are endless, too long or outside the message", () => {
  const malformed: Record<string, number[]> = {
    "a pointer to itself": [0xc0, 12],
    "a pointer to its own label": [1, 97, 0xc0, 12],
    "a pointer forward": [0xc0, 14, 1, 97, 0],
    "a pointer into the header": [0xc0, 4],
    "a pointer beyond the message": [0xff, 0xff],
    "a label beyond the message": [63, 97, 0],
    "an extended label": [0x41, 97, 0],
    "no end": [1, 97],
    "256 bytes": [...Array(4).fill([63, ...Array(63).fill(97)]).flat(), 0],
  };
  for (const [what, name] of Object.entries(malformed)) {
    const message = named(...name);
    assertEquals([message.questions, message.complete], [[], false], what);
  }
  assertEquals(named(0).questions[0]!.name, ".");
  const longest = [
    ...Array(3).fill([63, ...Array(63).fill(97)]).flat(),
    61,
    ...Array(61).fill(97),
    0,
  ];
  assertEquals(named(...longest).questions[0]!.name.length, 254);
});

Deno.test("Dns follows no more pointers than a name has labels", () => {
  for (
    const [pointers, complete] of [[1, true], [127, true], [128, false], [5000, false]] as const
  ) {
    // The data of the first record: a name, and pointers that lead to the one before each.
    const bytes = new Uint8Array(1 + 2 * pointers);
    const at = (i: number) => 23 + (i === 0 ? 0 : 2 * i - 1);
    for (let i = 1; i < pointers; i++) {
      bytes.set(
        [0xc0 | at(i - 1) >> 8, at(i - 1) & 255],
        2 * i - 1,
      );
    }
    const data = { bytes };
    const records = [{ name: ".", type: 99, data }, {
      name: "a.",
      type: 99,
      data: { bytes: new Uint8Array() },
    }];
    const message = buildPacket(dns({ id: 1, answers: records }));
    // In place of the name "a." of the second record, with two bytes less.
    const name = 23 + bytes.length;
    const shorter = Uint8Array.of(
      ...message.subarray(0, name),
      0xc0 | at(pointers - 1) >> 8,
      at(pointers - 1) & 255,
      ...message.subarray(name + 3),
    );
    assertEquals(Dns.parse(shorter)!.complete, complete, `${pointers}`);
  }
});

Deno.test("Dns keeps the records before a malformed one, and malformed data as bytes", () => {
  const packet = SAMPLES["DNS response"]!.subarray(42);
  let most = 0;
  for (let end = 12; end < packet.length; end++) {
    const message = Dns.parse(packet.subarray(0, end))!;
    assertEquals(message.complete, false);
    assert(message.answers.length >= most);
    most = message.answers.length;
  }
  assertEquals(most, 9);
  const answers = [{ name: ".", type: DNS_TYPE.A, data: { bytes: Uint8Array.of(1, 2, 3) } }];
  assertEquals(messageOf({ id: 1, answers }).answers[0]!.data, { bytes: Uint8Array.of(1, 2, 3) });
});

Deno.test("dns() refuses names, numbers and data that a message cannot hold", () => {
  const of = (question: object) => () => dns({ id: 1, questions: [question as never] });
  const answer = (type: number, data: object) => () =>
    dns({ id: 1, answers: [{ name: ".", type, data: data as DnsData }] });
  const long = "a".repeat(64);
  const refused: [build: () => unknown, error: typeof Error, message: string][] = [
    [() => dns({ id: 65_536 }), RangeError, "id must be in 0..65535: got 65536"],
    [() => dns({ id: 1, rcode: 16 }), RangeError, "rcode must be in 0..15: got 16"],
    [() => dns({ id: 1, anwsers: [] } as never), TypeError, 'did you mean "answers"'],
    [of({ name: "a", type: 65_536 }), RangeError, "questions[0].type must be in 0..65535"],
    [
      of({ name: "a..b", type: 1 }),
      TypeError,
      'must be a domain name such as "example.com.": got "a..b"',
    ],
    [of({ name: 7, type: 1 }), TypeError, "questions[0].name must be text"],
    [of({ name: "a\\", type: 1 }), TypeError, "questions[0].name must be text with escapes"],
    [of({ name: "\\256", type: 1 }), RangeError, "questions[0].name must be in 0..255: got 256"],
    [of({ name: long, type: 1 }), RangeError, "label length must be in 1..63: got 64"],
    [
      of({ name: "abc.".repeat(64), type: 1 }),
      RangeError,
      "length must be in 1..255 bytes: got 257",
    ],
    [answer(DNS_TYPE.A, { address: "::1" }), TypeError, '"::1" is not an IPv4 address'],
    [answer(DNS_TYPE.A, { target: "a." }), TypeError, 'Unknown option "answers[0].data.target"'],
    [answer(99, { target: "a." }), TypeError, "allowed are bytes"],
    [answer(DNS_TYPE.MX, { preference: -1, exchange: "a" }), RangeError, "data.preference must be"],
    [
      answer(DNS_TYPE.TXT, { text: ["a".repeat(256)] }),
      RangeError,
      "text[0] length must be in 0..255",
    ],
  ];
  for (const [build, error, message] of refused) assertThrows(build, error, message);
  const frame = [ipv4({ source: "10.0.0.1", destination: "10.0.0.2" })];
  const ports = { sourcePort: 53, destinationPort: 53 };
  assertEquals(buildPacket(...frame, udp(ports), dns({ id: 1 })).length, 40);
});

Deno.test("Dns.sections() reads in one pass what the getters read one by one", () => {
  const a = { name: "a.example.", type: DNS_TYPE.A, ttl: 5, data: { address: "10.0.0.1" } };
  const ns = { name: "example.", type: DNS_TYPE.NS, ttl: 5, data: { target: "a.example." } };
  const bytes = buildPacket(dns({
    id: 1,
    response: true,
    questions: [{ name: "a.example.", type: DNS_TYPE.A }],
    answers: [a],
    authorities: [ns, ns],
    additionals: [a, a, a],
  }));
  for (const length of [bytes.length, bytes.length - 1, 40]) {
    const message = Dns.parse(bytes, 0, length)!;
    const { questions, answers, authorities, additionals, complete } = message;
    assertEquals(message.sections(), { questions, answers, authorities, additionals, complete });
    assertEquals(complete, length === bytes.length);
    if (complete) assertEquals([answers.length, authorities.length, additionals.length], [1, 2, 3]);
  }
});
