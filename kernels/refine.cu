// Fits of Gaussian columns to images, all columns of an image of one width, a block an image: what
// motifgpu/cpu/refine.py does, in double precision as there.
//
// What is done                                                             kernel
//   images (b, H, W), columns (n) -> their places, heights, widths (b)     fit_columns
//   -> heights and their standard errors (2, n)                            measure_columns
//   -> the columns drawn together (b, H, W)                                draw_columns
//
// Column i of image k is one of offsets[k] to offsets[k + 1]. Columns are rows, columns, heights (3, n). All steps of
// a fit are in one launch: a block draws its columns, waits for itself, and lets each thread step some of them; the
// medians that the common width follows are found by their digits, 8 bits at a time.
//
// Windows overlap, and additions of real numbers depend on their order. So columns are drawn in whole units: their sums
// are the same in any order. A unit is so small that n of the largest height sum to 2^62.
//
// Traffic of n columns: a window is 196 bytes of an image in float32, in cache as neighbours share it; drawing adds
// SIDE^2 words of 8 bytes a column. Arithmetic of a step: about 35 operations a pixel, 1,700 a column, and 2 SIDE
// exponentials. On one H200 a multiprocessor does 64 operations in double precision a clock of 1.8 GHz: 2,000 columns,
// 30 us a step, and the same for as many images as there are multiprocessors. Not measured yet.
//
// What was tried: a thread a column over the whole grid of blocks, a launch for each part of a step and some twenty for
// the medians; it takes 30 launches where this takes one, and a step of a few thousand columns takes no longer than a
// launch. A warp a column spends more on 25 sums over its lanes than it gains where there are thousands.
//
// Constants: SIDE (of a window, odd), KNOWN (whether pixels have weights), VALUE (of images), INDEX (positions in
// images), THREADS, and those of motifgpu/core/fitting.py: NARROWEST, WIDEST, LONGEST, LEAST, LEAST_SQUARE.

// Where the window of a column begins, and how far its first pixel is from the column in widths.
struct Window {
  INDEX first;
  double down, right, unit;
};

static __device__ __forceinline__ int begin(double place, int length) {
  const int reach = SIDE / 2, last = length - 1 - reach, centre = (int)rint(place);
  return max(min(centre, max(last, reach)), reach) - reach;
}

static __device__ __forceinline__ Window window(double row, double col, double sigma, int rows, int cols) {
  const int top = begin(row, rows), left = begin(col, cols);
  return {(INDEX)top * cols + left, (top - row) / sigma, (left - col) / sigma, 1.0 / sigma};
}

static __device__ __forceinline__ double bell(double away) { return exp(-0.5 * away * away); }

// The columns of one image.
struct Columns {
  double *row, *col, *height;
  int number;
};

static __device__ __forceinline__ Columns columns_of(double* columns, const int* offsets, int n) {
  const int first = offsets[blockIdx.x];
  return {columns + first, columns + n + first, columns + 2 * (INDEX)n + first, offsets[blockIdx.x + 1] - first};
}

static __device__ __forceinline__ unsigned long long ordered(double x) {
  const long long bits = __double_as_longlong(x);
  return bits < 0 ? ~(unsigned long long)bits : (unsigned long long)bits | 0x8000000000000000ull;
}

static __device__ __forceinline__ double number_of(unsigned long long key) {
  return __longlong_as_double((long long)(key >> 63 ? key & 0x7fffffffffffffffull : ~key));
}

// The upper median of x (n), of those alone whose `by` (n) is at least `least` if there is one.
static __device__ __forceinline__ double upper_median(const double* x, const double* by, double least, int n) {
  __shared__ int count[256];
  __shared__ int rank, digit;
  unsigned long long found = 0, fixed = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (int i = threadIdx.x; i < 256; i += THREADS) count[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += THREADS) {
      const unsigned long long key = ordered(x[i]);
      if ((!by || by[i] >= least) && (key & fixed) == found) atomicAdd(count + (int)(key >> shift & 255), 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      if (shift == 56) {
        int all = 0;
        for (int i = 0; i < 256; ++i) all += count[i];
        rank = all / 2;
      }
      int i = 0;
      for (; i < 255 && rank >= count[i]; ++i) rank -= count[i];
      digit = i;
    }
    __syncthreads();
    found |= (unsigned long long)digit << shift;
    fixed |= 255ull << shift;
    __syncthreads();
  }
  return number_of(found);
}

