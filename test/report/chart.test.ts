import { describe, expect, it } from 'vitest';
import { renderBars, renderColumns, renderDots, renderLine } from '../../src/report/chart.ts';
import { MIB } from '../../src/text/units.ts';

/** Attributes of elements in the drawing for wide pages. */
function read(html: string, element: string, attribute: string): string[] {
  const [, wide = ''] = /<svg class="wide".*?>(.*?)<\/svg>/s.exec(html) ?? [];
  const found = wide.matchAll(new RegExp(`<${element} [^>]*?\\b${attribute}="([^"]*)"`, 'g'));
  return [...found].map(([, value = '']) => value);
}

const texts = (html: string) => [...html.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text);

describe('bars', () => {
  const bars = [
    { label: 'a "b" <c>', values: [30, 10] },
    { label: 'short', values: [10, 0] },
    { label: 'nothing', values: [0, 0] },
  ];
  const html = renderBars({ title: 'T', unit: 'count', series: ['x', 'y'], bars });

  it('are as long as their values, and leave out what is none', () => {
    const [, a = '', b = '', , short = ''] = read(html, 'rect', 'width');
    expect(Number(a) / Number(b)).toBeCloseTo(3, 2);
    expect(Number(short)).toBeCloseTo(Number(b), 1);
    expect(read(html, 'rect', 'class')).toEqual(['track', 's0', 's1', 'track', 's0', 'track']);
  });

  it('have their text escaped, and their value read', () => {
    expect(read(html, 'g', 'data-read')).toEqual([
      'a &quot;b&quot; &lt;c&gt;: x 30, y 10',
      'short: x 10, y 0',
      'nothing: x 0, y 0',
    ]);
    expect(html).not.toContain('<c>');
  });

  it('end at a limit, and show limits as lines', () => {
    const full = { label: 'full', values: [250], note: '250 %' };
    const limited = renderBars({
      ...{ title: 'T', unit: 'percent', series: ['x'], bars: [full] },
      ...{ end: 100, limits: [75] },
    });
    const [track, bar] = read(limited, 'rect', 'width');
    expect(bar).toBe(track);
    expect(read(limited, 'line', 'class')).toEqual(['limit']);
  });
});

describe('charts over time', () => {
  const at = (day: number) => new Date(Date.UTC(2026, 10, day, 12));
  const moments = [1, 2, 3].map((day) => ({ at: at(day), label: `day ${day}`, values: [day, 1] }));

  it('draw columns with their parts above one another', () => {
    const html = renderColumns({ title: 'T', unit: 'count', series: ['x', 'y'], moments });
    const [, first = 0, , , second = 0] = read(html, 'rect', 'height').map(Number);
    expect(second / first).toBeCloseTo(2, 1);
    expect(read(html, 'g', 'data-read')).toEqual([
      'day 1: x 1, y 1',
      'day 2: x 2, y 1',
      'day 3: x 3, y 1',
    ]);
  });

  it('count in whole things, and in sizes that are round', () => {
    const one = [{ at: at(1), values: [1] }];
    const counted = texts(
      renderColumns({ title: 'T', unit: 'count', series: ['x'], moments: one }),
    );
    expect(counted.filter((text) => /^[\d.]+$/.test(text ?? ''))).toEqual(['0', '1', '0', '1']);
    const sized = [{ at: at(1), values: [8 * MIB] }];
    const sizes = texts(renderLine({ title: 'T', unit: 'bytes', series: ['x'], moments: sized }));
    expect(sizes).toContain('4.0 MB');
  });

  it('show what has failed by its form, and a moment alone on an axis of an hour', () => {
    const alone = [{ at: at(1), values: [0], tone: 'critical' as const }];
    const html = renderDots({ title: 'T', unit: 'ms', series: ['x'], moments: alone });
    expect(read(html, 'path', 'class')).toEqual(['dot critical']);
    expect(html).not.toContain('NaN');
  });

  it('mark a limit in time, also where it is outside of the values', () => {
    const line = { at: at(20), label: 'until here' };
    const html = renderColumns({ title: 'T', unit: 'count', series: ['x'], moments, line });
    const [place = 0] = read(html, 'text class="note"', 'x').map(Number);
    const columns = read(html, 'rect class="s0"', 'x').map(Number);
    expect(place).toBeGreaterThan(Math.max(...columns));
    expect(texts(html)).toContain('until here');
  });
});
