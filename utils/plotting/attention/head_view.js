// All heads of one layer in one picture.
data.weights = decode(data.weights, Uint16Array);
const lines = new TokenLines();
const state = { layer: data.layer, heads: new Set(data.heads), pairs: 'all' };
const sentence = (position) => (position < data.second ? 'A' : 'B');

function update() {
  const heads = [...state.heads].sort((a, b) => a - b).map((head) => attentionHead(state.layer, head));
  const shown = (query, key) => state.pairs === 'all' || state.pairs === sentence(query) + sentence(key);
  squares.forEach((square, head) => square.setAttribute('aria-pressed', state.heads.has(head)));
  lines.show(heads, 'Point at a token to see its lines only. Click a square to hide or show a head, '
    + 'double-click to see it alone.', shown);
}

function toggle(head) {
  if (!state.heads.delete(head)) state.heads.add(head);
  update();
}

function alone(head) {
  state.heads = new Set([head]);
  update();
}

const squares = data.colors.map((color, head) => element('button', {
  style: `--head:${color};--on-head:${data.inks[head]}`, 'aria-label': `head ${head}`,
  onclick: () => toggle(head), ondblclick: () => alone(head),
}, String(head)));

const controls = [selector('Layer', numbered(data.num_layers), state.layer, (value) => {
  state.layer = Number(value);
  update();
})];
if (data.second) {
  const pairs = [['all', 'all tokens'], ...['AA', 'AB', 'BA', 'BB'].map((p) => [p, `${p[0]} → ${p[1]}`])];
  controls.push(selector('Sentences', pairs, state.pairs, (value) => {
    state.pairs = value;
    update();
  }));
}
const all = element('button', {
  class: 'plain',
  onclick: () => {
    state.heads = new Set(data.colors.keys());
    update();
  },
}, 'All heads');
app.append(
  element('div', { class: 'controls' }, ...controls, all,
    element('div', { class: 'heads', role: 'group', 'aria-label': 'Heads' }, ...squares)),
  lines.node,
);
update();
