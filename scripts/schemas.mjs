// Writes schemas/ from the types of what the commands print (src/cli/outputs.ts) and of the config file.
// Usage: node scripts/schemas.mjs [--check]
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createGenerator } from 'ts-json-schema-generator';

const root = new URL('../', import.meta.url);
const folder = new URL('schemas/', root);
const DRAFT = 'http://json-schema.org/draft-07/schema#';
/** Commands that `--watch` makes print line after line. */
const WATCHED = /^(stats (?!update$)|audit log$)/;

const { schema: outputs } = generate('src/cli/outputs.ts', [
  'Outputs',
  'Envelope',
  'ErrorOutput',
  'ProgressLine',
]);
const { schema: config } = generate('src/config/define.ts', ['ConfigFileInput']);
const files = new Map([
  [
    'config-file.json',
    // Unlike what commands print it is written by people, whom an editor tells of a wrong key.
    give('What a config file of evdb may hold', refer('ConfigFileInput'), config, (all) => all),
  ],
  ...Object.entries(outputs.Outputs.properties).map(([command, data]) => [
    `${command.replaceAll(' ', '-')}.json`,
    give(`evdb ${command} --json`, documentOf(command, data), outputs),
  ]),
  ['progress.json', give('A line of --progress json', refer('ProgressLine'), outputs)],
  ['error.json', give('evdb … --json, where there is no such command', errorOf(), outputs)],
]);

if (process.argv.includes('--check')) check();
else write();

function generate(path, types) {
  const generator = createGenerator({
    path: fileURLToPath(new URL(path, root)),
    tsconfig: fileURLToPath(new URL('tsconfig.json', root)),
    type: '*',
    expose: 'export',
    topRef: true,
    jsDoc: 'extended',
    sortProps: false,
    // a function stands in JavaScript alone
    functions: 'hide',
    skipTypeCheck: true,
    encodeRefs: false,
  });
  const definitions = {};
  for (const type of types) Object.assign(definitions, generator.createSchema(type).definitions);
  return { schema: definitions };
}

function refer(name) {
  return { $ref: `#/definitions/${name}` };
}

function resolve(schema) {
  if (schema.$ref === undefined) return schema;
  return resolve(outputs[schema.$ref.slice('#/definitions/'.length)]);
}

/** Each object that a command may print, without references at its top. */
function alternativesOf(schema) {
  const found = resolve(schema);
  if (found.anyOf) return found.anyOf.flatMap(alternativesOf);
  if (found.type !== 'object') throw new Error(`not an object: ${JSON.stringify(schema)}`);
  return [found];
}

function documentOf(command, data) {
  const named = { const: command, type: 'string' };
  const { properties, required } = resolve(refer('Envelope'));
  const head = { ...properties, command: named };
  const results = alternativesOf(data);
  const looks = WATCHED.test(command) ? results : [];
  const { formatVersion } = properties;
  return {
    anyOf: [
      ...results.map((one) => joined(head, required, one)),
      ...looks.map((one) =>
        joined({ formatVersion, command: named }, ['formatVersion', 'command'], withTime(one)),
      ),
      ...(looks.length > 0 ? [joined(head, required, { properties: {} })] : []),
      joined(head, [], resolve(refer('ErrorOutput')), true),
    ],
  };
}

function errorOf() {
  return joined({}, [], resolve(refer('ErrorOutput')));
}

/** A look at statistics has its time; an entry of the audit log has had one before. */
function withTime(one) {
  if (one.properties.at) return one;
  const at = { type: 'string', format: 'date-time' };
  return { properties: { at, ...one.properties }, required: ['at', ...(one.required ?? [])] };
}

function joined(head, headRequired, { properties, required = [] }, headWins = false) {
  const merged = headWins ? { ...properties, command: head.command } : { ...head, ...properties };
  return {
    type: 'object',
    properties: merged,
    required: [...new Set([...headRequired, ...required])],
  };
}

function give(title, schema, definitions, widen = open) {
  const body = widen({ $schema: DRAFT, title, ...schema });
  const used = new Map();
  collect(body, definitions, used, widen);
  if (used.size > 0) {
    const sorted = [...used].sort(([a], [b]) => (a < b ? -1 : 1));
    body.definitions = Object.fromEntries(sorted);
  }
  return `${JSON.stringify(body, null, 2)}\n`;
}

/** New keys do not break readers, so the published schemas allow them. */
function open(value) {
  if (Array.isArray(value)) return value.map(open);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(
    ([key, entry]) => !(key === 'additionalProperties' && entry === false),
  );
  return Object.fromEntries(entries.map(([key, entry]) => [key, open(entry)]));
}

function collect(value, definitions, used, widen) {
  if (typeof value !== 'object' || value === null) return;
  if (typeof value.$ref === 'string') {
    const name = value.$ref.slice('#/definitions/'.length);
    if (!used.has(name)) {
      used.set(name, widen(definitions[name]));
      collect(used.get(name), definitions, used, widen);
    }
  }
  for (const entry of Object.values(value)) collect(entry, definitions, used, widen);
}

function write() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, text] of files) writeFileSync(new URL(name, folder), text);
  console.log(`wrote ${files.size} schemas`);
}

function check() {
  const stale = [...files].filter(([name, text]) => read(name) !== text).map(([name]) => name);
  const surplus = readdirSync(folder).filter((name) => !files.has(name));
  for (const name of [...stale, ...surplus]) console.error(`schemas/${name} is stale`);
  if (stale.length + surplus.length > 0) {
    console.error('run: npm run schemas');
    process.exitCode = 1;
  }
}

function read(name) {
  try {
    return readFileSync(new URL(name, folder), 'utf8');
  } catch {
    return undefined;
  }
}
