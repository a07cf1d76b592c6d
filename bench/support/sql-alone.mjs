import { dirname } from 'node:path';
import { importLibrary } from './build.mjs';
import { timeProcess } from './process.mjs';

/**
 * All that reading something asks the server, as a script for psql.
 *
 * @param {object} options of the connection
 * @param {(session: object) => Promise<unknown>} read
 * @returns {Promise<string>}
 */
export async function recordStatements(options, read) {
  const { withInspection } = await importLibrary('index.js');
  const statements = ["set search_path = ''"];
  await withInspection(options, (session) => {
    const run = (text) => {
      statements.push(text);
      return session.run(text);
    };
    return read(Object.create(session, { run: { value: run } }));
  });
  return `${statements.join(';\n')};\n`;
}

/**
 * Runs a script in a psql of its own, whose output goes nowhere.
 *
 * @param {string} script its path
 * @param {string} url
 */
export function timeScript(script, url) {
  const flags = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', script];
  return timeProcess('psql', [...flags, url], { cwd: dirname(script) });
}
