import { describe, expect, it } from 'vitest';
import {
  MessageReader,
  MessageWriter,
  RowShape,
  readInteger,
  readServerError,
  readTag,
  readTypes,
} from '../../src/connection/wire-format.ts';

/** A message as the protocol has it. */
function message(letter: string, ...parts: (string | number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  const head = Buffer.alloc(5);
  head.write(letter, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const int16 = (value: number) => [(value >> 8) & 255, value & 255];
const int32 = (value: number) => [...int16(value >> 16), ...int16(value)];

/** A value of a row, or of a parameter. */
const value = (text: string | null) =>
  Buffer.concat(
    text === null
      ? [Buffer.from(int32(-1))]
      : [Buffer.from(int32(Buffer.byteLength(text))), Buffer.from(text)],
  );

function row(...values: (string | null)[]): Buffer {
  return message('D', int16(values.length), ...values.map((one) => [...value(one)]));
}

function description(...columns: [name: string, type: number, modifier?: number][]): Buffer {
  const parts = columns.flatMap(([name, type, modifier = -1]) => [
    `${name}\0`,
    [...int32(0), ...int16(0), ...int32(type), ...int16(4), ...int32(modifier), ...int16(0)],
  ]);
  return message('T', int16(columns.length), ...parts);
}

describe('the reader of messages', () => {
  const messages = [
    message('D', 'some row'),
    message('Z', 'I'),
    message('1'),
    message('D', 'x'.repeat(500)),
    message('C', 'SELECT 1\0'),
  ];
  const bytes = Buffer.concat(messages);

  function read(chunks: Buffer[]) {
    const reader = new MessageReader();
    const heard: string[] = [];
    const failures: string[] = [];
    reader.onMessage = (part, at, end) => void heard.push(part.toString('latin1', at, end));
    reader.onFailure = (error) => void failures.push(error.message);
    for (const chunk of chunks) reader.read(chunk);
    return { heard, failures };
  }

  const expected = { heard: messages.map((one) => one.toString('latin1')), failures: [] };

  it('gives every message whole, wherever the bytes are cut in two', () => {
    for (let at = 0; at <= bytes.length; at++) {
      expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected);
    }
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 64])('gives every message whole, cut into pieces of %i', (size) => {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    expect(read(chunks)).toEqual(expected);
  });

  it('fails on what is no message, and does not loop', () => {
    for (const length of [-1, 0, 3, -2147483648]) {
      const { heard, failures } = read([
        Buffer.concat([Buffer.from('D'), Buffer.from(int32(length))]),
      ]);
      expect(heard).toEqual([]);
      expect(failures).toHaveLength(1);
    }
  });

  it('tells what a listener throws', () => {
    const reader = new MessageReader();
    const failures: string[] = [];
    reader.onMessage = () => {
      throw new Error('not this one');
    };
    reader.onFailure = (error) => void failures.push(error.message);
    reader.read(message('Z', 'I'));
    expect(failures).toEqual(['not this one']);
  });
});

describe('the shape of rows', () => {
  const readers = new Map([[23, readInteger]]);
  const read = (shape: RowShape, bytes: Buffer) => shape.readRow(bytes, 0, bytes.length);

  it('reads values by the types of the columns, and null', () => {
    const shape = new RowShape(description(['id', 23], ['name', 25, 24], ['ä', 9999]), readers);
    expect(shape.fields).toEqual([
      { name: 'id', dataTypeID: 23, dataTypeModifier: -1 },
      { name: 'name', dataTypeID: 25, dataTypeModifier: 24 },
      { name: 'ä', dataTypeID: 9999, dataTypeModifier: -1 },
    ]);
    expect(read(shape, row('-17', 'Ünal 😀', null))).toEqual({ id: -17, name: 'Ünal 😀', ä: null });
    expect(read(shape, row(null, '', 'x'))).toEqual({ id: null, name: '', ä: 'x' });
  });

  it('has types beyond two billion, and no columns at all', () => {
    const [field] = new RowShape(description(['x', 4294967295]), readers).fields;
    expect(field?.dataTypeID).toBe(4294967295);
    const none = new RowShape(description(), readers);
    expect(read(none, row())).toEqual({});
  });

  it('takes no row for its own that has other columns', () => {
    const shape = new RowShape(description(['id', 23], ['name', 25]), readers);
    for (const other of [row('1'), row('1', 'a', 'b'), row()]) {
      expect(() => read(shape, other)).toThrow(/other columns/);
    }
    const tooLong = row('1', 'a');
    tooLong.writeInt32BE(200, 7);
    expect(() => read(shape, tooLong)).toThrow();
  });

  it('knows its own description from others, of the same length too', () => {
    const own = description(['id', 23]);
    const shape = new RowShape(own, readers);
    const is = (bytes: Buffer) => shape.is(bytes, 0, bytes.length);
    expect(is(Buffer.from(own))).toBe(true);
    expect(is(description(['id', 25]))).toBe(false);
    expect(is(description(['ix', 23]))).toBe(false);
    expect(is(description(['id', 23], ['id', 23]))).toBe(false);
    const among = Buffer.concat([message('1'), own, message('Z', 'I')]);
    expect(shape.is(among, 5, 5 + own.length)).toBe(true);
  });

  it('has a property for a column named __proto__', () => {
    const shape = new RowShape(description(['__proto__', 25], ['b', 23]), readers);
    const made = read(shape, row('x', '1'));
    expect(Object.getPrototypeOf(made)).toBe(Object.prototype);
    expect(Object.entries(made)).toEqual([
      ['__proto__', 'x'],
      ['b', 1],
    ]);
  });
});

describe('the readers of single messages', () => {
  const NONE = { command: '', count: undefined };

  it.each([
    ['SELECT 1', 'SELECT', 1],
    ['INSERT 0 12', 'INSERT', 12],
    ['DELETE 0', 'DELETE', 0],
    ['UPDATE 4294967296', 'UPDATE', 4294967296],
    ['CREATE TABLE', 'CREATE TABLE', undefined],
    ['SHOW', 'SHOW', undefined],
    ['SELECT 17', 'SELECT', 17],
    ['', '', undefined],
  ])('read the tag %j', (text, command, count) => {
    const bytes = Buffer.concat([message('1'), message('C', `${text}\0`)]);
    expect(readTag(bytes, 5, bytes.length, NONE)).toEqual({ command, count });
  });

  it('give the tag that is known only where it is the same', () => {
    const read = (text: string, known: ReturnType<typeof readTag>) => {
      const bytes = message('C', `${text}\0`);
      return readTag(bytes, 0, bytes.length, known);
    };
    const one = read('SELECT 1', NONE);
    expect(read('SELECT 1', one)).toBe(one);
    for (const other of ['SELECT 2', 'DELETE 1', 'SELECTS 1', 'SELECT']) {
      expect(read(other, one)).not.toBe(one);
    }
  });

  it.each(['0', '7', '-1', '-32768', '2147483647', '-2147483648', '4294967295'])(
    'read the number %s',
    (text) => {
      const bytes = Buffer.from(`x${text}9`);
      expect(readInteger(bytes, 1, 1 + text.length)).toBe(Number(text));
    },
  );

  it('read the types of parameters, and an error field by field', () => {
    expect(readTypes(message('t', int16(2), int32(23), int32(4294967295)), 0)).toEqual([
      23, 4294967295,
    ]);
    expect(readTypes(message('t', int16(0)), 0)).toEqual([]);
    const error = message('E', 'SFEHLER\0VERROR\0C22012\0Mdivision by zero ä\0P8\0Xnew\0\0');
    expect(readServerError(error, 0, error.length)).toEqual({
      severity_local: 'FEHLER',
      severity: 'ERROR',
      code: '22012',
      message: 'division by zero ä',
      position: '8',
    });
  });
});

describe('the writer of messages', () => {
  const EXECUTE = [...message('E', '\0', int32(0)), ...message('S')];
  const write = (one: object, type: number | undefined) => `${String(one)}:${type}`;

  const TEXTS = [
    ...['', 'a', 'ä', 'a'.repeat(39), 'a'.repeat(40), 'a'.repeat(41), `${'a'.repeat(39)}ä`],
    ...['😀 and more', `${'ä'.repeat(30)}`, 'x'.repeat(20_000), 'ü'.repeat(300_000), 'a\0b'],
  ];

  it('writes texts of any length and any characters, as they are', () => {
    const writer = new MessageWriter();
    for (const text of TEXTS) {
      expect(
        writer
          .query(text)
          .take()
          .equals(message('Q', `${text}\0`)),
      ).toBe(true);
      const bound = writer.bind('n', [text, null, text], [], write).execute().take();
      const values = [text, null, text].map((one) => [...value(one)]);
      const expected = [
        ...message('B', '\0', 'n\0', int16(0), int16(3), ...values, int16(0)),
        ...EXECUTE,
      ];
      expect(bound.equals(Buffer.from(expected))).toBe(true);
    }
  });

  it('writes what a lone surrogate stands for in UTF-8', () => {
    for (const text of ['\ud800', `${'a'.repeat(50)}\udc00`]) {
      expect(new MessageWriter().query(text).take()).toEqual(message('Q', `${text}\0`));
    }
  });

  it('puts the messages of a statement behind each other', () => {
    const writer = new MessageWriter();
    writer.closeStatement('old').parse('s1', 'select $1, $2', 2).describeStatement('s1');
    writer.bind('s1', ['x', { toString: () => 'list' }], [25, 3802], write).execute();
    const expected = Buffer.concat([
      message('C', 'Sold\0'),
      message('P', 's1\0', 'select $1, $2\0', int16(2), int32(0), int32(0)),
      message('D', 'Ss1\0'),
      message(
        'B',
        '\0',
        's1\0',
        int16(0),
        int16(2),
        [...value('x')],
        [...value('list:3802')],
        int16(0),
      ),
      Buffer.from(EXECUTE),
    ]);
    expect(writer.take()).toEqual(expected);
    writer.parse('', 'select 1', 0).bind('', [], [], write).describePortal().execute();
    expect(writer.take()).toEqual(
      Buffer.concat([
        message('P', '\0', 'select 1\0', int16(0)),
        message('B', '\0', '\0', int16(0), int16(0), int16(0)),
        message('D', 'P\0'),
        Buffer.from(EXECUTE),
      ]),
    );
    expect(writer.describeStatement('').flush().take()).toEqual(
      Buffer.concat([message('D', 'S\0'), message('H')]),
    );
  });

  it('counts to as many parameters as the protocol', () => {
    const values = Array.from({ length: 65_535 }, (_, n) => String(n));
    const bytes = new MessageWriter().bind('', values, [], write).take();
    expect(bytes.readUInt16BE(9)).toBe(65_535);
    expect(bytes.length).toBe(1 + bytes.readInt32BE(1));
    expect(bytes.subarray(-11, -2).equals(Buffer.from(value('65534')))).toBe(true);
  });

  it('leaves alone what it gave, and forgets what was dropped', () => {
    const writer = new MessageWriter();
    for (const text of ['first', 'f'.repeat(40_000)]) {
      const given = writer.query(text).take();
      const before = Buffer.from(given);
      writer.query('second, which is longer than the first'.repeat(500)).take();
      expect(given.equals(before)).toBe(true);
    }
    writer.query('half');
    writer.drop();
    expect(writer.query('whole').take()).toEqual(message('Q', 'whole\0'));
  });
});
