import type { Socket } from 'node:net';

/** What a server says before it closes a connection, field by field as the driver names them. */
export interface LastWords {
  severity: string;
  code: string;
  message: string;
  detail?: string;
  hint?: string;
}

/**
 * Hears what the server says last. The driver waits for what follows an error, and nothing follows a
 * fatal one, so it tells of a closed connection only; and of what comes while nothing runs it tells
 * nobody.
 *
 * @returns reads what the server said before it closed the connection, where it said anything
 */
export function hearLastWords(socket: Socket): () => LastWords | undefined {
  // Read only where a connection is lost: all that happens on the way of every answer is this.
  let before: Buffer | undefined;
  let last: Buffer | undefined;
  socket.on('data', (chunk: Buffer) => {
    before = last;
    last = chunk;
  });
  return () => {
    if (last === undefined) return undefined;
    return readFatal(last) ?? (before && readFatal(Buffer.concat([before, last])));
  };
}

const FIELDS: Record<string, keyof LastWords> = {
  C: 'code',
  M: 'message',
  D: 'detail',
  H: 'hint',
};

/** The longest that is looked at; the server's messages of this kind are one line. */
const LONGEST = 8192;

/**
 * Finds an error message that ends where the bytes do. It cannot be taken for something else: no
 * value in text format holds a zero byte, which is what its length begins with.
 */
function readFatal(bytes: Buffer): LastWords | undefined {
  const first = Math.max(0, bytes.length - LONGEST);
  for (let at = bytes.length - 7; at >= first; at--) {
    const isMessage = bytes[at] === 0x45 && bytes.readUInt32BE(at + 1) === bytes.length - at - 1;
    if (isMessage) return fatalOf(bytes.toString('utf8', at + 5, bytes.length));
  }
  return undefined;
}

/** `V` is the severity in English; poolers send `S` alone, which is English with them. */
function fatalOf(text: string): LastWords | undefined {
  const said: Record<string, string> = {};
  for (const field of text.split('\0')) {
    const key = field[0];
    if (key !== undefined) said[key] = field.slice(1);
  }
  const severity = said.V ?? said.S;
  if (severity !== 'FATAL' && severity !== 'PANIC') return undefined;
  const words: LastWords = { severity, code: '', message: '' };
  for (const [key, name] of Object.entries(FIELDS)) {
    const value = said[key];
    if (value !== undefined) words[name] = value;
  }
  return words;
}
