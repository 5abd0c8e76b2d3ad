// How an album is laid out: the rules of Telegram's clients, from two to ten pictures in a block of one width.

const GAP = 2;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/**
 * Lay out pictures of the given ratios (width / height) in a block `width` wide.
 * Returns {width, height, tiles: [{x, y, w, h}]} in the same unit, in the order of the pictures.
 */
export function mosaic(ratios, width = 420) {
  const count = ratios.length;
  if (count === 1) return single(ratios[0], width);
  const shapes = ratios.map((ratio) => (ratio > 1.2 ? "w" : ratio < 0.8 ? "n" : "q"));
  if (count === 2) return shapes.every((shape) => shape === "w") ? rows(ratios, [1, 1], width) : rows(ratios, [2], width);
  if (count === 3) return shapes[0] === "w" ? rows(ratios, [1, 2], width) : column(ratios, width, 0.64);
  // Clients stack three small pictures beside the first; two by two shows four slides whole.
  if (count === 4) return shapes[0] === "w" ? rows(ratios, [1, 3], width) : rows(ratios, [2, 2], width);
  return best(ratios, width);
}

function single(ratio, width) {
  const shown = clamp(ratio, 0.6, 2.2);
  const limit = width * 1.15;
  const height = Math.min(width / shown, limit);
  const w = height === limit ? Math.max(limit * shown, width * 0.6) : width;
  return { width: w, height, tiles: [{ x: 0, y: 0, w, h: height }] };
}

/** Lines of pictures, each line as wide as the block. */
function rows(ratios, counts, width) {
  const tiles = [];
  let index = 0;
  let y = 0;
  for (const count of counts) {
    const line = ratios.slice(index, index + count).map((ratio) => clamp(ratio, 0.667, 1.91));
    const sum = line.reduce((total, ratio) => total + ratio, 0);
    const h = (width - GAP * (count - 1)) / sum;
    let x = 0;
    for (const ratio of line) {
      tiles.push({ x, y, w: h * ratio, h });
      x += h * ratio + GAP;
    }
    y += h + GAP;
    index += count;
  }
  return { width, height: y - GAP, tiles };
}

/** The first picture tall on the left, the others stacked on its right. */
function column(ratios, width, share) {
  const others = ratios.length - 1;
  const left = Math.round(width * share);
  const height = clamp(left / clamp(ratios[0], 0.6, 1), width * 0.66, width);
  const h = (height - GAP * (others - 1)) / others;
  const tiles = [{ x: 0, y: 0, w: left, h: height }];
  for (let i = 0; i < others; i += 1) tiles.push({ x: left + GAP, y: i * (h + GAP), w: width - left - GAP, h });
  return { width, height, tiles };
}

function compositions(total, parts, most) {
  if (parts === 0) return total === 0 ? [[]] : [];
  const found = [];
  for (let first = 1; first <= Math.min(most, total); first += 1)
    for (const rest of compositions(total - first, parts - 1, most)) found.push([first, ...rest]);
  return found;
}

function best(ratios, width) {
  const target = (width * 4) / 3;
  let winner = null;
  for (let lines = 2; lines <= 4; lines += 1)
    for (const counts of compositions(ratios.length, lines, 4)) {
      const layout = rows(ratios, counts, width);
      let cost = Math.abs(layout.height - target);
      if (counts.some((count, i) => i > 0 && counts[i - 1] > count)) cost *= 1.5;
      const heights = layout.tiles.map((tile) => tile.h);
      if (Math.min(...heights) < width * 0.24) cost *= 1.5;
      if (Math.max(...heights) > Math.min(...heights) * 2.5) cost = cost * 4 + target / 2; // a giant over dwarfs
      if (!winner || cost < winner.cost) winner = { cost, layout };
    }
  return winner.layout;
}
