// Builds dist from src: `node scripts/build.mjs [--if-stale] [--no-check]`.
//   --if-stale  does nothing where dist is newer than every source file
//   --no-check  leaves out the type check
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { writeCompletion } from './completion.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const staging = join(root, '.cache', `build-${process.pid}`);
// The declarations of all sources: kept from build to build, as what the compiler knows of them is.
const declarations = join(root, '.cache/declarations');

// Finding, reading and linking a hundred small files costs a start more than the work itself. So
// the modules of the commands that run most often are bundled by which of them need them: what
// every start needs is one chunk, what `migrate status` needs beside it another. The two packages
// are inlined for the same reason; the others are loaded where they are used.
const INLINED = /^(commander|postgres)(\/|$)/;
/**
 * Development dependencies: of the 2.4 MB of dagre in two packages, this is 36 kB, of the nine of d3
 * 70 kB, and nobody has to install them.
 */
const BUNDLED =
  /^(@dagrejs\/|d3-(array|color|format|interpolate|path|scale|shape|time|time-format)$|internmap$)/;

/** The public entries, as src names them. */
const ENTRIES = readdirSync(join(root, 'src'))
  .filter((name) => /^index(\.\w+)?\.ts$/.test(name))
  .map((name) => name.slice(0, -'.ts'.length));

const STATUS = ['handleStatus', 'requireMigrations', 'readStatus', 'renderStatus', 'openSocket'];
/** By command: the functions that it imports late. What their files import is found by itself. */
const LATE_IMPORTS = {
  start: ['loadConfigFile', 'selectEnvironment', 'resolveServer'],
  embedded: ['hasEmbeddedServer', 'ensureEmbeddedServer'],
  status: STATUS,
  // It could do without readStatus and renderStatus, but they alone would be one more chunk.
  up: [...STATUS, 'handleUp', 'migrateUp'],
  lint: ['handleLint', 'requireMigrations'],
};

/** As CommonJS: an empty ES module alone makes a start a fifth slower. */
const CLI_OUTPUT = {
  format: 'cjs',
  comments: false,
  entryFileNames: '[name].cjs',
  chunkFileNames: '[name].cjs',
};

/**
 * What the packages that are inlined load of Node at once and a start does without: the driver is
 * given a socket with TLS on it, and no command of evdb is a program of its own.
 */
const SPARED = {
  name: 'spared-builtins',
  transform(code, id) {
    if (/node_modules[\\/]commander[\\/]lib[\\/]command\.js$/.test(id)) {
      return spare(code, "const childProcess = require('node:child_process');");
    }
    if (/node_modules[\\/]postgres[\\/]src[\\/]connection\.js$/.test(id)) {
      const withoutTls = spare(code, "import tls from 'tls'");
      // The same is there without an import.
      return spare(withoutTls, "import { performance } from 'perf_hooks'");
    }
    return null;
  },
};

function spare(code, statement) {
  if (!code.includes(statement))
    throw new Error(`scripts/build.mjs expects a package to have: ${statement}`);
  return code.replace(statement, '');
}

