// Makes docs/reference/api.md from the docstrings of what the entries export (src/index*.ts), for docs.mjs.
// test/api.slow.test.ts holds the page, the docstrings, and that the examples compile.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

// TypeScript 7 has no stable API yet; the generator of the schemas brings a version that has one.
const ts = createRequire(
  createRequire(import.meta.url).resolve('ts-json-schema-generator/package.json'),
)('typescript');

const root = fileURLToPath(new URL('../', import.meta.url));

/** What an example may use without making it. */
const GIVEN = `
import type * as evdb from './index.ts';
import type * as events from './index.events.ts';
import type * as ops from './index.ops.ts';
declare global {
  const config: evdb.Config;
  const options: evdb.MigrateOptions;
  const connection: evdb.ConnectionOptions;
  const members: ops.FleetMember[];
  const member: ops.FleetMember;
  const session: evdb.Session;
  const pool: evdb.DatabasePool;
  const tx: evdb.Transaction;
  const client: events.RegistrationClient;
  const error: unknown;
  const signal: AbortSignal;
  const directory: string;
  const response: import('node:http').ServerResponse;
  const plan: evdb.ImpactPlan;
  const wanted: ops.Structure;
  const found: ops.Structure;
  const userId: number;
  const eventId: number;
}
`;

const KINDS = ['class', 'function', 'const', 'interface', 'type'];

const ABOUT = {
  evdb: 'Migrations, configuration, errors, the pool, the manager and the embedded server.',
  'evdb/events': 'The event schema: registrations, events, the audit log and business rules.',
  'evdb/ops': 'Statistics, doctor, databases and structures.',
  'evdb/lint': 'The linter.',
};

/**
 * What each entry exports.
 *
 * @param {{ name: string, path: string }[]} [entries] default those of the package
 */
export function readApi(entries = listEntries()) {
  const { options } = ts.getParsedCommandLineOfConfigFile(`${root}tsconfig.json`, {}, ts.sys);
  const paths = entries.map(({ path }) => path);
  const program = ts.createProgram(paths, { ...options, noEmit: true });
  const checker = program.getTypeChecker();
  return entries.map(({ name, path }) => {
    const symbol = checker.getSymbolAtLocation(program.getSourceFile(path));
    const names = checker.getExportsOfModule(symbol).map((one) => describe(one, checker));
    return { name, names: names.sort(byKindAndName) };
  });
}

function listEntries() {
  return readdirSync(`${root}src`)
    .filter((file) => /^index(\.\w+)?\.ts$/.test(file))
    .map((file) => ({
      name: file.replace(/^index\.?(\w*)\.ts$|^index\.ts$/, (_, part) =>
        part ? `evdb/${part}` : 'evdb',
      ),
      path: `${root}src/${file}`,
    }))
    .sort((a, b) => Object.keys(ABOUT).indexOf(a.name) - Object.keys(ABOUT).indexOf(b.name));
}

function byKindAndName(a, b) {
  const rank = ({ kind }) => Math.min(KINDS.indexOf(kind), 3);
  return rank(a) - rank(b) || (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1);
}

function describe(exported, checker) {
  const symbol =
    exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const [declaration] = symbol.declarations;
  const tags = symbol.getJsDocTags(checker).map(({ name, text }) => ({
    name,
    text: ts.displayPartsToString(text).trim(),
  }));
  return {
    name: exported.name,
    kind: kindOf(declaration),
    text: ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim(),
    params: tags.filter(({ name }) => name === 'param').map(({ text }) => text),
    throws: tags.filter(({ name }) => name === 'throws').map(({ text }) => text),
    returns: tags.filter(({ name }) => name === 'returns').map(({ text }) => text),
    examples: tags.filter(({ name }) => name === 'example').map(({ text }) => text),
    code: codeOf(declaration, checker),
    isSilent: undocumentedOptions(declaration),
  };
}

function kindOf(declaration) {
  if (ts.isClassDeclaration(declaration)) return 'class';
  if (ts.isFunctionDeclaration(declaration)) return 'function';
  if (ts.isInterfaceDeclaration(declaration)) return 'interface';
  return ts.isTypeAliasDeclaration(declaration) ? 'type' : 'const';
}

/** Members of options that may be left out, and say nothing about what happens then. */
function undocumentedOptions(declaration) {
  if (!ts.isInterfaceDeclaration(declaration) || !/(Options|Input)$/.test(declaration.name.text)) {
    return [];
  }
  return declaration.members
    .filter((member) => member.questionToken && ts.getJSDocCommentsAndTags(member).length === 0)
    .map((member) => member.name.getText());
}

/** The declaration as a caller sees it: without bodies, and without what is private. */
function codeOf(declaration, checker) {
  if (ts.isVariableDeclaration(declaration)) {
    const type = checker.typeToString(checker.getTypeAtLocation(declaration.name));
    return `const ${declaration.name.text}: ${type};`;
  }
  if (ts.isFunctionDeclaration(declaration)) {
    return `function ${signatureOf(declaration.symbol.name, declaration, checker)}`;
  }
  if (ts.isClassDeclaration(declaration)) return classOf(declaration, checker);
  return declaration.getText().replace(/^export /, '');
}

