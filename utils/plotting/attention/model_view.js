// All heads of all layers as thumbnails; one of them large.
data.weights = decode(data.weights, Uint16Array);
const lines = new TokenLines();
const PIXELS = 96; // side of a thumbnail, at most
const state = { layer: 0, head: 0 };

function thumbnail(layer, head) {
  const canvas = element('canvas');
  canvas.draw = () => draw(canvas, attentionHead(layer, head));
  return element('button', {
    'aria-label': `layer ${layer}, head ${head}`, tabindex: layer + head ? -1 : 0,
    onclick: () => open(layer, head), onkeydown: (event) => walk(event, layer, head),
  }, canvas);
}

// Drawn at the size at which it is shown: a canvas scaled down breaks fine lines up.
function draw(canvas, { color, weight }) {
  const side = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!side) return; // hidden behind a large head
  canvas.width = canvas.height = side;
  const pen = canvas.getContext('2d');
  const margin = side / 16, step = (side - 2 * margin) / Math.max(1, tokens.length - 1);
  pen.strokeStyle = color;
  pen.lineWidth = Math.max(0.4 * devicePixelRatio, side / 60);
  tokens.forEach((_, query) => tokens.forEach((__, key) => {
    pen.globalAlpha = weight(query, key);
    pen.beginPath();
    pen.moveTo(margin, margin + query * step);
    pen.lineTo(side - margin, margin + key * step);
    pen.stroke();
  }));
}

const place = (layer, head) => layer * data.num_heads + head;

// The arrow keys move through the grid, which is one stop of the tab key.
function walk(event, layer, head) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  const [down, right] = [layer + step[0], head + step[1]];
  if (down < 0 || right < 0 || down >= data.num_layers || right >= data.num_heads) return;
  stop(down, right);
}

function stop(layer, head) {
  thumbnails.forEach((button) => button.setAttribute('tabindex', -1));
  const next = thumbnails[place(layer, head)];
  next.setAttribute('tabindex', 0);
  next.focus();
}

function open(layer, head) {
  Object.assign(state, { layer, head });
  layers.querySelector('select').value = layer;
  heads.querySelector('select').value = head;
  lines.show([attentionHead(layer, head)], 'Point at a token to see its lines only.');
  if (large.hidden) {
    [overview.hidden, large.hidden] = [true, false];
    back.focus();
  }
}

function close() {
  [overview.hidden, large.hidden] = [false, true];
  stop(state.layer, state.head);
}

const thumbnails = [];
const grid = element('div', {
  class: 'grid', style: `grid-template-columns: max-content repeat(${data.num_heads}, minmax(0, ${PIXELS}px))`,
}, element('span'), ...data.colors.map((_, head) => element('span', {}, String(head))));
for (let layer = 0; layer < data.num_layers; layer += 1) {
  const row = data.colors.map((_, head) => thumbnail(layer, head));
  thumbnails.push(...row);
  grid.append(element('span', {}, String(layer)), ...row);
}
const overview = element('div', {}, grid,
  element('p', {}, 'One row per layer, one column per head; queries left, keys right. Click a head to see it large.'));
const layers = selector('Layer', numbered(data.num_layers), 0, (value) => open(Number(value), state.head));
const heads = selector('Head', numbered(data.num_heads), 0, (value) => open(state.layer, Number(value)));
const back = element('button', { class: 'plain', onclick: close }, '← All heads');
const large = element('div', { onkeydown: (event) => event.key === 'Escape' && close() },
  element('div', { class: 'controls' }, back, layers, heads), lines.node);
large.hidden = true;
app.append(overview, large);
new ResizeObserver(() => grid.querySelectorAll('canvas').forEach((canvas) => canvas.draw())).observe(grid);