if (!process.argv.includes('--if-stale') || isStale()) {
  const startedAt = new Date();
  try {
    process.exitCode = await compile();
    if (process.exitCode === 0) publish(startedAt);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Whether a source changed since the last build began; dist carries that time, see publish(). */
function isStale() {
  if (!existsSync(join(dist, 'lib/index.js'))) return true;
  const src = join(root, 'src');
  const sources = [
    join(root, 'tsconfig.json'),
    join(root, 'tsconfig.build.json'),
    fileURLToPath(import.meta.url),
    // The folders count too: nothing else shows that a file was removed.
    src,
    ...readdirSync(src, { recursive: true }).map((path) => join(src, path)),
  ];
  return Math.max(...sources.map((path) => statSync(path).mtimeMs)) >= statSync(dist).mtimeMs;
}

/** Bundles src into staging, and has the types checked and written beside it. */
async function compile() {
  const require = createRequire(import.meta.url);
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  // Kept, so that the next build checks what changed, in a seventh of the time.
  const kept = ['--incremental', '--tsBuildInfoFile', join(declarations, 'tsconfig.tsbuildinfo')];
  const flags = ['-p', 'tsconfig.build.json', '--outDir', declarations, ...kept];
  if (process.argv.includes('--no-check')) flags.push('--noCheck');
  const { status } = spawnSync(process.execPath, [tsc, ...flags], { cwd: root, stdio: 'inherit' });
  if (status !== 0) return status ?? 1;
  publishTypes();
  await bundleCli();
  await bundleLibrary();
  await writeCompletion(join(staging, 'completion'));
  copyFileSync(
    join(dirname(require.resolve('@dagrejs/dagre/package.json')), 'dist/dagre.cjs.LEGAL.txt'),
    join(staging, 'LICENSE-dagre.txt'),
  );
  // The same for all of its packages, but for the years.
  copyFileSync(join(root, 'node_modules/d3-scale/LICENSE'), join(staging, 'LICENSE-d3.txt'));
  return 0;
}

/** The declarations that the entries reach, once for each kind of module. */
function publishTypes() {
  const from = declarations;
  const reached = new Set(ENTRIES.map((entry) => `${entry}.d.ts`));
  for (const path of reached) {
    // The compiler leaves the endings of the sources, which older ones do not follow.
    const text = readFileSync(join(from, path), 'utf8').replace(
      /(["'])(\.{1,2}\/[^"']+)\.ts\1/g,
      (_, quote, target) => {
        reached.add(join(dirname(path), `${target}.d.ts`));
        return `${quote}${target}.js${quote}`;
      },
    );
    for (const to of ['types', 'commonjs/types']) {
      const file = join(staging, to, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }
}

// All are two folders below the package's root, where templates and package.json are looked for.

/** What starts first alone, then all the rest, which that loads in its own way. */
async function bundleCli() {
  await bundleInto(
    {
      input: { main: join(root, 'src/cli/main.ts') },
      external: isPackage,
      plugins: [
        {
          name: 'load-builtins-late',
          renderChunk: (code, { name }) => (name === 'answer' ? loadBuiltinsLate(code) : null),
        },
      ],
    },
    { ...CLI_OUTPUT, dir: join(staging, 'cli') },
  );
  const importer = 'module.exports = (specifier) => import(specifier);\n';
  writeFileSync(join(staging, 'cli/import.cjs'), importer);
  const program = join(root, 'src/cli/program.ts');
  let chunks = new Map();
  const findChunks = {
    name: 'find-chunks',
    buildEnd(error) {
      if (!error) chunks = assignChunks(program, readGraph(this));
    },
  };
  await bundleInto(
    {
      input: { program },
      external: (id) => isPackage(id) && !INLINED.test(id) && !BUNDLED.test(id),
      plugins: [
        findChunks,
        SPARED,
        { name: 'require-builtins', renderChunk: requireBuiltins },
        { name: 'load-builtins-late', renderChunk: loadBuiltinsLate },
      ],
    },
    {
      dir: join(staging, 'cli'),
      ...CLI_OUTPUT,
      codeSplitting: {
        groups: [
          // On its own: it loads node:tls, which commands without a database do without.
          { name: 'postgres', test: /node_modules[\\/]postgres[\\/]/ },
          // A group takes with it what its modules import, so what more commands need comes first.
          ...chunkNames().map((name) => ({ name, test: (id) => chunks.get(id) === name })),
        ],
      },
    },
  );
  for (const name of readdirSync(join(staging, 'cli'))) writeAsAscii(join(staging, 'cli', name));
}

/**
 * The kept code counts on it, and Node keeps a file twice as large that holds another character. Done
 * with the finished file, because the bundler writes characters out again. What is no string or
 * pattern stands in comments, which are gone.
 */
function writeAsAscii(path) {
  const code = readFileSync(path, 'utf8');
  if (/\\[\u0080-\uffff]/.test(code))
    throw new Error(`${path} has a backslash before such a character`);
  const escaped = code.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  if (escaped !== code) writeFileSync(path, escaped);
}

/** What a chunk can be called, those that most commands need first. */
function chunkNames() {
  const [, ...commands] = Object.keys(LATE_IMPORTS);
  const sets = [[]];
  for (const command of commands) sets.push(...sets.map((set) => [...set, command]));
  const byNeed = sets.slice(1).sort((a, b) => b.length - a.length);
  return ['core', ...byNeed.map((set) => ['for', ...set].join('-'))];
}

/** Every module by its path, with what it imports at once and late, and its exports. */
function readGraph(bundler) {
  const modules = [...bundler.getModuleIds()].map((id) => [id, bundler.getModuleInfo(id)]);
  return new Map(modules.filter(([, info]) => info && !info.isExternal));
}

/**
 * A module's chunk is named after the commands that need it. As what it imports is needed by all of
 * those, a command loads no module but its own, and no two chunks need each other.
 */
function assignChunks(program, graph) {
  const start = closure([program, ...lateImports('start')]);
  const chunks = new Map([...start].map((id) => [id, 'core']));
  for (const command of Object.keys(LATE_IMPORTS).filter((name) => name !== 'start')) {
    for (const id of closure(lateImports(command))) {
      if (start.has(id)) continue;
      chunks.set(id, chunks.has(id) ? `${chunks.get(id)}-${command}` : `for-${command}`);
    }
  }
  chunks.delete(program);
  return chunks;

  function lateImports(command) {
    return LATE_IMPORTS[command].map((name) => findExporter(name, graph));
  }

  /** With all that they import at once. */
  function closure(ids) {
    const reached = new Set(ids);
    for (const id of reached) {
      for (const imported of graph.get(id)?.importedIds ?? []) {
        if (graph.has(imported)) reached.add(imported);
      }
    }
    return reached;
  }
}

/** The module that exports a function and is imported late for it. */
function findExporter(name, graph) {
  const found = [...graph].filter(
    ([, { exports, dynamicImporters }]) => exports.includes(name) && dynamicImporters.length > 0,
  );
  if (found.length === 1) return found[0][0];
  const files = found.map(([id]) => relative(root, id)).join(', ') || 'no file';
  throw new Error(
    `LATE_IMPORTS in scripts/build.mjs has ${name}, which ${files} exports to an import()`,
  );
}

/**
 * `import()` starts the loader of ES modules, which takes as long as the rest of a small lint. What
 * is left of it is for the files of others, and for packages that are nothing but ES modules: it
 * stands in a file of its own, because Node refuses it in code that it did not load itself.
 */
function requireBuiltins(code) {
  return code
    .replace(
      /\bimport\((["'])(libpg-query|node:[\w/]+)\1\)/g,
      (_, _quote, name) => `new Promise((resolve) => resolve(require("${name}")))`,
    )
    .replace(/(?<![\w.$])import\(/g, 'require("./import.cjs")(');
}

/**
 * What Node has not loaded itself, such as `node:zlib`, takes a millisecond or two, and most commands
 * use few of what their files import: each is loaded when it is used first. So is the clock, which
 * Node 20 has in a module of its own.
 */
function loadBuiltinsLate(code) {
  const imported = /^let (node_(?!fs\b|path\b)\w+) = (require\("node:[\w/]+"\));$/gm;
  let late = code;
  for (const [statement, name, load] of code.matchAll(imported)) {
    if (new RegExp(`^${name} = `, 'm').test(code))
      throw new Error(`scripts/build.mjs does not know how to load late: ${statement}`);
    late = late
      .replaceAll(new RegExp(`\\b${name}\\.`, 'g'), `(${name}()).`)
      .replace(
        statement,
        `let ${name}_loaded;\nconst ${name} = () => (${name}_loaded ??= ${load});`,
      );
  }
  return late.replaceAll('performance.now()', '(process.uptime() * 1000)');
}

/**
 * As CommonJS too, with its own declarations, for Jest and what else cannot load ES modules. The
 * ES modules only hand on what CommonJS exports, and the entries share what they have in common, so
 * that a process has one `EvdbError` and one `databaseManager`, whichever of them it loads.
 */
async function bundleLibrary() {
  const dir = join(staging, 'commonjs');
  const output = await bundleInto(
    {
      input: Object.fromEntries(ENTRIES.map((entry) => [entry, join(root, 'src', `${entry}.ts`)])),
      external: (id) => isPackage(id) && !BUNDLED.test(id),
      plugins: [{ name: 'require-packages', renderChunk: requirePackages }],
    },
    {
      dir,
      format: 'cjs',
      exports: 'named',
      entryFileNames: '[name].js',
      chunkFileNames: '[name].js',
    },
  );
  writeFileSync(join(dir, 'package.json'), '{ "type": "commonjs" }\n');
  mkdirSync(join(staging, 'lib'), { recursive: true });
  for (const { name, exports } of output.filter((chunk) => chunk.isEntry)) {
    // Node reads a CommonJS file that is imported twice, the first time for names to export. It does
    // not follow this one, which spares a program a fifth of the import.
    writeFileSync(
      join(staging, `lib/${name}.cjs`),
      `const library = require('../commonjs/${name}.js');\nmodule.exports = library;\n`,
    );
    writeFileSync(
      join(staging, `lib/${name}.js`),
      `import library from './${name}.cjs';\n\nexport const {\n  ${exports.toSorted().join(',\n  ')},\n} = library;\n`,
    );
  }
}

/**
 * `import()` of a package works in CommonJS, but not under Jest, and starts the loader of ES modules.
 * None of the library's packages is an ES module only; a config file is, and stays as it is.
 */
function requirePackages(code) {
  const found = /\bimport\((["'])([^"']+)\1\)/g;
  if (!found.test(code)) return null;
  const replaced = code.replace(found, (_, _quote, name) => {
    if (!isPackage(name)) throw new Error(`import("${name}") is left in the CommonJS library`);
    return `new Promise((resolve) => resolve(asNamespace(require("${name}"))))`;
  });
  return `${replaced}
function asNamespace(loaded) {
  return loaded.__esModule ? loaded : Object.create(loaded, { default: { value: loaded } });
}
`;
}

async function bundleInto(input, output) {
  const bundle = await rolldown({
    ...input,
    platform: 'node',
    // an entry needs at once what it exports, and so defeats on purpose what the CLI loads late
    checks: { ineffectiveDynamicImport: false },
  });
  const { output: chunks } = await bundle.write(output);
  await bundle.close();
  return chunks;
}

function isPackage(id) {
  return !/^(\.|\/|[A-Z]:)/.test(id);
}

/** File by file, so that a command which starts meanwhile never finds an empty folder. */
function publish(startedAt) {
  const built = new Set(listFiles(staging));
  for (const path of built) {
    mkdirSync(dirname(join(dist, path)), { recursive: true });
    renameSync(join(staging, path), join(dist, path));
  }
  for (const path of listFiles(dist)) {
    if (!built.has(path)) rmSync(join(dist, path));
  }
  utimesSync(dist, startedAt, startedAt);
}

/** Paths of all files below a folder, relative to it. */
function listFiles(folder) {
  return readdirSync(folder, { recursive: true }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
}
