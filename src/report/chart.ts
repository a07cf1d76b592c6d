import { scaleLinear, scaleLog, scaleTime } from 'd3-scale';
import { area, line, symbol, symbolCircle, symbolTimes } from 'd3-shape';
import { escapeXml } from '../text/markup.ts';
import { DAY_MS, renderTime } from '../text/units.ts';
import { renderValue, type Tone, type Unit } from './columns.ts';

/*
 * Charts as SVG, drawn twice: for wide pages and for phones, so that their text is never scaled.
 * Each value has a mark that a pointer, the arrow keys and a screen reader's status find.
 */

/** A value of a chart over time: a column's parts, or one dot. */
export interface ChartMoment {
  at: Date;
  /** One for each series. */
  values: number[];
  /** What it is called, if its time alone is not enough. */
  label?: string;
  tone?: Tone | undefined;
}

/** What charts over time have in common. */
interface TimeChart {
  /** What it shows, in a few words. */
  title: string;
  unit: Unit;
  /** What each value of a moment is. */
  series: readonly string[];
  moments: readonly ChartMoment[];
  /** A line across all values, such as a limit in time. */
  line?: { at: Date; label: string } | undefined;
}

/** One bar, with its parts from left to right. */
export interface ChartBar {
  label: string;
  values: number[];
  tone?: Tone | undefined;
  /** Beside the bar; default: the sum. */
  note?: string;
}

/** Bars below one another. */
interface BarChart {
  title: string;
  unit: Unit;
  series: readonly string[];
  bars: readonly ChartBar[];
  /** The end of the scale; default: the longest bar. */
  end?: number;
  /** Values at which it becomes a warning, or critical. */
  limits?: readonly number[];
}

const WIDTHS = { wide: 1112, narrow: 340 } as const;

/** Draws bars below one another, each with its label and its value. */
export function renderBars(chart: BarChart): string {
  return figure(chart, (width) => drawBars(chart, width));
}

/** Draws one column a day, with its parts above one another. */
export function renderColumns(chart: TimeChart): string {
  return figure(chart, (width) => drawOverTime(chart, width, columnsOf));
}

/** Draws a dot for each moment, over a scale of powers of ten: of what is quick and what is slow. */
export function renderDots(chart: TimeChart): string {
  return figure(chart, (width) => drawOverTime(chart, width, dotsOf));
}

/** Draws a line through all moments. */
export function renderLine(chart: TimeChart): string {
  return figure(chart, (width) => drawOverTime(chart, width, lineOf));
}

function figure(
  { title, series }: Pick<TimeChart, 'title' | 'series'>,
  draw: (width: number) => { height: number; body: string },
): string {
  const drawings = Object.entries(WIDTHS).map(([name, width]) => {
    const { height, body } = draw(width);
    return `<svg class="${name}" viewBox="0 0 ${width} ${n(height)}" role="img" tabindex="0" aria-label="${escapeXml(title)}. The arrow keys read its values; the table has them too.">${body}</svg>`;
  });
  const legend = series.map(
    (name, at) => `<li><span class="swatch s${at}"></span>${escapeXml(name)}</li>`,
  );
  return [
    `<figure class="chart"><figcaption>${escapeXml(title)}</figcaption>`,
    series.length > 1 ? `<ul class="legend">${legend.join('')}</ul>` : '',
    ...drawings,
    '<p class="readout" role="status"></p></figure>',
  ].join('');
}

const ROW = 26;
const BAR = 14;

function drawBars({ bars, unit, series, end, limits = [] }: BarChart, width: number) {
  const isNarrow = width === WIDTHS.narrow;
  const row = isNarrow ? 40 : ROW;
  const left = isNarrow ? 0 : 330;
  const room = width - left - (isNarrow ? 110 : 190);
  const sums = bars.map(({ values }) => sumOf(values));
  const x = scaleLinear([0, end ?? Math.max(...sums, 1e-9)], [0, room]).clamp(true);
  const drawn = bars.map(({ label, values, tone, note }, at) => {
    const y = at * row + (isNarrow ? 20 : (row - BAR) / 2);
    const sum = sums[at] ?? 0;
    let from = 0;
    const parts = values.map((value, index) => {
      const [start, stop] = [x(from), x(from + value)];
      from += value;
      const size = value > 0 ? Math.max(stop - start, 1) : 0;
      return size === 0
        ? ''
        : `<rect class="${tone ?? `s${index}`}" x="${n(left + start)}" y="${n(y)}" width="${n(size)}" height="${BAR}"/>`;
    });
    const shown = note ?? renderValue(sum, unit);
    const name = isNarrow
      ? `<text x="0" y="${n(y - 6)}">${escapeXml(cut(label, 46))}</text>`
      : `<text x="${left - 10}" y="${n(y + BAR - 3)}" text-anchor="end">${escapeXml(cut(label, 40))}</text>`;
    const end = left + Math.min(x(sum), room) + 8;
    const read = describe(label, { values, series, unit, note });
    return `<g class="mark" data-read="${escapeXml(read)}">${name}<rect class="track" x="${left}" y="${n(y)}" width="${n(room)}" height="${BAR}"/>${parts.join('')}<text class="value" x="${n(end)}" y="${n(y + BAR - 3)}">${escapeXml(shown)}</text></g>`;
  });
  const height = bars.length * row + 4;
  const lines = limits.map(
    (limit) =>
      `<line class="limit" x1="${n(left + x(limit))}" x2="${n(left + x(limit))}" y1="0" y2="${height - 4}"/>`,
  );
  return { height, body: drawn.join('') + lines.join('') };
}

