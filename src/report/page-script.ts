/**
 * What a page does once it is open: tables sort, filter and show the rest of their rows, commands are
 * copied, and charts are read by pointer and arrow keys. It asks the network for nothing.
 */
export const PAGE_SCRIPT = String.raw`
'use strict';
function rowsOf(box, body) {
  const source = box.querySelector('script.rows');
  if (!source) {
    return [...body.rows].map((element) => ({
      element,
      cells: [...element.cells].map((cell) => {
        const text = cell.querySelector('code')?.textContent ?? cell.textContent;
        const order = cell.dataset.order;
        return { text, order: order !== undefined ? Number(order) : text === '-' ? null : text };
      }),
    }));
  }
  const columns = JSON.parse(source.textContent);
  const count = (columns[0].places ?? columns[0].values).length;
  return Array.from({ length: count }, (_, at) => ({
    cells: columns.map(({ values, places }) => {
      const value = values[places ? places[at] : at];
      if (typeof value === 'string') return { text: value, order: value };
      if (typeof value === 'number') return { text: value.toLocaleString('en'), order: value };
      const [text, order, tone] = value;
      return { text, order, tone };
    }),
  }));
}
function draw(row, heads, copied) {
  if (row.element) return row.element;
  row.element = document.createElement('tr');
  row.cells.forEach(({ text, tone }, at) => {
    const cell = row.element.insertCell();
    cell.className = heads[at].className;
    if (tone) cell.classList.add(tone);
    if (text.length > 60) cell.classList.add('long');
    if (copied[at] !== '1' || text === '-') { cell.textContent = text; return; }
    const span = document.createElement('span');
    span.className = 'copied';
    const code = document.createElement('code');
    code.textContent = text;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    span.append(code, ' ', button);
    cell.append(span);
  });
  return row.element;
}
function compare(a, b) {
  if (a === b) return 0;
  if (a === null) return 2;
  if (b === null) return -2;
  if (typeof a === 'number' && typeof b === 'number') return a < b ? -1 : 1;
  return Math.sign(String(a).localeCompare(String(b), 'en', { numeric: true }));
}
for (const box of document.querySelectorAll('div.table')) {
  const body = box.querySelector('tbody');
  const heads = [...box.querySelectorAll('th')];
  const found = box.querySelector('.found');
  const more = box.querySelector('.more');
  const first = body.rows.length;
  const state = { rows: null, words: [], isWhole: !more };
  const show = () => {
    state.rows ??= rowsOf(box, body);
    const fitting = state.rows.filter(({ cells }) => {
      const text = cells.map((cell) => cell.text).join(' ').toLowerCase();
      return state.words.every((word) => text.includes(word));
    });
    const shown = state.isWhole ? fitting : fitting.slice(0, first);
    body.replaceChildren(...shown.map((row) => draw(row, heads, box.dataset.copied)));
    found.textContent = state.words.length === 0 ? '' : fitting.length.toLocaleString('en') + ' found';
    if (more) {
      more.hidden = shown.length === fitting.length;
      more.querySelector('button').textContent = 'Show all ' + fitting.length.toLocaleString('en');
    }
  };
  heads.forEach((head, at) => head.querySelector('button').addEventListener('click', () => {
    state.rows ??= rowsOf(box, body);
    const isNumeric = head.classList.contains('number');
    const before = head.getAttribute('aria-sort');
    const isRising = before ? before === 'descending' : !isNumeric;
    for (const one of heads) one.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', isRising ? 'ascending' : 'descending');
    state.rows.sort((a, b) => {
      const order = compare(a.cells[at].order, b.cells[at].order);
      // What is unknown stays at the end.
      return Math.abs(order) === 2 ? order : isRising ? order : -order;
    });
    show();
  }));
  box.querySelector('input')?.addEventListener('input', ({ target }) => {
    state.words = target.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    show();
  });
  more?.querySelector('button').addEventListener('click', () => { state.isWhole = true; show(); });
}
document.addEventListener('click', async ({ target }) => {
  const button = target.closest?.('button.copy');
  if (!button) return;
  const code = button.parentElement.querySelector('code');
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    document.execCommand('copy');
  }
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
});
for (const figure of document.querySelectorAll('figure.chart')) {
  const readout = figure.querySelector('.readout');
  const choose = (mark) => {
    for (const one of figure.querySelectorAll('.mark.on')) one.classList.remove('on');
    mark.classList.add('on');
    readout.textContent = mark.dataset.read;
  };
  figure.addEventListener('pointermove', ({ target }) => {
    const mark = target.closest('.mark');
    if (mark && !mark.classList.contains('on')) choose(mark);
  });
  for (const svg of figure.querySelectorAll('svg')) {
    svg.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const marks = [...svg.querySelectorAll('.mark')];
      if (step === undefined || marks.length === 0) return;
      event.preventDefault();
      const at = marks.findIndex((mark) => mark.classList.contains('on'));
      const next = at < 0 && step < 0 ? marks.length - 1 : at + step;
      choose(marks[Math.min(Math.max(next, 0), marks.length - 1)]);
    });
  }
}
addEventListener('beforeprint', () => {
  for (const one of document.querySelectorAll('details')) one.open = true;
});
`;