function signatureOf(name, node, checker) {
  const generics = node.typeParameters
    ? `<${node.typeParameters.map((one) => one.getText()).join(', ')}>`
    : '';
  const parameters = node.parameters.map((one) => {
    // What is taken apart at once is an object of options to whoever calls.
    const label = ts.isIdentifier(one.name) ? one.name.text : 'options';
    const mark = one.questionToken || one.initializer ? '?' : '';
    const type = one.type?.getText() ?? checker.typeToString(checker.getTypeAtLocation(one));
    return `${one.dotDotDotToken ? '...' : ''}${label}${mark}: ${type}`;
  });
  const returned = ts.isConstructorDeclaration(node)
    ? ''
    : `: ${node.type?.getText() ?? checker.typeToString(checker.getReturnTypeOfSignature(checker.getSignatureFromDeclaration(node)))}`;
  const short = `${name}${generics}(${parameters.join(', ')})${returned};`;
  if (short.length <= 96 && !short.includes('\n')) return short;
  return `${name}${generics}(\n${parameters.map((one) => `  ${one},\n`).join('')})${returned};`;
}

function classOf(declaration, checker) {
  const heritage = (declaration.heritageClauses ?? [])
    .map((clause) => ` ${clause.getText()}`)
    .join('');
  const generics = declaration.typeParameters
    ? `<${declaration.typeParameters.map((one) => one.getText()).join(', ')}>`
    : '';
  const seen = new Set();
  const members = declaration.members
    .filter((member) => isPublic(member))
    .map((member) => memberOf(member, checker, seen))
    .filter((text) => text !== undefined);
  return `class ${declaration.name.text}${generics}${heritage} {\n${members.join('\n')}\n}`;
}

function isPublic(member) {
  if (member.name && ts.isPrivateIdentifier(member.name)) return false;
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  return (ts.getCombinedModifierFlags(member) & hidden) === 0;
}

function memberOf(member, checker, seen) {
  const name = ts.isConstructorDeclaration(member) ? 'constructor' : member.name?.getText();
  if (name === undefined || name.startsWith('[')) return undefined;
  // The declarations of an overloaded method are all there is to call.
  const isImplementation = member.body && seen.has(name);
  if (isImplementation) return undefined;
  if (!member.body && !ts.isPropertyDeclaration(member)) seen.add(name);
  const doc = commentOf(member);
  const modifiers = /^(static |readonly |get )*/.exec(
    member.getText().replace(/\b(public|override|async|declare) /g, ''),
  )[0];
  if (ts.isPropertyDeclaration(member) || ts.isGetAccessor(member)) {
    const type = member.type?.getText() ?? checker.typeToString(checker.getTypeAtLocation(member));
    return `${doc}  ${modifiers.replace('get ', 'readonly ')}${name}${member.questionToken ? '?' : ''}: ${type};`;
  }
  const signature = signatureOf(name, member, checker).replaceAll('\n', '\n  ');
  return `${doc}  ${modifiers}${signature}`;
}

/** The comment above a member, without what only concerns its implementation. */
function commentOf(member) {
  const [comment] = ts.getJSDocCommentsAndTags(member);
  return comment ? `  ${comment.getText()}\n` : '';
}

/** What is missing from the docstrings, a sentence each. */
export function findProblems(api) {
  const known = new Set(api.flatMap(({ names }) => names.map(({ name }) => name)));
  const problems = api.flatMap(({ name: entry, names }) =>
    names.flatMap((one) => {
      const who = `${one.name} of ${entry}`;
      const found = [];
      if (one.text === '') found.push(`${who} has no docstring`);
      if (['class', 'function'].includes(one.kind) && one.examples.length === 0) {
        found.push(`${who} has no example`);
      }
      if (one.kind === 'function' && /: Promise</.test(one.code) && one.throws.length === 0) {
        found.push(`${who} does not say what it throws`);
      }
      for (const [, name] of one.throws.join(' ').matchAll(/`([a-z]+[A-Z]\w*)`/g)) {
        if (!known.has(name)) found.push(`${who} throws what ${name} does, which is not public`);
      }
      for (const member of one.isSilent) {
        found.push(`${who} does not say what happens without ${member}`);
      }
      return found;
    }),
  );
  return [...problems, ...findDoubles(api)];
}

function findDoubles(api) {
  const owners = new Map();
  for (const { name: entry, names } of api) {
    for (const { name } of names) owners.set(name, [...(owners.get(name) ?? []), entry]);
  }
  return [...owners]
    .filter(([, entries]) => entries.length > 1)
    .map(([name, entries]) => `${name} is exported by ${entries.join(' and ')}`);
}

