// Writes what a new piece of evdb needs, with a small example that works, to be replaced:
// `npm run new -- rule <name> | command <name> | check <name>`.
//   rule     a rule of `evdb lint`: its file, its place in the list, its test, its page
//   command  `evdb <name>`: its file, its place in the program, its output, its test, its page
//   check    a check of `evdb doctor`: its file, its place in the list, its tests, its line in the docs
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const KINDS = { rule: newRule, command: newCommand, check: newCheck };

/** What will be written: text by path from the root. Nothing is, before all of it is known. */
const pending = new Map();
const created = [];

const [kind, name, ...others] = process.argv.slice(2);
if (!Object.hasOwn(KINDS, kind ?? '') || others.length > 0 || !isName(name)) {
  console.error('Usage: npm run new -- rule|command|check <name>, such as lock-table');
  process.exitCode = 2;
} else {
  try {
    writeNew();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}

function writeNew() {
  const writeGenerated = KINDS[kind](name);
  for (const [path, text] of pending) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  runTool('@biomejs/biome/bin/biome', ['check', '--write', ...pending.keys()]);
  const generated = writeGenerated?.() ?? [];
  for (const path of created) console.log(`created  ${path}`);
  const changed = [...pending.keys()].filter((path) => !created.includes(path));
  for (const path of [...changed, ...generated]) console.log(`changed  ${path}`);
  console.log('It works, as an example. Replace what it does, then: npm run test:quick');
}

function isName(text) {
  return /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(text ?? '');
}

function newRule(name) {
  const list = findExporter('LINT_RULES', 'src/', 'rules.ts');
  create(posix.join(posix.dirname(list), `rules/${name}.ts`), 'rule.ts');
  create(`test/lint/rules/${name}.test.ts`, 'rule.test.ts');
  create(`docs/rules/${name}.md`, 'rule.md');
  register(list, camel(name), /^\];$/m, (end) => `  ${camel(name)},\n${end}`);
  // The index of the pages is written by the test that holds it.
  return () => {
    const args = ['run', '--project', 'unit', 'rule-pages', '-t', 'the index lists every rule'];
    runTool('vitest/vitest.mjs', args, { EVDB_UPDATE_RULE_INDEX: '1' });
    return ['docs/rules/README.md'];
  };
}

function newCheck(name) {
  const list = findExporter('DOCTOR_CHECKS');
  create(posix.join(posix.dirname(list), `${name}.ts`), 'check.ts');
  create(`test/doctor/${name}.test.ts`, 'check.test.ts');
  create(`test/doctor/${name}.server.test.ts`, 'check.server.test.ts');
  // Checks stand together by group, and that of the example is the first.
  register(list, constant(name), /^export const DOCTOR_CHECKS.*\[$/m, (start) => {
    return `${start}\n  ${constant(name)},`;
  });
  change('docs/doctor.md', /^### connections\n\n\|.*\n\|.*$/m, (table) => {
    const row = [`\`${name}\``, 'half full', '90 %', 'a full queue fails who notifies'];
    return `${table}\n| ${row.join(' | ')} |`;
  });
}

function newCommand(name) {
  const program = findExporter('buildProgram');
  create(posix.join(posix.dirname(program), `commands/${name}.ts`), 'command.ts');
  create(`test/cli/${name}.cli.test.ts`, 'command.test.ts');
  create(`docs/${name}.md`, 'command.md');
  register(program, `${constant(name)}_COMMAND`, /^const COMMANDS[\s\S]*?(?=^];)/m, (list) => {
    return `${list}  ${constant(name)}_COMMAND,\n`;
  });
  change(findExporter('Outputs'), /^export interface Outputs \{\n[\s\S]*?(?=^\})/m, (all) => {
    return `${all}  '${name}': { migrationsDir: string };\n`;
  });
  change('docs/README.md', /^## What the commands do\n\n(- .*\n)+/m, (list) => {
    return `${list}- [evdb ${name}](${name}.md): shows where the files are.\n`;
  });
  return () => {
    run(join(root, 'scripts/schemas.mjs'), []);
    run(join(root, 'scripts/docs.mjs'), []);
    created.push(`schemas/${name}.json`);
  };
}

/** The file that a skeleton becomes. */
function create(path, skeleton) {
  if (existsSync(join(root, path))) throw new Error(`${path} already exists`);
  const text = readFileSync(join(root, 'scripts/skeletons', `${skeleton}.txt`), 'utf8')
    .replaceAll('{{name}}', name)
    .replaceAll('{{camel}}', camel(name))
    .replaceAll('{{Pascal}}', pascal(name))
    .replaceAll('{{CONSTANT}}', constant(name));
  pending.set(
    path,
    text.replace(/^\/\/import (.*)$/m, (_, names) => imports(path, names)),
  );
  created.push(path);
}

/** Imports a new name into a file that is there, and puts it where it belongs. */
function register(path, exported, place, put) {
  const file = findExporter(exported);
  change(path, place, put);
  pending.set(path, `${importOf(path, file, [exported])}\n${pending.get(path)}`);
}

function change(path, place, put) {
  const before = pending.get(path) ?? readFileSync(join(root, path), 'utf8');
  if (!place.test(before)) throw new Error(`${path} has no place like ${place}`);
  pending.set(path, before.replace(place, put));
}

/** The statements for `type A, b, c from file.ts`; a file is named where a name is not enough. */
function imports(path, names) {
  const byFile = new Map();
  for (const one of names.split(', ')) {
    const [what, base] = one.split(' from ');
    const file = findExporter(what.replace(/^type /, ''), path, base);
    byFile.set(file, [...(byFile.get(file) ?? []), what]);
  }
  return [...byFile].map(([file, what]) => importOf(path, file, what)).join('\n');
}

function importOf(path, file, names) {
  const way = posix.relative(posix.dirname(path), file);
  return `import { ${names.join(', ')} } from '${way.startsWith('.') ? way : `./${way}`}';`;
}

/** The one file that exports a name: of src, and of test where the importing one is there. */
function findExporter(exported, from = 'src/', base = undefined) {
  const declares = new RegExp(
    `^export (?:async )?(?:function|const|class|interface|type) ${exported}\\b`,
    'm',
  );
  const folders = from.startsWith('test/') ? ['src', 'test'] : ['src'];
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => `${folder}/${path.replaceAll('\\', '/')}`),
  );
  const read = (path) => pending.get(path) ?? readFileSync(join(root, path), 'utf8');
  const found = [...new Set([...files, ...pending.keys()])].filter(
    (path) => (base === undefined || basename(path) === base) && declares.test(read(path)),
  );
  if (found.length === 1) return found[0];
  throw new Error(`${found.join(', ') || 'no file'} exports ${exported}: mend scripts/new.mjs`);
}

function runTool(path, args, env = {}) {
  run(join(root, 'node_modules', path), args, env);
}

function run(file, args, env = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${basename(file)} ${args.join(' ')}:\n${stdout}${stderr}`);
}

function pascal(name) {
  return name.replace(/(?:^|-)(.)/g, (_, letter) => letter.toUpperCase());
}

function camel(name) {
  const text = pascal(name);
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function constant(name) {
  return name.replaceAll('-', '_').toUpperCase();
}
