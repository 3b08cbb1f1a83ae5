// One head from its queries and keys to its weights.
const queries = decode(data.queries, Int8Array);
const keys = decode(data.keys, Int8Array);
const codes = decode(data.scores, Uint16Array);
const dim = data.head_dim;
const BLUE = [0, 114, 178], ORANGE = [230, 159, 0];
const lines = new TokenLines((query) => open(query));
const state = { layer: data.layer, head: data.head, query: data.query, pointed: null };

const place = () => state.layer * data.num_heads + state.head;

// The vector of one token in `codes` (queries or keys), in units of the head's largest value.
function vector(codes, position) {
  const start = (place() * tokens.length + position) * dim;
  return Array.from(codes.subarray(start, start + dim), (code) => code / 127);
}

function scoresOf(query) {
  const start = (place() * tokens.length + query) * tokens.length;
  const { low, step } = data.score_scales[place()];
  return Array.from(codes.subarray(start, start + tokens.length), (code) => low + step * code);
}

function softmax(scores) {
  const highest = Math.max(...scores);
  const exponentials = scores.map((score) => Math.exp(score - highest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}

// A row of colours, one per dimension: white at 0, full at `largest`.
function band(values, largest, label) {
  const canvas = element('canvas', { width: values.length, height: 1, role: 'img', 'aria-label': label });
  const pen = canvas.getContext('2d');
  values.forEach((value, i) => {
    const strength = largest ? Math.min(1, Math.abs(value) / largest) : 0;
    const channels = (value < 0 ? ORANGE : BLUE).map((c) => Math.round(255 - strength * (255 - c)));
    pen.fillStyle = `rgb(${channels})`;
    pen.fillRect(i, 0, 1, 1);
  });
  return canvas;
}

function bar(value, largest) {
  const share = largest ? 100 * Math.abs(value) / largest : 0;
  const sign = value < 0 ? '#f5d899' : '#a9cfe6';
  return element('td', { class: 'number', style: `--share:${share.toFixed(1)}%;--sign:${sign}` },
    value.toFixed(2).replace('-', '−'));
}

function table(query) {
  const q = vector(queries, query);
  const rows = tokens.map((_, key) => vector(keys, key));
  const products = rows.map((k) => k.map((value, i) => value * q[i]));
  const scores = scoresOf(query), weights = softmax(scores);
  const largest = (values) => Math.max(...values.map(Math.abs));
  const strongest = largest(products.flat()), highest = largest(scores);
  const cell = (...content) => element('td', {}, ...content);
  const body = tokens.map((token, key) => element('tr', {}, element('th', { scope: 'row', title: token }, token),
    cell(band(rows[key], 1, `key of ${token}`)), cell(band(products[key], strongest, `q times k of ${token}`)),
    bar(scores[key], highest), bar(weights[key], 1)));
  const first = element('tr', {}, element('th', { scope: 'row' }, 'q: ' + tokens[query]),
    cell(band(q, 1, `query of ${tokens[query]}`)), cell(), cell(), cell());
  const columns = [['', '', 18], ['Key k', '', 25], ['q × k', '', 25],
    [`Score q·k/√${dim}`, 'number', 16], ['Softmax', 'number', 16]];
  return element('table', {},
    element('thead', {}, element('tr', {}, ...columns.map(([text, kind, width]) => (
      element('th', { scope: 'col', class: kind, style: `width:${width}%` }, text))))),
    element('tbody', {}, first, ...body));
}

function chip(query) {
  const point = (position) => () => {
    if (position === state.pointed) return;
    state.pointed = position;
    fill();
  };
  return element('button', {
    class: 'token', 'aria-label': `query ${tokens[query]}, position ${query}`,
    onpointermove: point(query), onpointerleave: point(null), onfocus: point(query), onblur: point(null),
    onclick: () => open(query),
  }, tokens[query]);
}

const chips = tokens.map((_, query) => chip(query));
const detail = element('div');
const legend = element('p');
legend.innerHTML = '<span class=swatch style="background:#0072b2"></span> positive '
  + '<span class=swatch style="background:#e69f00"></span> negative, in shades of the largest value. '
  + `q × k multiplies element by element; the score is the sum of that, divided by √${dim}.`;
const expanded = element('div', {},
  element('div', { class: 'chips', role: 'group', 'aria-label': 'Query' }, 'Query ', ...chips), detail, legend);

function fill() {
  const query = state.pointed === null ? state.query : state.pointed;
  chips.forEach((button, position) => {
    button.classList.toggle('chosen', position === query);
    button.setAttribute('aria-pressed', position === state.query);
  });
  detail.replaceChildren(table(query));
}

function open(query) {
  state.query = query;
  update();
}

function update() {
  const collapsed = state.query === null;
  expanded.hidden = collapsed;
  lines.node.hidden = !collapsed;
  fold.hidden = collapsed;
  if (!collapsed) return fill();
  const rows = tokens.map((_, query) => softmax(scoresOf(query)));
  lines.show([{
    name: `layer ${state.layer}, head ${state.head}`, color: data.colors[state.head],
    weight: (query, key) => rows[query][key],
  }], 'Point at a token to see its lines only. Click a query to see how its weights come about.');
}

const fold = element('button', {
  class: 'plain',
  onclick: () => {
    state.pointed = null;
    open(null);
  },
}, '− Back to the lines');
const choose = (name) => (value) => {
  state[name] = Number(value);
  update();
};
app.append(
  element('div', { class: 'controls' },
    selector('Layer', numbered(data.num_layers), state.layer, choose('layer')),
    selector('Head', numbered(data.num_heads), state.head, choose('head')), fold),
  lines.node, expanded,
);
update();
