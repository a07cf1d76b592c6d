const LONGEST_NAME = 100;

/** Words of another tool's file name as evdb's file names can hold them. */
export function fileNameOf(words: string, fallback: string): string {
  const name = words
    .replaceAll(/[^A-Za-z0-9_.-]+/g, '_')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, LONGEST_NAME)
    .replace(/[_.-]+$/, '')
    // evdb would take it for a down script
    .replace(/\.down$/, '_down');
  return name === '' ? fallback : name;
}
