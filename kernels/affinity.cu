// Edge weights of a k-nearest-neighbour graph and its symmetric form, in compressed rows (CSR), of many graphs at once.
//
// A row's weights are exp(-(d - r) / sigma), r its smallest distance and sigma such that they sum to a target. The
// symmetric weight of an edge is q + q' - q q' (fuzzy union) or q + q' (sum); q' is zero where the other end does not
// list the edge. A row of the result holds its own K neighbours and the rows that list it without being listed, by
// index.
//
// What is done                                                     kernel
//   distances (N, K) -> weights (N, K), sigma (N,), tied (N,)      solve_rows
//   how many list a row without being listed: extra (N,)           count_edges
//   both halves to their rows, with a cursor for each row          place_edges
//   each row by index                                              sort_rows
// The launcher sums lengths to indptr between count and place. place_edges hands out places in the order in which
// threads come; after sort_rows nothing of that order is left, since no index comes twice in a row.
//
// Traffic of N rows: 8 N K bytes in, 8 bytes for each entry of the result and 12 N of lengths, so less than three times
// the result at the peak. The reverse lookup of an edge reads K indices: 4 N K^2 bytes, from cache where vertices are
// ordered in space. On one H200 (4.8 TB/s), N = 1e6, K = 9, about 13 entries per row: 0.32 GB of lookups twice and 0.4
// GB else, at least 0.22 ms; solve_rows takes 9 x 12 exponentials per row, 1e8 or about 0.03 ms. Not measured yet.
//
// sort_rows keeps entries in registers: 16 B of traffic each, and LANES exchanges a warp, which holds 32 / LANES rows.
//
// What was tried: sorting all edges by (row, column), which needs twice the edges, a buffer as large, and 64-bit keys.
//
// Bisection for sigma takes 25 steps where Newton's takes about 12: the sum of weights falls and is convex in 1/sigma,
// so that from 1/sigma = 0 no step passes the solution.
//
// Constants: K, INDEX (positions in the result), LANES (threads of a row that is sorted), SUM (0 union, 1 sum), THREADS;
// LEAST_SIGMA (of a row's mean distance), TOLERANCE (on the sum of a row's weights) and STEPS of the search for sigma.

// One thread per row, which stays in registers; in the order of motifgpu/cpu/affinity.py, its counterpart.
extern "C" __global__ void __launch_bounds__(THREADS)
solve_rows(const float* __restrict__ distances, float target, float* __restrict__ weights, float* __restrict__ sigma,
           bool* __restrict__ tied, int n) {
  const int row = blockIdx.x * THREADS + threadIdx.x;
  if (row >= n) return;
  const float* own = distances + (INDEX)row * K;
  float excess[K], mean = 0.0f, unit = 0.0f;
#pragma unroll
  for (int p = 0; p < K; ++p) {
    mean += own[p];
    excess[p] = own[p] - own[0];
    unit += excess[p];
  }
  mean /= K;
  unit /= K;
  if (!(unit > 0.0f)) unit = 1.0f;
#pragma unroll
  for (int p = 0; p < K; ++p) excess[p] /= unit;
  const float floor = LEAST_SIGMA * mean / unit, steepest = floor > 0.0f ? 1.0f / floor : 1.0f;
  float beta = 0.0f, over = 0.0f;
  for (int step = 0; step < STEPS; ++step) {
    float sum = 0.0f, slope = 0.0f;
#pragma unroll
    for (int p = 0; p < K; ++p) {
      const float weight = expf(-beta * excess[p]);
      sum += weight;
      slope += weight * excess[p];
    }
    over = sum - target;
    if (!(over > TOLERANCE && beta < steepest)) break;
    beta = fminf(beta + (slope > 0.0f ? over / slope : steepest), steepest);
  }
#pragma unroll
  for (int p = 0; p < K; ++p) weights[(INDEX)row * K + p] = expf(-beta * excess[p]);
  sigma[row] = unit / beta;
  tied[row] = over > TOLERANCE;
}

// extra must be zero before. An edge e of vertex i = e / K is mutual if its other end lists i.
__device__ __forceinline__ int mutual_slot(const int* __restrict__ neighbors, int i, int j) {
  for (int slot = 0; slot < K; ++slot)
    if (neighbors[(INDEX)j * K + slot] == i) return slot;
  return -1;
}

