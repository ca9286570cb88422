// Columns that are not drawn where there are more than a browser redraws in a blink: a line around a region means
// them too. `text` has six float32 of each in base64: row, col, x, y, motif and confidence.
function readUndrawn(text) {
  const values = new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const number = values.length / 6;
  const column = (k) => Float32Array.from({ length: number }, (_, i) => values[6 * i + k]);
  const [row, col, x, y, motif, confidence] = [0, 1, 2, 3, 4, 5].map(column);
  return { number, row, col, x, y, motif, confidence };
}

// Which places (x, y) a drawn geometry has within it, a polygon or a box of Bokeh.
function enclosed(geometry, x, y) {
  const found = [];
  if (geometry.type === "rect") {
    const [left, right] = [Math.min(geometry.x0, geometry.x1), Math.max(geometry.x0, geometry.x1)];
    const [low, high] = [Math.min(geometry.y0, geometry.y1), Math.max(geometry.y0, geometry.y1)];
    for (let i = 0; i < x.length; i++) {
      if (x[i] >= left && x[i] <= right && y[i] >= low && y[i] <= high) found.push(i);
    }
  } else if (geometry.type === "poly") {
    const [xs, ys] = [geometry.x, geometry.y];
    for (let i = 0; i < x.length; i++) {
      let within = false;
      for (let a = 0, b = xs.length - 1; a < xs.length; b = a++) {
        const crosses = ys[a] > y[i] !== ys[b] > y[i];
        if (crosses && x[i] < ((xs[b] - xs[a]) * (y[i] - ys[a])) / (ys[b] - ys[a]) + xs[a]) within = !within;
      }
      if (within) found.push(i);
    }
  }
  return found;
}
