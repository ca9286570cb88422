// Fits of Gaussian columns to an image, all of one width: the sums over a window of SIDE x SIDE pixels around each
// column, and a step of each fit. In the order of motifgpu/cpu/refine.py, its counterpart, and as there in double
// precision.
//
// What is done                                                             kernel
//   columns of these heights, drawn together: units (H, W)                 draw_columns
//   the same as an image (H, W)                                            to_image
//   residual (H, W) -> change (n, 4), wider (n,) of each column            step_columns
//   residual (H, W) -> its products by height and by level (2, n)          project_heights
//   -> sums of squares and products of height and level (4, n)             height_and_level
//
// Windows overlap, and additions of real numbers depend on their order. So draw_columns counts in whole units: their
// sums are the same in any order. A unit is so small that n of the largest height sum to 2^62.
//
// Traffic of n columns: a window is 196 bytes of an image in float32, in cache as neighbours share it; draw_columns adds
// SIDE^2 words of 8 bytes a column. Arithmetic of a step: about 35 operations a pixel, 1,700 a column, and 2 SIDE
// exponentials. On one H200 (4.8 TB/s, 34 TFLOP/s in double precision) 100,000 columns in an image of 8192 x 8192: 0.11
// ms for the words of the image that to_image reads and writes, and far less for all else; below some 10,000 columns a
// launch takes longer than its work. Not measured yet.
//
// What was tried: a warp a column, which spends more on 25 sums over its lanes than it gains where there are thousands.
//
// Constants: SIDE (of a window, odd), KNOWN (whether pixels have weights), VALUE (of images and columns), INDEX
// (positions in an image), THREADS.

// Where the window of a column begins, and how far its first pixel is from the column in widths.
struct Window {
  INDEX first;
  double down, right, unit;
};

static __device__ __forceinline__ int begin(double place, int length) {
  const int reach = SIDE / 2, last = length - 1 - reach, centre = (int)rint(place);
  return max(min(centre, max(last, reach)), reach) - reach;
}

static __device__ __forceinline__ Window window(const VALUE* points, const double* sigma, int column, int rows, int cols) {
  const double row = points[2 * (INDEX)column], col = points[2 * (INDEX)column + 1];
  const int top = begin(row, rows), left = begin(col, cols);
  return {(INDEX)top * cols + left, (top - row) / *sigma, (left - col) / *sigma, 1.0 / *sigma};
}

static __device__ __forceinline__ double bell(double away) { return exp(-0.5 * away * away); }

// One thread per column and row of its window.
extern "C" __global__ void __launch_bounds__(THREADS)
draw_columns(const VALUE* __restrict__ points, const VALUE* __restrict__ heights, const double* __restrict__ sigma,
             const VALUE* __restrict__ largest, int bits, unsigned long long* __restrict__ units, int n, int rows,
             int cols) {
  const INDEX thread = (INDEX)blockIdx.x * THREADS + threadIdx.x;
  if (thread >= (INDEX)n * SIDE) return;
  const int column = thread / SIDE, r = thread % SIDE;
  const Window w = window(points, sigma, column, rows, cols);
  int exponent;
  frexp((double)*largest, &exponent);
  const double row = ldexp(heights[column] * bell(w.down + r * w.unit), bits - exponent);
#pragma unroll
  for (int c = 0; c < SIDE; ++c)
    atomicAdd(units + w.first + (INDEX)r * cols + c, (unsigned long long)(long long)(row * bell(w.right + c * w.unit)));
}

extern "C" __global__ void __launch_bounds__(THREADS)
to_image(const unsigned long long* __restrict__ units, const VALUE* __restrict__ largest, int bits,
         VALUE* __restrict__ image, INDEX size) {
  const INDEX pixel = (INDEX)blockIdx.x * THREADS + threadIdx.x;
  if (pixel >= size) return;
  int exponent;
  frexp((double)*largest, &exponent);
  image[pixel] = (VALUE)ldexp((double)(long long)units[pixel], exponent - bits);
}