extern "C" __global__ void __launch_bounds__(THREADS)
count_edges(const int* __restrict__ neighbors, int* __restrict__ extra, INDEX edges) {
  const INDEX e = (INDEX)blockIdx.x * THREADS + threadIdx.x;
  if (e >= edges) return;
  const int j = neighbors[e];
  if (mutual_slot(neighbors, int(e / K), j) < 0) atomicAdd(&extra[j], 1);
}

// cursor must be zero before.
extern "C" __global__ void __launch_bounds__(THREADS)
place_edges(const int* __restrict__ neighbors, const float* __restrict__ weights, const INDEX* __restrict__ indptr,
            int* __restrict__ cursor, int* __restrict__ columns, float* __restrict__ values, INDEX edges) {
  const INDEX e = (INDEX)blockIdx.x * THREADS + threadIdx.x;
  if (e >= edges) return;
  const int i = int(e / K), j = neighbors[e], slot = mutual_slot(neighbors, i, j);
  float q = weights[e];
  if (slot >= 0) {
    const float back = weights[(INDEX)j * K + slot];
    q = SUM ? q + back : q + back - q * back;
  } else {
    const INDEX place = indptr[j] + K + atomicAdd(&cursor[j], 1);
    columns[place] = i;
    values[place] = q;
  }
  const INDEX place = indptr[i] + e % K;
  columns[place] = j;
  values[place] = q;
}

__device__ __forceinline__ void order(int* __restrict__ columns, float* __restrict__ values, int a, int b, int length) {
  if (b >= length || columns[a] < columns[b]) return;
  const int column = columns[a];
  columns[a] = columns[b];
  columns[b] = column;
  const float value = values[a];
  values[a] = values[b];
  values[b] = value;
}

// A bitonic network in place, for any length, by a warp; what lies beyond the end counts as infinite.
__device__ void sort_together(int* __restrict__ columns, float* __restrict__ values, int length, int lane) {
  int whole = 1;
  while (whole < length) whole *= 2;
  for (int size = 2; size <= whole; size *= 2) {
#pragma unroll 1
    for (int t = lane; t < whole / 2; t += 32) {
      const int base = t / (size / 2) * size, within = t % (size / 2);
      order(columns, values, base + within, base + size - 1 - within, length);
    }
    __syncwarp();
    for (int reach = size / 4; reach > 0; reach /= 2) {
#pragma unroll 1
      for (int t = lane; t < whole / 2; t += 32) {
        const int a = t / reach * 2 * reach + t % reach;
        order(columns, values, a, a + reach, length);
      }
      __syncwarp();
    }
  }
}

// LANES threads a row, each with one entry, which goes where as many are before it as have a lower index. A row of more
// entries is sorted by the whole warp.
extern "C" __global__ void __launch_bounds__(THREADS)
sort_rows(const INDEX* __restrict__ indptr, int* __restrict__ columns, float* __restrict__ values, int n) {
  const long long row = ((long long)blockIdx.x * THREADS + threadIdx.x) / LANES;
  const int lane = threadIdx.x & 31, own = lane % LANES, leader = lane - own;
  const INDEX first = row < n ? indptr[row] : 0;
  const int length = row < n ? int(indptr[row + 1] - first) : 0;
  const bool mine = own < length && length <= LANES;
  const int column = mine ? columns[first + own] : 0x7fffffff;
  const float value = mine ? values[first + own] : 0.0f;
  int before = 0;
#pragma unroll
  for (int k = 0; k < LANES; ++k) before += __shfl_sync(0xffffffffu, column, leader + k) < column;
  if (mine) {
    columns[first + before] = column;
    values[first + before] = value;
  }
  for (unsigned longer = __ballot_sync(0xffffffffu, own == 0 && length > LANES); longer; longer &= longer - 1) {
    const int which = __ffs((int)longer) - 1;
    const INDEX begin = __shfl_sync(0xffffffffu, first, which);
    sort_together(columns + begin, values + begin, __shfl_sync(0xffffffffu, length, which), lane);
  }
}
