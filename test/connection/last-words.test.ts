import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { hearLastWords } from '../../src/connection/socket.ts';

function message(type: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(body) + 4);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body)]);
}

function heard(...chunks: Buffer[]) {
  const socket = new Socket();
  const read = hearLastWords(socket);
  for (const chunk of chunks) socket.emit('data', chunk);
  return read();
}

const FATAL = message(
  'E',
  'SSCHWERWIEGEND\0VFATAL\0C57P01\0MVerbindung für E beendet\0Fpostgres.c\0\0',
);
const WORDS = { severity: 'FATAL', code: '57P01', message: 'Verbindung für E beendet' };

test('finds the last message wherever the network divides it', () => {
  const before = message('D', '\0\x01\0\0\0\x05EEEEE');
  for (let at = 0; at <= FATAL.length; at++) {
    const parts = [Buffer.concat([before, FATAL.subarray(0, at)]), FATAL.subarray(at)];
    expect(heard(...parts.filter(({ length }) => length > 0))).toEqual(WORDS);
  }
});

test('takes the severity of a pooler, which has no other', () => {
  const fatal = message('E', 'SFATAL\0C08P01\0Mclient_idle_timeout\0\0');
  expect(heard(fatal)).toEqual({
    severity: 'FATAL',
    code: '08P01',
    message: 'client_idle_timeout',
  });
});

test('finds nothing where the server said nothing, or what was no farewell', () => {
  expect(heard()).toBeUndefined();
  expect(heard(message('Z', 'I'))).toBeUndefined();
  expect(heard(message('E', 'SERROR\0VERROR\0C42P01\0Mx\0\0'))).toBeUndefined();
  expect(heard(Buffer.concat([FATAL, message('Z', 'I')]))).toBeUndefined();
});