// A Gauss-Newton step, one thread per column: of height, row, column and level at the same width, and of the logarithm
// of the width.
extern "C" __global__ void __launch_bounds__(THREADS)
step_columns(const VALUE* __restrict__ points, const VALUE* __restrict__ heights, const double* __restrict__ sigma,
             const VALUE* __restrict__ residual, const VALUE* __restrict__ known, double ridge, double tether,
             const VALUE* __restrict__ away, double* __restrict__ change, double* __restrict__ wider, int n, int rows,
             int cols) {
  const int column = blockIdx.x * THREADS + threadIdx.x;
  if (column >= n) return;
  const Window w = window(points, sigma, column, rows, cols);
  const double slope = heights[column] * w.unit;
  double right[SIDE], gauss[SIDE], m[5] = {}, normal[5][5] = {}, whole = 0.0;
#pragma unroll
  for (int c = 0; c < SIDE; ++c) {
    right[c] = w.right + c * w.unit;
    gauss[c] = bell(right[c]);
  }
#pragma unroll 1
  for (int r = 0; r < SIDE; ++r) {
    const double down = w.down + r * w.unit, row = bell(down);
    const INDEX first = w.first + (INDEX)r * cols;
#pragma unroll
    for (int c = 0; c < SIDE; ++c) {
      const double g = row * gauss[c], weight = KNOWN ? known[first + c] : 1.0, value = residual[first + c] * weight;
      const double by[5] = {g, g * slope * down, g * slope * right[c], 1.0,
                            g * slope * (down * down + right[c] * right[c])};
#pragma unroll
      for (int a = 0; a < 5; ++a) {
        m[a] += value * by[a];
        whole += by[a] * by[a];
#pragma unroll
        for (int b = a; b < 5; ++b) normal[a][b] += weight * by[a] * by[b];
      }
    }
  }
#pragma unroll
  for (int a = 0; a < 5; ++a) normal[a][a] += ridge * whole / 5;
#pragma unroll
  for (int a = 0; a < 2; ++a) {
    normal[a + 1][a + 1] += tether;
    m[a + 1] -= tether * away[2 * (INDEX)column + a];
  }
#pragma unroll
  for (int a = 0; a < 4; ++a)
#pragma unroll
    for (int b = a + 1; b < 5; ++b) {
      const double share = normal[a][b] / normal[a][a];
      m[b] -= share * m[a];
#pragma unroll
      for (int c = b; c < 5; ++c) normal[b][c] -= share * normal[a][c];
    }
  wider[column] = m[4] / normal[4][4];
#pragma unroll
  for (int a = 3; a >= 0; --a) {
#pragma unroll
    for (int b = a + 1; b < 4; ++b) m[a] -= normal[a][b] * m[b];
    m[a] /= normal[a][a];
    change[4 * (INDEX)column + a] = m[a];
  }
}

// The residual times the height and times the level of each column, summed; one thread per column.
extern "C" __global__ void __launch_bounds__(THREADS)
project_heights(const VALUE* __restrict__ points, const double* __restrict__ sigma, const VALUE* __restrict__ residual,
                const VALUE* __restrict__ known, double* __restrict__ sums, int n, int rows, int cols) {
  const int column = blockIdx.x * THREADS + threadIdx.x;
  if (column >= n) return;
  const Window w = window(points, sigma, column, rows, cols);
  double gauss[SIDE], by_height = 0.0, by_level = 0.0;
#pragma unroll
  for (int c = 0; c < SIDE; ++c) gauss[c] = bell(w.right + c * w.unit);
#pragma unroll 1
  for (int r = 0; r < SIDE; ++r) {
    const double row = bell(w.down + r * w.unit);
    const INDEX first = w.first + (INDEX)r * cols;
#pragma unroll
    for (int c = 0; c < SIDE; ++c) {
      const double value = residual[first + c] * (KNOWN ? (double)known[first + c] : 1.0);
      by_height += value * row * gauss[c];
      by_level += value;
    }
  }
  sums[column] = by_height;
  sums[(INDEX)n + column] = by_level;
}

// Sums of the square by height, of both, by level, and of the first were all known; one thread per column.
extern "C" __global__ void __launch_bounds__(THREADS)
height_and_level(const VALUE* __restrict__ points, const double* __restrict__ sigma, const VALUE* __restrict__ known,
                 double* __restrict__ sums, int n, int rows, int cols) {
  const int column = blockIdx.x * THREADS + threadIdx.x;
  if (column >= n) return;
  const Window w = window(points, sigma, column, rows, cols);
  double gauss[SIDE], square = 0.0, both = 0.0, level = 0.0, whole = 0.0;
#pragma unroll
  for (int c = 0; c < SIDE; ++c) gauss[c] = bell(w.right + c * w.unit);
#pragma unroll 1
  for (int r = 0; r < SIDE; ++r) {
    const double row = bell(w.down + r * w.unit);
    const INDEX first = w.first + (INDEX)r * cols;
#pragma unroll
    for (int c = 0; c < SIDE; ++c) {
      const double drawn = row * gauss[c], weight = KNOWN ? known[first + c] : 1.0;
      square += weight * drawn * drawn;
      both += weight * drawn;
      level += weight;
      whole += drawn * drawn;
    }
  }
  sums[column] = square;
  sums[(INDEX)n + column] = both;
  sums[2 * (INDEX)n + column] = level;
  sums[3 * (INDEX)n + column] = whole;
}