function describe(
  name: string,
  {
    values,
    series,
    unit,
    note,
  }: {
    values: readonly number[];
    series: readonly string[];
    unit: Unit;
    note?: string | undefined;
  },
): string {
  const parts = values.map((value, at) => [series[at] ?? '', renderValue(value, unit)] as const);
  const said =
    parts.length === 1
      ? (note ?? parts[0]?.[1] ?? '')
      : parts.map(([part, value]) => `${part} ${value}`).join(', ');
  return `${name}: ${said}`;
}

interface Plot {
  x: (at: Date) => number;
  y: (value: number) => number;
  left: number;
  right: number;
  top: number;
  bottom: number;
  /** Room for one day, in pixels. */
  day: number;
}

interface Shape {
  isLog: boolean;
  draw: (chart: TimeChart, plot: Plot) => string;
}

const TOP = 12;
const PLOT_HEIGHT = 180;
const LEFT = 62;

function drawOverTime(chart: TimeChart, width: number, { isLog, draw }: Shape) {
  const { moments, unit, line: limit } = chart;
  const [left, right, top, bottom] = [LEFT, width - 14, TOP, TOP + PLOT_HEIGHT];
  const times = [...moments.map(({ at }) => at.getTime()), ...(limit ? [limit.at.getTime()] : [])];
  const isOfDays = draw === columnsOf.draw;
  const [first, last] = rangeOf(times, isOfDays);
  const x = scaleTime([first, last], [left, right]);
  const most = Math.max(...moments.map(({ values }) => sumOf(values)), 0);
  // Sizes are powers of 1024, and their levels have to be as round.
  const step = unit === 'bytes' && !isLog ? 1024 ** Math.floor(Math.log2(most || 1) / 10) : 1;
  const y = isLog
    ? scaleLog([1, Math.max(most, 10)], [bottom - 8, top])
        .clamp(true)
        .nice()
    : scaleLinear([0, (most || 1) / step], [bottom, top]).nice(4);
  const plot: Plot = {
    ...{ x, left, right, top, bottom },
    y: (value) => y(isLog ? Math.max(value, 1) : value / step),
    day: ((right - left) * DAY_MS) / Math.max(last.getTime() - first.getTime(), DAY_MS),
  };
  const levels = isLog ? powersOfTen(y.domain()) : roundLevels(y.ticks(4), step, unit);
  const grid = levels.map(
    (value) =>
      `<line class="grid" x1="${left}" x2="${right}" y1="${n(plot.y(value))}" y2="${n(plot.y(value))}"/><text class="axis" x="${left - 8}" y="${n(plot.y(value) + 4)}" text-anchor="end">${escapeXml(renderValue(value, unit))}</text>`,
  );
  const format = timeFormat(first, last);
  const ticks = x.ticks(width === WIDTHS.narrow ? 3 : 9).map((at) => {
    const place = Math.min(Math.max(x(at), left + 16), right - 16);
    return `<text class="axis" x="${n(place)}" y="${bottom + 18}" text-anchor="middle">${escapeXml(format(at))}</text>`;
  });
  const body = [
    ...grid,
    `<line class="base" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>`,
    ...ticks,
    draw(chart, plot),
    limit ? drawLimit(limit, plot) : '',
  ].join('');
  return { height: bottom + 26, body };
}

