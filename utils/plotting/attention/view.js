'use strict';
// What the views share: the data of the page, small DOM helpers, two columns of tokens with lines.

const data = JSON.parse(document.getElementById('data').textContent);
const tokens = data.tokens;
const app = document.getElementById('app');
const ROW = 22; // px, as in the style sheet
const VISIBLE = 1 / 255; // a fainter line has no colour on a screen

function decode(base64, Type) {
  return new Type(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
}

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function selector(label, options, chosen, onchange) {
  const list = element('select', { onchange: () => onchange(list.value) });
  for (const [value, text] of options) list.append(element('option', { value }, text));
  list.value = chosen;
  return element('label', {}, label + ' ', list);
}

const numbered = (count) => Array.from({ length: count }, (_, i) => [i, i]);

// Two columns of tokens; lines lead from query to key. Pointing at a token, or moving the keyboard
// focus there, leaves its lines only; a click keeps it so.
class TokenLines {
  constructor(onchoose = null) {
    this.onchoose = onchoose;
    this.pointed = this.pinned = null;
    this.svg = element('div');
    this.svg.innerHTML = '<svg aria-hidden=true></svg>';
    this.svg = this.svg.firstChild;
    this.columns = { query: this.column('query'), key: this.column('key') };
    this.words = element('p', { 'aria-live': 'polite' });
    const headings = ['Query', 'to', 'Key'].map((text) => element('h2', {}, text));
    const { query, key } = this.columns;
    this.node = element('div', {},
      element('div', { class: 'lines' }, ...headings, query, this.svg, key), this.words);
  }

  column(side) {
    const buttons = tokens.map((token, position) => {
      const place = { side, position };
      const point = () => this.point(place);
      return element('button', {
        class: position === data.second ? 'token second' : 'token', title: token,
        'aria-label': `${side} ${token}, position ${position}`, 'aria-pressed': false,
        onpointermove: point, onfocus: point, // a token that only appears under the pointer waits
        onpointerleave: () => this.point(null), onblur: () => this.point(null),
        onclick: () => this.choose(place),
      }, element('span', {}, token), element('output'), element('i'));
    });
    return element('div', { class: 'column ' + side }, ...buttons);
  }

  point(place) {
    if (place === this.pointed) return;
    this.pointed = place;
    this.draw();
  }

  choose(place) {
    if (this.onchoose && place.side === 'query') return this.onchoose(place.position);
    this.pinned = place === this.pinned ? null : place;
    this.draw();
  }

  // heads: [{name, color, weight(query, key)}]; shown(query, key): whether a pair may be drawn.
  show(heads, hint, shown = () => true) {
    Object.assign(this, { heads, hint, shown });
    this.draw();
  }

  draw() {
    const chosen = this.pointed || this.pinned;
    const drawn = (query, key) => this.shown(query, key)
      && (!chosen || chosen.position === (chosen.side === 'query' ? query : key));
    const width = chosen ? 1.8 : Math.max(0.8, 2 / Math.sqrt(this.heads.length)).toFixed(2);
    this.svg.innerHTML = this.heads.map((head, lane) => {
      const shift = ROW * (0.5 + 0.7 * ((lane + 0.5) / this.heads.length - 0.5));
      return `<g stroke="${head.color}" stroke-width="${width}">${linesOf(head, drawn, shift)}</g>`;
    }).join('');
    for (const side of ['query', 'key']) {
      [...this.columns[side].children].forEach((button, position) => {
        this.mark(button, side, position, chosen);
      });
    }
    this.words.textContent = chosen ? this.sentence(chosen) : this.hint;
  }

  mark(button, side, position, chosen) {
    const [, number, strip] = button.children;
    const here = (place) => Boolean(place && place.side === side && place.position === position);
    const partners = tokens.map((_, other) => (
      side === 'query' ? this.shown(position, other) : this.shown(other, position)));
    button.classList.toggle('chosen', here(chosen));
    button.classList.toggle('outside', !partners.includes(true));
    button.setAttribute('aria-pressed', here(this.pinned));
    number.textContent = strip.textContent = '';
    if (!chosen || chosen.side === side || !this.pair(chosen, position)) return;
    number.textContent = this.mean(chosen, position).toFixed(2);
    strip.innerHTML = this.heads.map((head) => {
      const weight = head.weight(...this.pair(chosen, position));
      return `<b style="--head:${head.color};opacity:${weight.toFixed(3)}"></b>`;
    }).join('');
  }

  // (query, key) of the chosen token and a token of the other side; null if that is filtered out.
  pair(chosen, other) {
    const pair = chosen.side === 'query' ? [chosen.position, other] : [other, chosen.position];
    return this.shown(...pair) ? pair : null;
  }

  mean(chosen, other) {
    const weights = this.heads.map((head) => head.weight(...this.pair(chosen, other)));
    return weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  }

  // The strongest weights in words: for those who do not see the lines.
  sentence(chosen) {
    if (!this.heads.length) return 'No head is shown.';
    const others = tokens.map((_, other) => other).filter((other) => this.pair(chosen, other));
    const strongest = others.map((other) => [this.mean(chosen, other), tokens[other]])
      .sort((a, b) => b[0] - a[0]).slice(0, 4)
      .map(([weight, token]) => `${token} ${weight.toFixed(2)}`).join(', ');
    const verb = chosen.side === 'query' ? 'attends most to' : 'is attended to most by';
    const heads = this.heads.length > 1 ? `mean of ${this.heads.length} heads` : this.heads[0].name;
    return `${tokens[chosen.position]} ${verb} ${strongest || 'nothing here'} (${heads}).`;
  }
}

function linesOf(head, drawn, shift) {
  const lines = [];
  for (let query = 0; query < tokens.length; query += 1) {
    for (let key = 0; key < tokens.length; key += 1) {
      const weight = drawn(query, key) ? head.weight(query, key) : 0;
      if (weight >= VISIBLE) {
        const [from, to] = [query * ROW + shift, key * ROW + shift].map((y) => y.toFixed(1));
        lines.push(`<line x1="0" y1="${from}" x2="100%" y2="${to}" stroke-opacity="${weight.toFixed(3)}"/>`);
      }
    }
  }
  return lines.join('');
}

// {name, color, weight} of one head of `data.weights`, uint16 codes of 0 to 1.
function attentionHead(layer, head) {
  const start = (layer * data.num_heads + head) * tokens.length ** 2;
  const weight = (query, key) => data.weights[start + query * tokens.length + key] / 65535;
  return { name: `layer ${layer}, head ${head}`, color: data.colors[head], weight };
}
