// Connections to a kernel that is played: it has toys, and answers by a script.
import { Connection } from "../../src/netlink/connection.ts";
import { NLM_F, type Request } from "../../src/netlink/message.ts";
import {
  acknowledge,
  attribute,
  concat,
  cString,
  FakeSocket,
  message,
  type Script,
  type SentMessage,
  word,
} from "./fake_socket.ts";
import { newToy, type Toy } from "./toy.ts";

/** The namespace that errors and traces name. */
export const where = { description: 'netns "blue"', netnsName: "blue" };

/** A connection to a kernel that answers by a script. */
export function connect(script: Script): { connection: Connection; socket: FakeSocket } {
  const socket = new FakeSocket(script);
  return { connection: new Connection(() => socket, where), socket };
}

/** Acknowledges everything, each message in a datagram of its own. */
export const agree: Script = (sent, socket) => sent.forEach((it) => socket.queue(acknowledge(it)));

/** A toy as an answer. */
export function toyMessage(sequence: number, toy: Toy, flags = 0): Uint8Array {
  return message(
    101,
    flags,
    sequence,
    concat(word(0), attribute(1, word(toy.size ?? 0)), attribute(2, cString(toy.name ?? ""))),
  );
}

/** Requests that are told apart by their size. */
export function requests(count: number): Request[] {
  return Array.from({ length: count }, (_, i) => newToy({ size: i }));
}

/** The size in a sent message. */
export const sizeOf = ({ body }: SentMessage) => new DataView(body.buffer).getUint32(8, true);

/** Answers dumps with one toy, the number of the attempt; marked as interrupted while told so. */
export function interrupting(attempts: number, mark: "entry" | "end"): Script {
  let attempt = 0;
  return ([sent], socket) => {
    const flags = ++attempt <= attempts ? NLM_F.DUMP_INTR : 0;
    const toy = (size: number) =>
      toyMessage(sent!.sequence, { size }, NLM_F.MULTI | (mark === "entry" ? flags : 0));
    socket.queue(toy(attempt));
    socket.queue(toy(attempt * 100));
    socket.queue(
      message(3, NLM_F.MULTI | (mark === "end" ? flags : 0), sent!.sequence, word(0)),
    );
  };
}