/** Compiles each example with the names that it uses, and says what does not fit. */
export function checkExamples(api) {
  const files = new Map([['given', `${GIVEN}export {};\n`]]);
  for (const { name, examples } of api.flatMap(({ names }) => names)) {
    examples.forEach((text, index) => {
      files.set(`example ${index + 1} of ${name}`, asModule(text, api));
    });
  }
  const program = compile(files);
  return [...files.keys()].flatMap((title) => {
    const source = program.getSourceFile(pathOfText(title));
    const found = [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ];
    return found.map(({ messageText, start }) => {
      const { line } = source.getLineAndCharacterOfPosition(start ?? 0);
      const said = ts.flattenDiagnosticMessageText(messageText, ' ');
      return `${title}: ${said}: ${source.text.split('\n')[line]}`;
    });
  });
}

/** A program of texts that stand beside the entries without being written there. */
function compile(texts) {
  const { options } = ts.getParsedCommandLineOfConfigFile(`${root}tsconfig.json`, {}, ts.sys);
  const made = new Map([...texts].map(([title, text]) => [pathOfText(title), text]));
  const settings = { ...options, noEmit: true, noUnusedLocals: false, noUnusedParameters: false };
  const host = ts.createCompilerHost(settings);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => made.has(path) || fileExists(path);
  host.getSourceFile = (path, version, ...rest) =>
    made.has(path)
      ? ts.createSourceFile(path, made.get(path), version)
      : getSourceFile(path, version, ...rest);
  return ts.createProgram([...made.keys()], settings, host);
}

function pathOfText(title) {
  return `${root}src/${title.replaceAll(' ', '-')}.ts`;
}

/** With its own imports, or else with one for each public name in it. */
function asModule(text, api) {
  const words = new Set(text.match(/[A-Za-z]\w*/g));
  const imports = /^import /m.test(text)
    ? []
    : api.flatMap(({ name: entry, names }) =>
        names
          .filter(({ name }) => words.has(name))
          .map(({ name, kind }) => {
            const isType = ['interface', 'type'].includes(kind);
            return `import ${isType ? 'type ' : ''}{ ${name} } from '${entry}';`;
          }),
      );
  const fromSource = [...imports, text, 'export {};']
    .join('\n')
    .replaceAll(/from '(evdb[/\w]*)'/g, (_, entry) => `from '${fileOf(entry)}'`);
  return `${fromSource}\n`;
}

function fileOf(entry) {
  const [, part] = entry.split('/');
  return part === undefined ? './index.ts' : `./index.${part}.ts`;
}

/** The page: an index for each entry, then each name with its declaration, its text and its example. */
export function renderApi(api) {
  const anchors = anchorsOf(api);
  const parts = [
    '# The library',
    'Written from the docstrings by `npm run docs`; change those.',
    `Each entry is an ES module and CommonJS, with types for both. Whichever a process loads, there is one class
\`EvdbError\` and one \`databaseManager\`. Errors that evdb throws on purpose are \`EvdbError\` with a \`code\`, see
[errors.md](errors.md). Names that end in \`Ms\` and \`Millis\` are in milliseconds, those in \`Bytes\` in bytes.`,
  ];
  for (const entry of api) parts.push(...renderIndex(entry, anchors));
  for (const entry of api) {
    for (const one of entry.names) parts.push(...renderName(one, anchors, entry.name));
  }
  return `${parts.join('\n\n')}\n`;
}

/** As pages of GitHub number headings that differ by case alone, such as those of `databaseManager`. */
function anchorsOf(api) {
  const taken = new Map();
  const names = api.flatMap((entry) => entry.names.map(({ name }) => name));
  return new Map(
    names.map((name) => {
      const anchor = name.toLowerCase();
      const before = taken.get(anchor) ?? 0;
      taken.set(anchor, before + 1);
      return [name, before === 0 ? anchor : `${anchor}-${before}`];
    }),
  );
}

function renderIndex({ name, names }, anchors) {
  const list = (wanted) =>
    names
      .filter(({ kind }) => wanted.includes(kind))
      .map((one) => `[${one.name}](#${anchors.get(one.name)})`)
      .join(' · ');
  return [
    `## ${name}`,
    ABOUT[name] ?? '',
    list(['class', 'function', 'const']),
    `Types: ${list(['interface', 'type'])}`,
  ];
}

function renderName(one, anchors, entry) {
  const parts = [`### ${one.name}`, `\`${entry}\``];
  if (one.text !== '') parts.push(one.text);
  parts.push(`\`\`\`ts\n${one.code}\n\`\`\``);
  if (one.params.length > 0) {
    parts.push(one.params.map((text) => `- ${text.replace(/^(\w+)\s*/, '`$1`: ')}`).join('\n'));
  }
  for (const text of one.returns) parts.push(`Returns ${text}`);
  for (const text of one.throws) parts.push(`Throws ${text.replace(/^\{?(\w+)\}?/, '`$1`')}`);
  for (const text of one.examples) parts.push(`\`\`\`ts\n${text}\n\`\`\``);
  const types = [...new Set(one.code.match(/\b[A-Z]\w+/g))].filter(
    (name) => anchors.has(name) && name !== one.name,
  );
  if (types.length > 0) {
    parts.push(`See ${types.map((name) => `[${name}](#${anchors.get(name)})`).join(', ')}.`);
  }
  return parts;
}
