import fc from 'fast-check';

// Scripts from the grammar, in every way in which they can be written: what a statement is never depends on
// what stands in its strings, comments and names, nor on how it is laid out.

type Text = fc.Arbitrary<string>;
/** Tokens between which anything may stand that separates. */
type Tokens = fc.Arbitrary<string[]>;

/** Of every width in UTF-8, and what would end or begin something if it stood elsewhere. */
const PIECES = [
  ...["'", "''", '"', '\\', '\\\\', '$', '$$', '$a$', '--', '/*', '*/', ';', ';;', '\\;', '(', ')'],
  ...[
    'begin atomic',
    'end',
    'case',
    'begin',
    'U&',
    "E'",
    '::',
    ':',
    ':x',
    '\n',
    '\r',
    '\t',
    '%',
    '0',
  ],
  ...[
    'é',
    'ß',
    '\u00a0',
    '\u0301',
    '漢',
    '\ufeff',
    '\u2028',
    '😀',
    '\u{10ffff}',
    '\u0001',
    '\u007f',
  ],
];

const content: Text = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'binary', maxLength: 2 })), {
    maxLength: 5,
  })
  // Half of a pair is no character, and PostgreSQL has no NUL.
  .map((parts) => Buffer.from(parts.join('').replaceAll('\0', '')).toString());

const tag = fc.constantFrom('', 'a', '_1', 'ünï', '漢', 'body');

function inDollars(text: string, name: string): string | undefined {
  const quote = `$${name}$`;
  return (text + quote).indexOf(quote) === text.length ? quote + text + quote : undefined;
}

function inQuotes(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function escaped(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function byCodePoints(text: string, quote: string): string {
  const codes = [...text].map((character) => {
    const code = character.codePointAt(0) ?? 0;
    if (character === '\\' || character === quote) return character + character;
    if (code < 128) return character;
    const hex = code.toString(16);
    return code > 0xffff ? `\\+${hex.padStart(6, '0')}` : `\\${hex.padStart(4, '0')}`;
  });
  return `U&${quote}${codes.join('')}${quote}`;
}

/** The same text in one of the ways in which SQL writes it. */
function stringOf(text: Text): Text {
  return fc.tuple(text, tag, fc.nat(3)).map(([value, name, way]) => {
    const ways = [
      inQuotes(value),
      escaped(value),
      byCodePoints(value, "'"),
      inDollars(value, name),
    ];
    return ways[way] ?? inQuotes(value);
  });
}

const literal: Text = fc.oneof(
  { weight: 5, arbitrary: stringOf(content) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('1', '.5', '1e5', '0', "B'01'", "x'1F'", 'null', 'true'),
  },
);

const name: Text = fc.oneof(
  fc.constantFrom('a', 'atomic', 'begin', 'é', '漢字', 'a$b', '"end"', '"a;b"'),
  content.map((text) => `"${`n${text}`.replaceAll('"', '""')}"`),
  content.map((text) => byCodePoints(`n${text}`, '"')),
);

/** Behind `as` a reserved word may stand, too. */
const label: Text = fc.oneof(
  { weight: 3, arbitrary: name },
  { weight: 1, arbitrary: fc.constantFrom('end', 'case', 'select', 'create') },
);

const { expression } = fc.letrec<{ expression: string[] }>((tie) => {
  const inner = tie('expression') as Tokens;
  const one = (build: (a: string[], b: string[]) => string[]) =>
    fc.tuple(inner, inner).map(([a, b]) => build(a, b));
  return {
    expression: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      literal.map((text) => [text, '::', 'text']),
      one((a, b) => [
        'case',
        'when',
        '(',
        ...a,
        ')',
        'is',
        'null',
        'then',
        ...a,
        'else',
        ...b,
        'end',
      ]),
      one((a, b) => ['(', 'select', ...a, 'where', '(', ...b, ')', 'is', 'not', 'null', ')']),
      one((a, b) => ['(', ...a, '||', ...b, ')']),
      one((a, b) => ['(', 'array', '[', ...a, ',', ...b, ']', ')', '[', '1', ']']),
    ),
  };
});

const select: Tokens = fc
  .tuple(expression, label, expression, label)
  .map(([a, one, b, two]) => ['select', ...a, 'as', one, ',', ...b, 'as', two]);

/** Whatever separates two tokens. */
const gap: Text = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(' ', '\n', '\r\n', '\t', ' \f ', '\n\n') },
  { weight: 1, arbitrary: content.map((text) => `--${text.replace(/[\r\n]/g, '')}\n`) },
  { weight: 1, arbitrary: content.map((text) => `/*${text.replace(/[*/]/g, '')} /* ; */ ' */`) },
);

function layOut(tokens: Tokens): Text {
  return fc
    .tuple(tokens, fc.array(gap, { minLength: 1, maxLength: 7 }))
    .map(([all, gaps]) => all.map((token, at) => token + gaps[at % gaps.length]).join(''));
}

const sqlBody: Text = fc
  .tuple(layOut(select), layOut(expression))
  .map(([first, last]) => `${first};\nselect ${last}`);

/** PL/pgSQL reads an expression up to the next `then` that is in no parentheses. */
const blockBody: Text = fc
  .tuple(layOut(expression), layOut(expression))
  .map(([a, b]) => `begin perform ${a}; if (${b}) is null then null; end if; end`);

/** In its place each statement of a script gets a name of its own. */
const OWN_NAME = 'name_of_its_own';

const statement: Tokens = fc.oneof(
  { weight: 3, arbitrary: select },
  stringOf(blockBody).map((body) => ['do', body]),
  stringOf(sqlBody).map((body) => [
    ...[
      'create',
      'function',
      `pg_temp.${OWN_NAME}`,
      '(',
      ')',
      'returns',
      'text',
      'language',
      'sql',
    ],
    ...['as', body],
  ]),
  fc
    .tuple(select, expression)
    .map(([first, last]) => [
      ...[
        'create',
        'or',
        'replace',
        'function',
        `pg_temp.${OWN_NAME}`,
        '(',
        'a',
        'text',
        ')',
        'returns',
        'text',
      ],
      ...['begin', 'atomic', ...first, ';', 'select', ...last, ';', 'end'],
    ]),
  fc
    .tuple(name, literal)
    .map(([column, value]) => [
      ...['create', 'temporary', 'table', OWN_NAME, '(', column, 'text', 'default'],
      ...[value, '::', 'text', ',', 'check', '(', column, 'is', 'not', 'null', ')', ')'],
    ]),
  select.map((tokens) => ['declare', OWN_NAME, 'cursor', 'for', ...tokens]),
  expression.map((tokens) => ['values', '(', ...tokens, ')', ',', '(', ...tokens, ')']),
  fc.constant<string[]>([]),
);

/** A script that PostgreSQL runs, also inside of a transaction; it leaves nothing behind. */
export function goodScripts(): Text {
  return fc
    .array(layOut(statement), { minLength: 1, maxLength: 5 })
    .map((texts) => texts.map((text, at) => text.replace(OWN_NAME, `own_${at}`)).join(';'));
}

/** One from which a piece was cut out, wherever that is. */
export function cutScripts(): Text {
  return fc.tuple(goodScripts(), fc.nat(), fc.nat(40)).map(([text, at, length]) => {
    const start = at % (text.length + 1);
    return Buffer.from(text.slice(0, start) + text.slice(start + length)).toString();
  });
}