// Draws the columns of an image in units, and returns what one is, a power of two.
static __device__ __forceinline__ double draw(const Columns& columns, double sigma, unsigned long long* units, int rows, int cols) {
  __shared__ unsigned long long largest;
  if (threadIdx.x == 0) largest = 0;
  __syncthreads();
  double most = 0.0;
  for (int i = threadIdx.x; i < columns.number; i += THREADS) most = fmax(most, fabs(columns.height[i]));
  atomicMax(&largest, (unsigned long long)__double_as_longlong(most));  // positive numbers are in order as bits are
  const INDEX size = (INDEX)rows * cols;
  for (INDEX pixel = threadIdx.x; pixel < size; pixel += THREADS) units[pixel] = 0;
  __syncthreads();
  int exponent, bits = 62;
  frexp(__longlong_as_double((long long)largest), &exponent);
  for (int n = columns.number; n; n >>= 1) --bits;
  const double scale = ldexp(1.0, bits - exponent);
  for (INDEX thread = threadIdx.x; thread < (INDEX)columns.number * SIDE; thread += THREADS) {
    const int column = thread / SIDE, r = thread % SIDE;
    const Window w = window(columns.row[column], columns.col[column], sigma, rows, cols);
    const double row = columns.height[column] * bell(w.down + r * w.unit) * scale;
    for (int c = 0; c < SIDE; ++c)
      atomicAdd(units + w.first + (INDEX)r * cols + c, (unsigned long long)(long long)(row * bell(w.right + c * w.unit)));
  }
  __syncthreads();
  return 1.0 / scale;
}

static __device__ __forceinline__ double drawn(const unsigned long long* units, INDEX pixel, double unit) {
  return (double)(long long)units[pixel] * unit;
}

// A Gauss-Newton step of one column: of height, row and column at the same width, and of the logarithm of the width.
static __device__ __forceinline__ void step(const VALUE* image, const VALUE* known, const unsigned long long* units,
                                            double one, double sigma, double row_at, double col_at, double height,
                                            const double* away, double ridge, double tether, double* change,
                                            double* wider, int rows, int cols) {
  const Window w = window(row_at, col_at, sigma, rows, cols);
  const double slope = height * w.unit;
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
      const double left = image[first + c] - drawn(units, first + c, one);
      const double g = row * gauss[c], weight = KNOWN ? known[first + c] : 1.0, value = left * weight;
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
    m[a + 1] -= tether * away[a];
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
  *wider = m[4] / normal[4][4];
#pragma unroll
  for (int a = 3; a >= 0; --a) {
#pragma unroll
    for (int b = a + 1; b < 4; ++b) m[a] -= normal[a][b] * m[b];
    m[a] /= normal[a][a];
    if (a < 3) change[a] = m[a];
  }
}

// One block per image. `work` (6, n) holds where columns started, their steps of height, row and column, and those of
// the width; it is written here alone.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
fit_columns(const VALUE* __restrict__ images, const VALUE* __restrict__ known, const int* __restrict__ offsets,
            const double* __restrict__ tethers, double* columns, double* sigmas, double* work, unsigned long long* units,
            double ridge, int steps, int n, int rows, int cols) {
  const Columns mine = columns_of(columns, offsets, n);
  if (mine.number == 0) return;
  const INDEX at = (INDEX)blockIdx.x * rows * cols;
  const int first = offsets[blockIdx.x];
  double *start_row = work + first, *start_col = start_row + n, *change = work + 2 * (INDEX)n + 3 * (INDEX)first;
  double* wider = work + 5 * (INDEX)n + first;
  double sigma = sigmas[blockIdx.x];
  for (int i = threadIdx.x; i < mine.number; i += THREADS) {
    start_row[i] = mine.row[i];
    start_col[i] = mine.col[i];
  }
  for (int k = 0; k < steps; ++k) {
    const double one = draw(mine, sigma, units + at, rows, cols);
    for (int i = threadIdx.x; i < mine.number; i += THREADS) {
      const double away[2] = {mine.row[i] - start_row[i], mine.col[i] - start_col[i]};
      step(images + at, known + (KNOWN ? at : 0), units + at, one, sigma, mine.row[i], mine.col[i], mine.height[i],
           away, ridge, tethers[blockIdx.x], change + 3 * (INDEX)i, wider + i, rows, cols);
    }
    __syncthreads();
    const double middle = upper_median(mine.height, nullptr, 0.0, mine.number);
    const double asked = upper_median(wider, mine.height, middle, mine.number);
    for (int i = threadIdx.x; i < mine.number; i += THREADS) {
      mine.height[i] = fmax(mine.height[i] + change[3 * (INDEX)i], LEAST * middle);
      mine.row[i] += fmin(fmax(change[3 * (INDEX)i + 1], -LONGEST), LONGEST);
      mine.col[i] += fmin(fmax(change[3 * (INDEX)i + 2], -LONGEST), LONGEST);
    }
    sigma = fmin(fmax(sigma + asked, NARROWEST), WIDEST);
    __syncthreads();
  }
  if (threadIdx.x == 0) sigmas[blockIdx.x] = sigma;
}

