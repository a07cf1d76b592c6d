import { expect, it } from 'vitest';
import { escapeXml } from '../../src/text/markup.ts';

it.each([
  ['plain text, é and 日本', 'plain text, é and 日本'],
  [`a < b && c > "d" 'e'`, `a &lt; b &amp;&amp; c &gt; &quot;d&quot; 'e'`],
  ['one\ntwo\tthree\rfour', 'one two three four'],
  ['\ufffe and \uffff', '  and  '],
  ['\u001b[2J', '␛[2J'],
  ['a\u202eb\u007f', 'a\ufffdb␡'],
])('%j is written for HTML and SVG as %j', (text, escaped) => {
  expect(escapeXml(text)).toBe(escaped);
});
