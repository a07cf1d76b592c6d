/**
 * Logging in with SCRAM-SHA-256-PLUS, which the driver does not speak: the proof of the password holds
 * for the server's certificate too, so that nobody in between can pass it on. Loaded where
 * `channel_binding=require` asks for it.
 *
 * Source: RFC 5802, RFC 5929 (tls-server-end-point), PostgreSQL manual, "SASL Authentication".
 */

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { EvdbError } from '../errors.ts';
import { hashOfCertificate } from './certificate-hash.ts';
import type { ConnectionOptions } from './options.ts';

const MECHANISM = 'SCRAM-SHA-256-PLUS';

interface LogIn {
  options: ConnectionOptions;
  /** What the driver sends when it begins, beside user and database. */
  parameters: Record<string, string>;
  signal: AbortSignal | undefined;
}

/**
 * Logs in, and gives the socket back as if nothing had happened yet: the first message of whoever takes
 * it goes nowhere, and what the server says from "you are in" on is the first that is heard.
 *
 * @throws {EvdbError} TLS_FAILED without TLS, AUTHENTICATION_FAILED where the server does not bind; the
 *   server's own refusal as it is
 */
export async function logInBound(
  socket: Socket,
  { options, parameters, signal }: LogIn,
): Promise<Socket> {
  const hash = bindingOf(socket);
  const messages = readMessages(socket, options.connectTimeoutMs, signal);
  try {
    socket.write(startupMessage({ user: options.user, database: options.database, ...parameters }));
    await authenticate(socket, messages, hash, passwordOf(options));
    messages.handBack();
  } catch (error) {
    messages.stop();
    socket.destroy();
    throw error;
  }
  socket.write = (() => {
    Reflect.deleteProperty(socket, 'write');
    // By now the driver listens.
    setImmediate(() => socket.resume());
    return true;
  }) as Socket['write'];
  return socket;
}

function bindingOf(socket: Socket): Buffer {
  const isTls = (given: Socket): given is TLSSocket => 'encrypted' in given;
  if (!isTls(socket)) {
    socket.destroy();
    throw new EvdbError(
      'TLS_FAILED',
      'channel_binding=require needs TLS, and this connection has none',
      {
        hint: 'Ask for it with sslmode=require or more; a Unix socket has none.',
      },
    );
  }
  const hash = hashOfCertificate(socket.getPeerX509Certificate()?.raw);
  if (hash !== undefined) return hash;
  socket.destroy();
  throw notBound("the server's certificate is of a kind that has no channel binding");
}

function notBound(what: string): EvdbError {
  return new EvdbError('AUTHENTICATION_FAILED', `channel_binding=require: ${what}`, {
    hint: 'No password was sent. Use sslmode=verify-full with channel_binding=prefer, or scram-sha-256 in pg_hba.conf.',
  });
}

/** PostgreSQL stores what SASLprep makes of a password; for nearly all of them that is NFKC. */
function passwordOf({ password }: ConnectionOptions): string {
  return typeof password === 'string' ? password.normalize('NFKC') : '';
}

