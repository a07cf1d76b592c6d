import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What one `import` or `export … from` takes from where. */
export interface SourceImport {
  /** The file, such as `src/errors.ts`, or the package as it is written. */
  from: string;
  /** Names at their origin; `*` where all of them are taken, or where they cannot be told. */
  names: string[];
  /** Whether nothing of it is left when the program runs. */
  isTypeOnly: boolean;
}

export interface SourceFile {
  /** From the project's root, such as `src/cli/main.ts`. */
  path: string;
  /** The text without comments. */
  code: string;
  lineCount: number;
  imports: SourceImport[];
}

// The formatter puts imports at the start of a line, so these need not know the whole language.
const staticImport = /^(?:import|export)\s+(type\s+)?([^;'"(=]*?)\s*from\s+'([^']+)'/gm;
const sideEffectImport = /^import\s+'([^']+)'/gm;
const dynamicImport =
  /(?:(?:const|let)\s*(\{[^}]*\})\s*=\s*await\s+|(typeof\s+)|\(await\s+)?import\(\s*'([^']+)'\s*,?\s*\)(?:\)?\.(\w+))?/g;

const importsTogether = /const\s+\[([^\]]*)\]\s*=\s*await\s+Promise\.all\(\[([^\]]*)\]\)/g;

/** Reads every TypeScript file below `src`. */
export function readSourceFiles(): SourceFile[] {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `src/${path.replaceAll('\\', '/')}`)
    .sort()
    .map((path) => parseSourceFile(path, readFileSync(join(root, path), 'utf8')));
}

/** Finds what a file imports. */
export function parseSourceFile(path: string, text: string): SourceFile {
  const code = spellOutTogether(withoutComments(text));
  const origin = (specifier: string) =>
    specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier;
  const imports: SourceImport[] = [];
  for (const [, type, clause = '', specifier = ''] of code.matchAll(staticImport)) {
    const { names, areTypes } = parseClause(clause);
    imports.push({ from: origin(specifier), names, isTypeOnly: Boolean(type) || areTypes });
  }
  for (const [, specifier = ''] of code.matchAll(sideEffectImport)) {
    imports.push({ from: origin(specifier), names: [], isTypeOnly: false });
  }
  for (const [, pattern, isType, specifier = '', member] of code.matchAll(dynamicImport)) {
    const names = pattern ? parseClause(pattern.replaceAll(':', ' as ')).names : [member ?? '*'];
    imports.push({ from: origin(specifier), names, isTypeOnly: Boolean(isType) });
  }
  return { path, code, lineCount: text.split('\n').length - 1, imports };
}

function parseClause(clause: string): { names: string[]; areTypes: boolean } {
  const braces = /\{([^}]*)\}/.exec(clause);
  const parts = (braces?.[1] ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const names = parts.map((part) => part.replace(/^type\s+/, '').replace(/\s+as\s.*$/, ''));
  const rest = clause
    .replace(/\{[^}]*\}/, '')
    .replaceAll(',', '')
    .trim();
  if (rest !== '') names.push(rest.startsWith('*') ? '*' : 'default');
  const areTypes = rest === '' && parts.length > 0 && parts.every((part) => /^type\s/.test(part));
  return { names, areTypes };
}

/** Turns `const [{ a }, b] = await Promise.all([import('x'), c()])` into single imports. */
function spellOutTogether(code: string): string {
  return code.replace(importsTogether, (whole, left: string, right: string) => {
    const patterns = left.match(/\{[^}]*\}|[^,{}\s]+/g) ?? [];
    const parts = right.trim().split(/,\s*/);
    // A call with several arguments would shift what follows it: leave that as it stands.
    if (parts.filter((part) => part !== '').length !== patterns.length) return whole;
    return patterns.map((pattern, i) => `const ${pattern} = await ${parts[i]};`).join(' ');
  });
}

function withoutComments(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/(?<=^|\s)\/\/ .*$/gm, '');
}
