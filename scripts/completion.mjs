// Writes what completion in a shell needs: a script for each shell, and the command line as data.
// The build calls it; dist/completion is the place.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { script } from '@bomb.sh/tab';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const parts = fileURLToPath(new URL('completion', import.meta.url));

/** @param folder where dist/completion is made */
export async function writeCompletion(folder) {
  mkdirSync(folder, { recursive: true });
  const described = await describeCommands();
  writeFileSync(join(folder, 'commands.json'), JSON.stringify(described));
  for (const [name, text] of Object.entries(makeScripts())) writeFileSync(join(folder, name), text);
}

/** By their names: those of @bomb.sh/tab, and for bash our own, see docs/decisions.md. */
function makeScripts() {
  return {
    'evdb.bash': part('evdb.bash'),
    'evdb.zsh': makeZsh(),
    'evdb.fish': `${part('find.fish')}\n${generate('fish', '__evdb_run')}${part('npx.fish')}`,
    'evdb.ps1': generate('powershell', 'evdb'),
  };
}

function makeZsh() {
  const made = generate('zsh', '__evdb_run');
  const head = '#compdef evdb\ncompdef _evdb evdb\n';
  // It is evaluated once more, with what the user has typed.
  const flag = /(flagPrefix="-P \$\{)(BASH_REMATCH\}")/;
  if (!made.startsWith(head) || !flag.test(made)) {
    throw new Error('scripts/completion.mjs expects another script for zsh of @bomb.sh/tab');
  }
  const rest = made.slice(head.length).replace(flag, '$1(q)$2');
  return `#compdef evdb\n\n${part('find.zsh')}compdef _evdb evdb\n${rest}`;
}

function part(name) {
  return readFileSync(join(parts, name), 'utf8');
}

/** The library prints what it makes. */
function generate(shell, program) {
  const { log } = console;
  let text = '';
  console.log = (line) => {
    text += `${line}\n`;
  };
  try {
    script(shell, 'evdb', program);
  } finally {
    console.log = log;
  }
  return text.trimStart();
}

/** From the sources, bundled into a folder that is removed again: Node 20 does not run TypeScript. */
async function describeCommands() {
  const made = join(root, '.cache', `completion-${process.pid}`);
  try {
    const bundle = await rolldown({
      input: { describe: join(root, 'src/cli/completion/describe.ts') },
      platform: 'node',
      external: (id) => !/^(\.|\/|[A-Z]:)/.test(id),
      checks: { ineffectiveDynamicImport: false },
    });
    await bundle.write({ dir: made, entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' });
    await bundle.close();
    const module = await import(pathToFileURL(join(made, 'describe.mjs')).href);
    return module.describeCommands();
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
