// Writes docs/reference from the code: the whole of api.md, and in the other pages, and in that of the
// event schema, what stands between
// `<!-- made by npm run docs -->` and `<!-- end -->`. What stands around that is written by hand.
// Usage: node scripts/docs.mjs [--check]
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { findProblems, readApi, renderApi } from './api.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'docs/reference');
const MADE = /(<!-- made by npm run docs -->\n).*?(\n<!-- end -->)/s;
/** An option that so many commands take is told once. */
const OFTEN = 8;

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();

async function main() {
  const api = readApi();
  const problems = findProblems(api);
  const pages = new Map([...(await renderReference()), ['api.md', renderApi(api)]]);
  for (const [name, text] of pages) {
    if (readFileSync(join(folder, name), 'utf8') === text) continue;
    if (process.argv.includes('--check')) problems.push(`${join('docs/reference', name)} is stale`);
    else writeFileSync(join(folder, name), text);
  }
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`docs/reference: ${[...pages.keys()].join(', ')}`);
}

/** The pages that are written in part, by their names. */
export async function renderReference() {
  const { program, exitCodeFor, drawDiagram } = await loadProgram();
  const made = {
    'cli.md': renderCommands(program),
    'errors.md': renderErrors(exitCodeFor),
    'config.md': renderSettings(),
    'json.md': renderSchemas(),
    '../event-schema.md': await drawEventSchema(drawDiagram),
  };
  return new Map(
    Object.entries(made).map(([name, text]) => {
      const page = readFileSync(join(folder, name), 'utf8');
      if (!MADE.test(page))
        throw new Error(`${join('docs/reference', name)} has no place for what is made`);
      return [name, page.replace(MADE, (_, start, end) => `${start}\n${text}\n${end}`)];
    }),
  );
}

