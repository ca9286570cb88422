// What selected columns look like: their mean patch in the micrograph's picture, and what is around them.
const SAMPLES = 48; // of a mean patch, along a side
const MOST = 1500; // columns that are averaged, evenly chosen

function some(indices) {
  if (indices.length <= MOST) return indices;
  return Array.from({ length: MOST }, (_, k) => indices[Math.floor((k * indices.length) / MOST)]);
}

// Read the picture's pixels: `width` px of the micrograph are drawn in its width.
async function readPicture(url, width) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const grey = new Uint8Array(data.length / 4).map((_, i) => data[4 * i]);
  return { grey, width: canvas.width, height: canvas.height, scale: canvas.width / width };
}

// The mean of patches of `side` px around places [row, col]; null where none is whole.
function meanPatch(picture, places, side) {
  const { grey, width, height, scale } = picture;
  const total = new Float64Array(SAMPLES * SAMPLES);
  const step = (side * scale) / SAMPLES;
  const half = (step * (SAMPLES - 1)) / 2;
  let number = 0;
  for (const [row, col] of places) {
    const top = (row + 0.5) * scale - 0.5 - half, left = (col + 0.5) * scale - 0.5 - half;
    if (top < 0 || left < 0 || top + 2 * half > height - 1 || left + 2 * half > width - 1) continue;
    number += 1;
    for (let r = 0; r < SAMPLES; r++) {
      const y = top + r * step, y0 = Math.min(Math.floor(y), height - 2), fy = y - y0;
      for (let c = 0; c < SAMPLES; c++) {
        const x = left + c * step, x0 = Math.min(Math.floor(x), width - 2), fx = x - x0, at = y0 * width + x0;
        total[r * SAMPLES + c] +=
          (1 - fy) * ((1 - fx) * grey[at] + fx * grey[at + 1]) +
          fy * ((1 - fx) * grey[at + width] + fx * grey[at + width + 1]);
      }
    }
  }
  return number ? total.map((value) => value / number) : null;
}

function drawPatch(canvas, patch) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, SAMPLES, SAMPLES);
  if (!patch) return;
  const low = Math.min(...patch), high = Math.max(...patch);
  const pixels = context.createImageData(SAMPLES, SAMPLES);
  patch.forEach((value, i) => {
    pixels.data.fill(Math.round((255 * (value - low)) / (high - low || 1)), 4 * i, 4 * i + 3);
    pixels.data[4 * i + 3] = 255;
  });
  context.putImageData(pixels, 0, 0);
}

// What most of the columns `chosen` have between `near` and `far` px around them, in words; empty where no
// column has all of its neighbours in the picture.
function usualShell(places, labels, chosen, [near, far], called) {
  if (!(far > 0)) return "";
  const cells = new Map();
  const key = (row, col) => `${Math.floor(row / far)},${Math.floor(col / far)}`;
  let [bottom, right, top, left] = [-Infinity, -Infinity, Infinity, Infinity];
  places.forEach(([row, col], i) => {
    if (labels[i] === NO_COLUMN) return;
    const cell = key(row, col);
    if (!cells.has(cell)) cells.set(cell, []);
    cells.get(cell).push(i);
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    [left, right] = [Math.min(left, col), Math.max(right, col)];
  });
  const kinds = new Map();
  let number = 0;
  for (const i of chosen) {
    const [row, col] = places[i];
    if (row - far < top || row + far > bottom || col - far < left || col + far > right) continue;
    number += 1;
    const held = [];
    for (const r of [row - far, row, row + far]) {
      for (const c of [col - far, col, col + far]) {
        for (const j of cells.get(key(r, c)) ?? []) {
          const apart = Math.hypot(places[j][0] - row, places[j][1] - col);
          if (j !== i && apart >= near && apart < far) held.push(labels[j]);
        }
      }
    }
    const kind = held.sort((a, b) => a - b).join();
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  if (!number) return "";
  const [kind, often] = [...kinds].sort((a, b) => b[1] - a[1])[0];
  const held = new Map();
  for (const label of kind ? kind.split(",").map(Number) : []) held.set(label, (held.get(label) ?? 0) + 1);
  const text = [...held].map(([label, count]) => `${count} × ${called(label)}`).join(" + ") || "nothing";
  const around = often === number ? "all" : `${Math.min(Math.round((100 * often) / number), 99)} %`;
  return `${text} (around ${around} of them)`;
}
