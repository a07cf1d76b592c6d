import { type Cell, renderTable, type Style, type TableRenderer } from '../report/table.ts';
import { renderCount, renderDuration, renderNumber } from '../text/units.ts';
import { renderState } from '../text/words.ts';
import type { FleetGroup, FleetMatrix } from './matrix.ts';
import type { FleetMember } from './members.ts';
import type { FleetResult, MemberOutcome, MemberState } from './run.ts';

/** In the order of what matters. */
const STATE_WORDS: Record<MemberState, string> = {
  failed: 'failed',
  interrupted: 'interrupted',
  found: 'with findings',
  done: 'done',
  doneBefore: 'done before',
  notBegun: 'not begun',
};

const COLOURS: Record<MemberState, keyof Style> = {
  failed: 'bad',
  interrupted: 'bad',
  found: 'warn',
  done: 'good',
  doneBefore: 'dim',
  notBegun: 'warn',
};

/** So many names of members are listed with each state. */
const MOST_NAMES = 20;

interface Summary {
  fleet: string;
  members: readonly MemberOutcome[];
  stopped: FleetResult['stopped'];
  durationMs: number;
  /** What was said by many. */
  hidden: readonly string[];
  /** The command that goes on. */
  resume: string | undefined;
}

/** Where each member stands: a line that counts, and the names of those that are not done. */
export function renderFleetSummary(summary: Summary, style: Style): string {
  const { fleet, members, stopped, durationMs, hidden, resume } = summary;
  const states = Object.keys(STATE_WORDS) as MemberState[];
  const grouped = states.map((state) => ({
    state,
    of: members.filter((one) => one.state === state),
  }));
  const counts = grouped
    .filter(({ of }) => of.length > 0)
    .map(({ state, of }) =>
      style[COLOURS[state]](`${renderNumber(of.length)} ${STATE_WORDS[state]}`),
    );
  const listed = grouped.filter(
    ({ state, of }) => of.length > 0 && state !== 'done' && state !== 'doneBefore',
  );
  return [
    ...hidden.map((line) => style.dim(line)),
    `fleet ${fleet}: ${renderCount(members.length, 'member')}, ${counts.join(', ')}, in ${renderDuration(durationMs)}`,
    ...listed.map(({ state, of }) => `  ${STATE_WORDS[state]}: ${renderNames(of)}`),
    ...(stopped ? [style.warn(`stopped: ${stopped.reason}`)] : []),
    ...(resume === undefined ? [] : [`to go on: ${resume}`]),
  ].join('\n');
}

function renderNames(members: readonly MemberOutcome[]): string {
  const shown = members.slice(0, MOST_NAMES).map(({ member, error }) => {
    return error ? `${member} (${error.code})` : member;
  });
  const more = members.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** The members with their labels; never their URLs. */
export function renderMembers(
  members: readonly Pick<FleetMember, 'name' | 'database' | 'schema' | 'labels'>[],
  { style, table = renderTable }: { style: Style; table?: TableRenderer | undefined },
): string {
  const labels = [...new Set(members.flatMap((one) => Object.keys(one.labels)))];
  const columns = [
    { title: 'member' },
    { title: 'database', priority: 1 },
    { title: 'schema' },
    ...labels.map((title) => ({ title, text: 'cuts' as const, priority: 2 })),
  ];
  const rows = members.map(({ name, database, schema, labels: of }) =>
    [name, database ?? '-', schema ?? '-', ...labels.map((label) => of[label] ?? '-')].map(
      (text) => ({ text }),
    ),
  );
  return `${table(columns, rows, style)}\n${renderCount(members.length, 'member')}`;
}

/** More columns than a screen holds would hide all of them. */
const MOST_VERSIONS = 8;
/** At most how many differences of a group are listed. */
const MOST_DIFFERENCES = 12;

/** The versions in which members differ, by groups of members, the outliers first. */
export function renderMatrix(
  matrix: FleetMatrix,
  {
    fleet,
    style,
    table = renderTable,
  }: { fleet: string; style: Style; table?: TableRenderer | undefined },
): string {
  const { versions, groups, structures, isUniform } = matrix;
  const shown = versions.slice(-MOST_VERSIONS);
  const letters = lettersOf(groups);
  const columns = [
    { title: 'members', text: 'cuts' as const },
    { title: 'count', align: 'right' as const },
    { title: 'newest' },
    ...shown.map((title) => ({ title, priority: 1 })),
    ...(structures === null ? [] : [{ title: 'structure' }]),
  ];
  const rows = groups.map((group): Cell[] => [
    { text: group.members.slice(0, 3).join(', ') + (group.members.length > 3 ? ', …' : '') },
    { text: renderNumber(group.members.length) },
    group.error ? { text: group.error.code, colour: 'bad' } : { text: group.newest ?? '-' },
    ...shown.map((version) => cellOf(group, version)),
    ...(structures === null ? [] : [{ text: letters.get(group.fingerprint ?? '') ?? '-' }]),
  ]);
  const total = groups.reduce((sum, { members }) => sum + members.length, 0);
  const hidden = versions.length - shown.length;
  return [
    table(columns, rows, style),
    ...(hidden > 0
      ? [style.dim(`… ${renderCount(hidden, 'older version')} in which members differ`)]
      : []),
    ...groups.flatMap((group) => renderDifferences(group, style)),
    isUniform
      ? style.good(`fleet ${fleet}: ${renderCount(total, 'member')}, all alike, everything applied`)
      : `fleet ${fleet}: ${renderCount(total, 'member')} in ${renderCount(groups.length, 'group')}`,
  ].join('\n');
}

function cellOf({ states, error, newest }: FleetGroup, version: string): Cell {
  if (error) return { text: '?' };
  const state = states[version];
  if (state !== undefined)
    return { text: renderState(state), colour: state === 'pending' ? 'warn' : 'bad' };
  // A version that only some members know is ahead of the files, or missing.
  const isNewer = newest !== null && BigInt(version) > BigInt(newest);
  return isNewer ? { text: '-' } : { text: 'applied', colour: 'good' };
}

/** A for the structure that most have. */
function lettersOf(groups: readonly FleetGroup[]): Map<string, string> {
  const prints = [...groups].reverse().flatMap(({ fingerprint }) => fingerprint ?? []);
  return new Map(
    [...new Set(prints)].map((print, index) => [
      print,
      index < 26 ? String.fromCharCode(65 + index) : String(index + 1),
    ]),
  );
}

function renderDifferences({ members, differences, error }: FleetGroup, style: Style): string[] {
  const [first = ''] = members;
  const whose = members.length === 1 ? first : `${first} and ${members.length - 1} more`;
  if (error) return [`${whose}: ${error.message}`];
  if (!differences || differences.length === 0) return [];
  const more = differences.length - MOST_DIFFERENCES;
  return [
    `${whose}: not as the other members at this version`,
    ...differences.slice(0, MOST_DIFFERENCES).map((line) => `  ${line}`),
    ...(more > 0 ? [style.dim(`  … ${renderCount(more, 'more line')}`)] : []),
  ];
}