/** The command line as it is built for a run, from the sources. */
async function loadProgram() {
  const made = join(root, '.cache', `docs-${process.pid}`);
  mkdirSync(made, { recursive: true });
  try {
    const bundle = await rolldown({
      input: {
        run: join(root, 'src/cli/run.ts'),
        codes: join(root, 'src/cli/exit-codes.ts'),
        draw: join(root, 'src/diagram/draw.ts'),
      },
      platform: 'node',
      external: (id) => !/^(\.|\/|[A-Z]:)/.test(id),
      checks: { ineffectiveDynamicImport: false },
    });
    await bundle.write({ dir: made, entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' });
    await bundle.close();
    const load = (name) => import(pathToFileURL(join(made, name)).href);
    const [{ buildProgram }, { exitCodeFor }] = [await load('run.mjs'), await load('codes.mjs')];
    const program = buildProgram(
      { out() {}, err() {}, outSize: () => ({}) },
      { exitCode: 0, command: '' },
    );
    const { drawDiagram } = await load('draw.mjs');
    return { program, exitCodeFor, drawDiagram };
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** Without the columns that connect nothing, which the tables of the page tell. */
async function drawEventSchema(drawDiagram) {
  const source = { kind: 'file', path: join(root, 'migrations/structure.sql') };
  const { text } = await drawDiagram({ source, directory: root, columns: 'keys' });
  return `\`\`\`mermaid\n${text}\`\`\``;
}

function renderCommands(program) {
  const commands = program.commands.flatMap(commandsIn);
  const counts = new Map();
  for (const option of commands.flatMap(({ options }) => options)) {
    counts.set(keyOf(option), [...(counts.get(keyOf(option)) ?? []), option]);
  }
  const common = [...counts.values()].filter((all) => all.length >= OFTEN).map(([one]) => one);
  const isCommon = (option) => common.some((one) => keyOf(one) === keyOf(option));
  const list = commands.map((one) => {
    const path = pathOf(one);
    return [`[\`evdb ${path}\`](#evdb-${path.replaceAll(' ', '-')})`, capitalised(one.summary())];
  });
  return [
    '## Commands',
    table(['command', 'what it does'], list),
    '## Options of many commands',
    optionTable(common),
    ...commands.map((one) => renderCommand(one, isCommon)),
  ].join('\n\n');
}

/** A command, or those of a group. */
function commandsIn(one) {
  return one.commands.length === 0 ? [one] : one.commands.flatMap(commandsIn);
}

function keyOf({ flags, description }) {
  return `${flags} ${description}`;
}

function pathOf(command) {
  return command.parent?.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function renderCommand(command, isCommon) {
  const path = pathOf(command);
  const own = command.options.filter((option) => !isCommon(option));
  const others = command.options.filter(isCommon).map(({ long }) => `\`${long}\``);
  const parts = [`## evdb ${path}`, capitalised(command.description())];
  const words = command.registeredArguments.map(argumentOf);
  parts.push(
    `\`\`\`\nevdb ${[path, ...words.map(([syntax]) => syntax), '[options]'].join(' ')}\n\`\`\``,
  );
  if (words.length > 0) {
    parts.push(
      table(
        ['argument', 'meaning'],
        words.map(([syntax, text]) => [code(syntax), text]),
      ),
    );
  }
  if (own.length > 0) parts.push(optionTable(own));
  if (others.length > 0) {
    parts.push(`[Options of many commands](#options-of-many-commands): ${others.join(', ')}.`);
  }
  parts.push(`\`\`\`sh\n${examplesOf(command).join('\n')}\n\`\`\``);
  return parts.join('\n\n');
}

function argumentOf({ required, variadic, description, argChoices, _name: name }) {
  const word = variadic ? `${name}...` : name;
  const choices = argChoices?.map(code).join(', ');
  const text = choices ? `${description}: ${choices}` : description;
  return [required ? `<${word}>` : `[${word}]`, text];
}

/** What the command shows behind its help. */
function examplesOf(command) {
  let shown = '';
  command.configureOutput({ writeOut: (text) => (shown += text) });
  command.outputHelp();
  return [...shown.matchAll(/^ {2}\$ (evdb .*)$/gm)].map(([, line]) => line);
}

function optionTable(options) {
  const rows = options.map((option) => {
    const choices = option.argChoices?.map(code).join(', ');
    const text = choices ? `${option.description}: ${choices}` : option.description;
    const fallback = option.defaultValueDescription ?? option.defaultValue;
    const needed = option.mandatory ? ' (required)' : '';
    return [
      code(option.flags),
      `${text}${needed}`,
      fallback === undefined ? '' : code(String(fallback)),
    ];
  });
  const hasDefaults = rows.some((row) => row[2] !== '');
  return table(
    ['option', 'meaning', ...(hasDefaults ? ['default'] : [])],
    rows.map((row) => (hasDefaults ? row : row.slice(0, 2))),
  );
}

/** The codes with what `src/errors.ts` says beside each. */
function renderErrors(exitCodeFor) {
  const source = readFileSync(join(root, 'src/errors.ts'), 'utf8');
  const found = [...source.matchAll(/^ {2}\| '([A-Z_0-9]+)';? \/\/ (.+)$/gm)];
  const rows = found.map(([, name, text]) => [code(name), String(exitCodeFor(name)), text]);
  return table(['code', 'exit', 'meaning'], rows);
}

/** The keys of a config file, from its schema, which is made from the doc comments. */
function renderSettings() {
  const { definitions } = readSchema('config-file.json');
  const own = Object.keys(definitions.SettingsInput.properties);
  const settings = own.map((key) => {
    const { description } = definitions.SettingsInput.properties[key];
    const variable = `EVDB_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
    // Each variable of the files has one of its own.
    return [code(key), code(key === 'variables' ? 'EVDB_VAR_<NAME>' : variable), description];
  });
  const top = Object.entries(definitions.ConfigFileInput.properties)
    .filter(([key]) => !own.includes(key))
    .map(([key, { description }]) => [code(key), description]);
  const parts = Object.entries({ doctor: 'DoctorSettingsInput', lint: 'LintSettingsInput' });
  return [
    '## Settings',
    table(['key', 'variable', 'meaning'], settings),
    '## Keys at the top level of the file',
    table(['key', 'meaning'], top),
    ...parts.flatMap(([key, name]) => [`## ${code(key)}`, keysOf(definitions, name)]),
    '### An entry of `doctor.ignore`',
    keysOf(definitions, 'DoctorIgnoreInput'),
    '## An entry of `fleets`',
    keysOf(definitions, 'FleetInput'),
    '### An entry of `members`',
    keysOf(definitions, 'FleetMemberInput'),
  ].join('\n\n');
}

function keysOf(definitions, name) {
  const { properties } = definitions[name];
  const rows = Object.entries(properties).map(([key, one]) => [code(key), one.description ?? '']);
  return table(['key', 'meaning'], rows);
}

/** What each command prints beside the envelope. */
function renderSchemas() {
  const rows = readdirSync(join(root, 'schemas'))
    .filter((name) => !['config-file.json', 'error.json', 'progress.json'].includes(name))
    .sort()
    .map((name) => {
      const { anyOf } = readSchema(name);
      const keys = new Set(anyOf.flatMap(({ properties }) => Object.keys(properties)));
      for (const key of ['formatVersion', 'command', 'ok', 'exitCode', 'error']) keys.delete(key);
      const link = `[\`${name.replace(/\.json$/, '')}\`](../../schemas/${name})`;
      return [link, [...keys].map(code).join(', ')];
    });
  return table(['schema', 'keys in addition to the envelope'], rows);
}

function readSchema(name) {
  return JSON.parse(readFileSync(join(root, 'schemas', name), 'utf8'));
}

function code(text) {
  return `\`${text}\``;
}

function capitalised(text) {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}

function table(titles, rows) {
  const lines = [
    titles,
    titles.map(() => '---'),
    ...rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|'))),
  ];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