/** Where all is one moment, or there is nothing, the axis has some width all the same. */
function rangeOf(times: readonly number[], isOfDays: boolean): [Date, Date] {
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const least = isOfDays ? 7 * DAY_MS : DAY_MS / 24;
  const pad = Math.max(
    (last - first) * 0.02,
    (least - (last - first)) / 2,
    isOfDays ? DAY_MS / 2 : 0,
  );
  return [new Date(first - pad), new Date(last + pad)];
}

/** Half a thing is no level of an axis that counts. */
function roundLevels(ticks: readonly number[], step: number, unit: Unit): number[] {
  const fitting = ticks.filter((value) => unit !== 'count' || Number.isInteger(value));
  return fitting.map((value) => value * step);
}

function powersOfTen([from = 1, to = 10]: number[]): number[] {
  const [first, last] = [Math.round(Math.log10(from)), Math.round(Math.log10(to))];
  return Array.from({ length: last - first + 1 }, (_, at) => 10 ** (first + at));
}

const YEAR_MS = 365 * DAY_MS;

function timeFormat(first: Date, last: Date): (at: Date) => string {
  const span = last.getTime() - first.getTime();
  return (at) => {
    const time = renderTime(at.toISOString());
    if (span > YEAR_MS) return time.slice(0, 7);
    if (span > 2 * DAY_MS) return time.slice(5, 10);
    return span > DAY_MS / 2 ? time.slice(5, 16) : time.slice(11, 16);
  };
}

function drawLimit(
  { at, label }: { at: Date; label: string },
  { x, left, right, top, bottom }: Plot,
) {
  const place = x(at);
  const isLeft = place < (left + right) / 2;
  return `<line class="limit" x1="${n(place)}" x2="${n(place)}" y1="${top}" y2="${bottom}"/><text class="note" x="${n(place + (isLeft ? 6 : -6))}" y="${top + 10}" text-anchor="${isLeft ? 'start' : 'end'}">${escapeXml(label)}</text>`;
}

function nameOf({ at, label }: ChartMoment): string {
  return label ?? renderTime(at.toISOString());
}

function mark(moment: ChartMoment, { series, unit }: TimeChart, body: string): string {
  const read = describe(nameOf(moment), { values: moment.values, series, unit });
  return `<g class="mark" data-read="${escapeXml(read)}">${body}</g>`;
}

const columnsOf: Shape = {
  isLog: false,
  draw: (chart, { x, y, day, top, bottom }) =>
    chart.moments
      .map((moment) => {
        const size = Math.max(Math.min(day * 0.8, 28), 1);
        const place = x(moment.at) - size / 2;
        let sum = 0;
        const parts = moment.values.map((value, index) => {
          const [low, high] = [y(sum), y(sum + value)];
          sum += value;
          return value > 0
            ? `<rect class="s${index}" x="${n(place)}" y="${n(high)}" width="${n(size)}" height="${n(Math.max(low - high, 0.5))}"/>`
            : '';
        });
        const hit = `<rect class="hit" x="${n(place)}" y="${top}" width="${n(size)}" height="${bottom - top}"/>`;
        return mark(moment, chart, hit + parts.join(''));
      })
      .join(''),
};

const dotsOf: Shape = {
  isLog: true,
  draw: (chart, { x, y }) =>
    chart.moments
      .map((moment) => {
        const isBad = moment.tone === 'critical';
        const path = symbol(isBad ? symbolTimes : symbolCircle, isBad ? 90 : 60)() ?? '';
        const place = `translate(${n(x(moment.at))} ${n(y(sumOf(moment.values)))})`;
        const shape = `<path class="dot ${moment.tone ?? 's0'}" transform="${place}" d="${round(path)}"/>`;
        return mark(moment, chart, shape);
      })
      .join(''),
};

const lineOf: Shape = {
  isLog: false,
  draw: (chart, { x, y, bottom }) => {
    const { moments } = chart;
    const places = moments.map((moment): [number, number] => [
      x(moment.at),
      y(sumOf(moment.values)),
    ]);
    const below = area<[number, number]>()
      .x(([at]) => at)
      .y1(([, value]) => value)
      .y0(bottom);
    const dots = moments.map((moment, at) => {
      const [left = 0, top = 0] = places[at] ?? [];
      const dot = `<circle class="dot s0" cx="${n(left)}" cy="${n(top)}" r="4"/>`;
      return mark(moment, chart, dot);
    });
    return `<path class="area" d="${round(below(places) ?? '')}"/><path class="line" d="${round(line()(places) ?? '')}"/>${dots.join('')}`;
  },
};

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** A path is as exact as a screen shows it. */
function round(path: string): string {
  return path.replace(/-?\d+\.\d+/g, (number) => n(Number(number)));
}