// One block per image: heights and local levels alone, at places and widths that stay. `work` (4, n) holds the entries
// of the normal matrices and the next heights.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
measure_columns(const VALUE* __restrict__ images, const VALUE* __restrict__ known, const int* __restrict__ offsets,
                double* columns, const double* __restrict__ sigmas, double* work, unsigned long long* units,
                double* __restrict__ errors, double ridge, int steps, int n, int rows, int cols) {
  const Columns mine = columns_of(columns, offsets, n);
  const INDEX at = (INDEX)blockIdx.x * rows * cols;
  const double sigma = sigmas[blockIdx.x];
  double* square = work + offsets[blockIdx.x];
  double *both = square + n, *level = both + n, *next = level + n;
  for (int k = -1; k < steps; ++k) {
    const double one = k < 0 ? 0.0 : draw(mine, sigma, units + at, rows, cols);
    for (int i = threadIdx.x; i < mine.number; i += THREADS) {
      const Window w = window(mine.row[i], mine.col[i], sigma, rows, cols);
      double gauss[SIDE], sums[4] = {};
#pragma unroll
      for (int c = 0; c < SIDE; ++c) gauss[c] = bell(w.right + c * w.unit);
#pragma unroll 1
      for (int r = 0; r < SIDE; ++r) {
        const double row = bell(w.down + r * w.unit);
        const INDEX pixel = at + w.first + (INDEX)r * cols;
#pragma unroll
        for (int c = 0; c < SIDE; ++c) {
          const double height = row * gauss[c], weight = KNOWN ? known[pixel + c] : 1.0;
          if (k < 0) {
            sums[0] += weight * height * height;
            sums[1] += weight * height;
            sums[2] += weight;
            sums[3] += height * height;
          } else {
            const double value = (images[pixel + c] - drawn(units, pixel + c, one)) * weight;
            sums[0] += value * height;
            sums[1] += value;
          }
        }
      }
      if (k < 0) {
        square[i] = sums[0] + ridge * (sums[3] + LEAST_SQUARE);
        both[i] = sums[1];
        level[i] = sums[2] + ridge * SIDE * SIDE;
        errors[offsets[blockIdx.x] + i] = sqrt(level[i] / (square[i] * level[i] - both[i] * both[i]));
      } else {
        const double determinant = square[i] * level[i] - both[i] * both[i];
        next[i] = mine.height[i] + (level[i] * sums[0] - both[i] * sums[1]) / determinant;
      }
    }
    __syncthreads();
    if (k >= 0)
      for (int i = threadIdx.x; i < mine.number; i += THREADS) mine.height[i] = next[i];
    __syncthreads();
  }
}

// One block per image.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
draw_columns(const int* __restrict__ offsets, double* columns, const double* __restrict__ sigmas,
             unsigned long long* units, VALUE* __restrict__ images, int n, int rows, int cols) {
  const Columns mine = columns_of(columns, offsets, n);
  const INDEX at = (INDEX)blockIdx.x * rows * cols, size = (INDEX)rows * cols;
  const double one = draw(mine, sigmas[blockIdx.x], units + at, rows, cols);
  for (INDEX pixel = threadIdx.x; pixel < size; pixel += THREADS)
    images[at + pixel] = (VALUE)drawn(units + at, pixel, one);
}
