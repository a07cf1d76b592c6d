import { hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Script one migration, the same for all tools
 * @property {string} name such as `create_item_000001`
 * @property {string} up
 * @property {string} down
 */

/** Writes them as a tool wants them; each gives the folder back. */
export const WRITERS = {
  evdb: (folder, scripts) =>
    write(folder, scripts, (number, { name, up, down }) => [
      [`${number}_${name}.sql`, up],
      [`${number}_${name}.down.sql`, down],
    ]),
  psql: (folder, scripts) => {
    write(folder, scripts, (number, { name, up }) => [[`${number}_${name}.sql`, up]]);
    const steps = scripts.map(
      ({ name }, index) =>
        `begin;\n\\i '${join(folder, `${numberOf(index)}_${name}.sql`)}'\ninsert into ledger values (${index + 1});\ncommit;\n`,
    );
    const ledger = 'create table if not exists ledger (version bigint primary key);\n';
    writeFileSync(join(folder, 'all.psql'), ledger + steps.join(''));
    const downs = scripts
      .map(
        ({ down }, index) =>
          `begin;\n${down}delete from ledger where version = ${index + 1};\ncommit;\n`,
      )
      .reverse();
    writeFileSync(join(folder, 'down.psql'), downs.join(''));
  },
  dbmate: (folder, scripts) =>
    write(folder, scripts, (number, { name, up, down }) => [
      [`${number}_${name}.sql`, `-- migrate:up\n${up}\n-- migrate:down\n${down}`],
    ]),
  'node-pg-migrate': (folder, scripts) =>
    write(folder, scripts, (number, { name, up, down }) => [
      [
        `${17e11 + Number(number)}_${name}.sql`,
        `-- Up Migration\n${up}\n-- Down Migration\n${down}`,
      ],
    ]),
  postgrator: (folder, scripts) =>
    write(folder, scripts, (number, { name, up, down }) => [
      [`${number}.do.${name}.sql`, up],
      [`${number}.undo.${name}.sql`, down],
    ]),
  'graphile-migrate': (folder, scripts) => {
    let previous = '';
    write(join(folder, 'migrations/committed'), scripts, (number, { up }) => {
      const text = `${`${previous}\n${up.trim()}`.trim()}\n`;
      const sum = `sha1:${hash('sha1', text, 'hex')}`;
      const head = `--! Previous: ${previous || '-'}\n--! Hash: ${sum}\n\n`;
      previous = sum;
      return [[`${number}.sql`, head + up]];
    });
    writeFileSync(join(folder, 'migrations/current.sql'), '');
    writeFileSync(join(folder, '.gmrc'), '{}\n');
  },
  Drizzle: (folder, scripts) => {
    write(folder, scripts, (number, { name, up }) => [
      [`${number}_${name}.sql`, up.replaceAll(/;\n(?=.)/g, ';\n--> statement-breakpoint\n')],
    ]);
    const entries = scripts.map(({ name }, idx) => ({
      ...{
        idx,
        version: '7',
        when: 17e11 + idx,
        tag: `${numberOf(idx)}_${name}`,
        breakpoints: true,
      },
    }));
    mkdirSync(join(folder, 'meta'), { recursive: true });
    writeFileSync(
      join(folder, 'meta/_journal.json'),
      JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
    );
  },
  sqitch: (folder, scripts) => {
    const at = (index) => new Date(17e11 + index * 1000).toISOString().replace(/\.\d+/, '');
    const lines = scripts.map(
      ({ name }, index) => `${name} ${at(index)} Bench <bench@example.org> # ${name}`,
    );
    for (const part of ['deploy', 'revert']) mkdirSync(join(folder, part), { recursive: true });
    for (const { name, up, down } of scripts) {
      writeFileSync(join(folder, 'deploy', `${name}.sql`), `begin;\n${up}commit;\n`);
      writeFileSync(join(folder, 'revert', `${name}.sql`), `begin;\n${down}commit;\n`);
    }
    writeFileSync(
      join(folder, 'sqitch.plan'),
      `%syntax-version=1.0.0\n%project=bench\n\n${lines.join('\n')}\n`,
    );
    writeFileSync(
      join(folder, 'sqitch.conf'),
      '[core]\n\tengine = pg\n[user]\n\tname = Bench\n\temail = bench@example.org\n',
    );
  },
};

/** @param {number} index */
function numberOf(index) {
  return String(index + 1).padStart(6, '0');
}

function write(folder, scripts, render) {
  mkdirSync(folder, { recursive: true });
  for (const [index, script] of scripts.entries())
    for (const [name, text] of render(numberOf(index), script))
      writeFileSync(join(folder, name), text);
}