function startupMessage(parameters: Record<string, string>): Buffer {
  const pairs = Object.entries({ client_encoding: 'UTF8', ...parameters }).filter(
    ([, value]) => value,
  );
  const text = `${pairs.map(([name, value]) => `${name}\0${value}\0`).join('')}\0`;
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + Buffer.byteLength(text), 0);
  head.writeInt32BE(196_608, 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

/** Message `p`, which carries all that SASL says. */
function saslMessage(...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.from([0x70, 0, 0, 0, 0]);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

const ASKS = { ok: 0, sasl: 10, saslContinue: 11, saslFinal: 12 };

async function authenticate(
  socket: Socket,
  messages: Messages,
  certificateHash: Buffer,
  password: string,
): Promise<void> {
  const offered = await nextRequest(messages, ASKS.sasl);
  if (!offered.toString('latin1').split('\0').includes(MECHANISM)) {
    throw notBound('the server does not offer it');
  }
  const nonce = randomBytes(18).toString('base64');
  const first = `n=,r=${nonce}`;
  const header = 'p=tls-server-end-point,,';
  const text = Buffer.from(header + first);
  const size = Buffer.alloc(4);
  size.writeInt32BE(text.length);
  socket.write(saslMessage(Buffer.from(`${MECHANISM}\0`), size, text));

  const serverFirst = (await nextRequest(messages, ASKS.saslContinue)).toString('latin1');
  const { r: both = '', s: salt = '', i: rounds = '' } = attributesOf(serverFirst);
  if (!both.startsWith(nonce) || both === nonce) throw notBound('the server answers wrongly');
  const salted = await deriveKey(password, salt, Number(rounds));
  const binding = Buffer.concat([Buffer.from(header), certificateHash]).toString('base64');
  const last = `c=${binding},r=${both}`;
  const signed = `${first},${serverFirst},${last}`;
  socket.write(saslMessage(Buffer.from(`${last},p=${proofOf(salted, signed)}`)));

  const serverLast = (await nextRequest(messages, ASKS.saslFinal)).toString('latin1');
  const verifier = Buffer.from(attributesOf(serverLast).v ?? '', 'base64');
  const expected = hmac(hmac(salted, 'Server Key'), signed);
  if (verifier.length !== expected.length || !timingSafeEqual(verifier, expected)) {
    throw notBound('the server does not know the password itself');
  }
}

function attributesOf(text: string): Record<string, string> {
  return Object.fromEntries(text.split(',').map((part) => [part[0], part.slice(2)]));
}

/** More rounds than anybody sets would keep the process busy for a server that is none. */
const MOST_ROUNDS = 10_000_000;

async function deriveKey(password: string, salt: string, rounds: number): Promise<Buffer> {
  const isFit = Number.isInteger(rounds) && rounds > 0 && rounds <= MOST_ROUNDS;
  if (!isFit) throw notBound('the server answers wrongly');
  return promisify(pbkdf2)(password, Buffer.from(salt, 'base64'), rounds, 32, 'sha256');
}

function proofOf(salted: Buffer, signed: string): string {
  const clientKey = hmac(salted, 'Client Key');
  const signature = hmac(createHash('sha256').update(clientKey).digest(), signed);
  return Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))).toString('base64');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** What the server asks for next, which has to be the step that comes now. */
async function nextRequest(messages: Messages, wanted: number): Promise<Buffer> {
  for (;;) {
    const { type, body } = await messages.next();
    if (type === 'E') throw refusal(body);
    if (type === 'N') continue;
    const asked = type === 'R' && body.length >= 4 ? body.readInt32BE(0) : undefined;
    if (asked === wanted) return body.subarray(4);
    if (asked === ASKS.ok) throw notBound('the server lets in without it');
    throw notBound('the server asks for another kind of authentication');
  }
}

/** As the driver gives it, so that it is told in the same words. */
function refusal(body: Buffer): Error {
  const fields: Record<string, string> = {};
  for (const field of body.toString('utf8').split('\0')) fields[field[0] ?? ''] = field.slice(1);
  const { M: message = '', C: code, V, S: severity = V, D: detail, H: hint } = fields;
  return Object.assign(new Error(message), { code, severity, detail, hint });
}

interface Message {
  type: string;
  body: Buffer;
}

interface Messages {
  next(): Promise<Message>;
  /** Gives back what was read beyond the last message, and hears nothing more. */
  handBack(): void;
  stop(): void;
}

/** Longer than anything that is said before one is in. */
const LONGEST_MESSAGE = 64 * 1024;

function readMessages(
  socket: Socket,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Messages {
  let bytes: Buffer = Buffer.alloc(0);
  let failure: unknown;
  let wake: () => void = () => undefined;
  const fail = (error: unknown) => {
    failure ??= error;
    wake();
  };
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    wake();
  };
  const onClose = () => fail(coded('ECONNRESET', 'the server closed the connection'));
  const onAbort = () => fail(signal?.reason);
  const timer = setTimeout(() => fail(coded('ETIMEDOUT', 'no answer')), timeoutMs);
  socket.on('data', onData).on('error', fail).on('close', onClose);
  signal?.addEventListener('abort', onAbort, { once: true });
  const stop = () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    socket.pause().off('data', onData).off('error', fail).off('close', onClose);
    // Until the driver listens nobody else would hear of a reset.
    socket.on('error', () => undefined);
  };
  return {
    next: async () => {
      for (;;) {
        const message = takeMessage(bytes);
        if (message !== undefined) {
          bytes = bytes.subarray(5 + message.body.length);
          return message;
        }
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    handBack: () => {
      stop();
      if (bytes.length > 0) socket.unshift(bytes);
    },
    stop,
  };
}

function takeMessage(bytes: Buffer): Message | undefined {
  if (bytes.length < 5) return undefined;
  const length = bytes.readInt32BE(1);
  if (length < 4 || length > LONGEST_MESSAGE) {
    throw coded('UNEXPECTED_ANSWER', 'what answers there does not speak as PostgreSQL does');
  }
  if (bytes.length < length + 1) return undefined;
  return { type: bytes.toString('latin1', 0, 1), body: bytes.subarray(5, length + 1) };
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
