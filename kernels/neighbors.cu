// Exact k nearest neighbours under the correlation or the Euclidean distance, of many graphs at once.
//
// The distance of two rows is half the squared difference of their centred and normalised forms ("unit rows"), or of
// the rows as they are (UNIT 0). Distances of neighbours are 1e-4 to 1e-8, where one minus a scalar product is float32
// rounding noise, so the work has three parts: a search by products that keeps a shortlist longer than k for each row,
// distances by difference for the shortlist, and a proof for each row that no point outside its shortlist can be nearer
// than the k-th kept one. Rows without that proof are searched again; with DIFFERENCE defined, a score subtracts before
// it squares, and is the distance itself.
//
// What is done                                                     kernel
//   rows (N, D) -> (unit) rows, once more minus the centre: v      shift_rows
//   a centre for each graph: the mean of some of these rows        centres
//   v (N, D) transposed to (DIM, P), and |v|^2 / 2 (P,)            lay_out
//   v as two 16-bit floats (P, CHUNKS, 8), and |v|^2 / 2 (P,)      split_rows        TENSOR
//   shortlists: the LISTED largest v.v' - |v'|^2/2 of each row     shortlist
//   the ball about the rows of each tile                           balls             TENSOR
//   shortlists, with the products on tensor cores                  shortlist_tensor  TENSOR
//   k nearest by difference, and the rows that lack the proof      refine
// The launcher goes over all rows with shortlist_tensor where the GPU has what it needs and gave, when it was tried, the
// bits of the other forms; over those that it does not prove with shortlist, and over the rest with DIFFERENCE. What is
// proven is the k nearest by float32 differences, ties by row, so that all forms give the same bits.
// A position p of 0 ... P-1 is a row or padding: every graph starts at a multiple of TILE and is padded to one. DIM is
// D padded to a multiple of DEPTH. Padding has an infinite norm, so it never enters a list, and needs no test.
//
// Most of the time is spent in shortlist. A block holds TILE rows in shared memory and meets all TILE-wide column tiles
// of their graph; a thread keeps 8 x 8 scores in registers. A score counts only if it is better than the threshold of
// its row, the LISTED-th best so far; it is then appended to the row's buffer in global memory, and a warp cuts a
// buffer that is nearly full back to the best. About LISTED (1 + ln(n / LISTED)) scores of n get that far: 360 of a
// million. Lists are ordered by (score, row), so they do not depend on the order in which threads append.
//
// Traffic and arithmetic of n rows in one graph, in float32: n^2 DIM fused multiply-adds; each block reads the graph once,
// from the L2 cache mostly: n^2 DIM / TILE * 4 bytes. On one H200 (float32 67 TFLOP/s, memory 4.8 TB/s), DIM = 66:
// n = 1e6 takes at least 2.0 s of arithmetic and 0.43 s of reading if nothing hit the cache, n = 1e7 at least 197 s.
// refine gathers LISTED rows for each: 8.4 GB at n = 1e6, at least 1.8 ms.
//
// On tensor cores. v = h + l in two 16-bit floats, to 2^-22; v.v' is h.l' + l.h' + h.h', summed in float32. For 16 x 8
// scores of 66 values that is 4 x 3 products of depth 16, one for both mixed parts of the last eight values, and one of
// depth 8: 13.5 of depth 16. A tile of 128 x 128 is 128 x 13.5 / 4 = 432 for each of the four tensor cores of a
// multiprocessor. At 4 cycles (989 TFLOP/s) n = 1e6 takes at least (1e6 / 128)^2 x 432 x 4 / (132 x 1.755e9 / s) = 0.46 s;
// mma.sync is known to reach five eighths of that rate on this GPU, so an estimate is 0.73 s, and 73 s for n = 1e7. A
// block reads 37 KB a tile, n^2 / 128 x 288 bytes: 2.3 TB, 0.41 s from an L2 cache of 5.5 TB/s, at the same time.
// Issue: the loop over values has 48 products of matrices, 12 loads of four matrices and 9 other instructions for
// 64 x 32 scores and 16 values: 70 % are products, and 90 % of the issue cycles if a product takes four. The loads take
// 12 x 4 cycles of shared memory in the 48 x 4 / 4 to 48 x 6.4 / 4 cycles of the products: 62 to 100 % of its
// bandwidth. What follows a tile, 64 x (a multiply-add and a comparison) and the thresholds, is about 180 of 660
// instructions of a warp, in the time of 216 products. None of this has been measured on a GPU.
//
// A block leaves out tiles by their balls: half the square of what centres are apart less the radii, against what
// the worst of its thresholds allows. Its warps know this of 32 tiles at a time, 66 x 4 instructions a lane for them,
// and of the chosen ones copies are under way while the one before is multiplied. Rows of large graphs are put in an
// order in which those share tiles that are nearest to one of 64 rows. Of simulated moments of 16,000 columns 29 to 41 %
// of all pairs of tiles are left out at 10 and 100 counts, where sublattices are apart, and none at 1: an estimate of
// 0.45 to 0.73 s for n = 1e6.
//
// Each tile for its rows and its columns would halve the products of matrices: 1,380 of the 2,765 cycles that a tile
// takes a multiprocessor at five eighths. It would add to a tile 64 multiply-adds and comparisons a thread for the columns'
// thresholds (8 warps, 4 schedulers: 260 to 400 cycles), lists in global memory that several blocks append to, with a
// reservation for each append, and a lock for each cut; so at most a factor 1.6, and less by what the locks cost. It is
// for someone who can measure.
//
// What this form proves depends on how much nearer the k-th neighbour is than the LISTED-th: of simulated moments of
// 12,000 columns, k = 9, all rows at 1 and 10 counts a pixel, 99 % at 100, 6 % at 1,000 (shortlist: all of these). The
// bound on its errors holds for all tensor cores known; with what is reported of an H100, two more binary places and
// sixteen terms at once, it would be a quarter, and 41 % at 1,000.
//
// What was tried: selection in shared memory (for k = 64 it needs more than the tiles, and few scores get there);
// one list for each thread (sixteen times as many scores pass); a full sort of each buffer (more work than counting,
// for each entry, those before it). On tensor cores: terms padded to 16 values (15 products and memory for one block
// instead of two); the mixed products first and the large one after them, which makes the proof three times as sharp
// but loads the first terms twice (94 % of the bandwidth of shared memory); TF32 (errors of 1e-3, a filter only).
//
// Constants: D, DIM, DEPTH, CHUNKS (of 8 values, of both terms), LISTED, CAPACITY (= LISTED + SLACK + TILE), K, UNIT,
// INDEX, VALUE, TILE, THREADS, SLACK, FEWEST (tiles of a graph of which some are left out); TENSOR or DIFFERENCE optional.
#include "shared.cuh"
#include "tensor.cuh"

#ifdef TENSOR
// A product has 3 parts, in 16 (or 8) dimensions at a time. Each time 16 terms and the sum so far, four times at worst,
// are cut off to 23 binary places of the largest, and the sum four times: 24 errors of 2^-23 a b. What is left out, a
// product of two second terms and what the second terms round, is below 3 times 2^-22 a b.
#define ROUNDINGS (3 * ((CHUNKS / 2 + 1) / 2) * 24 * 2 + 32)
#define LOST 1e-9f
#define NARROWER 1e-5f  // far more than what rounding takes from a distance
#define SCALE 4096.0f  // of values below 16, so that they and nearly all of their second terms are 16-bit floats
#else
#define ROUNDINGS DIM
#define LOST 0.0f
#endif
#define OWN (TILE / (THREADS / 32))  // rows whose buffers one warp cuts
#define INFINITE __int_as_float(0x7f800000)

static_assert(TILE == 128 && THREADS == 256, "a thread keeps 8 x 8 scores of a tile");
static_assert(CAPACITY == LISTED + SLACK + TILE, "a buffer is cut before a tile could overflow it");

// One warp a position: its row, with UNIT centred and of norm 1, minus the centre of its graph, all in float64 up to
// here; and the row's spread (N,), its norm after centring over that before.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
shift_rows(const VALUE* __restrict__ x, const double* __restrict__ centre, const int* __restrict__ row_of,
           const int* __restrict__ graph_of_tile, float* __restrict__ shifted, float* __restrict__ spread,
           int positions) {
  const int p = blockIdx.x * (THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x & 31;
  if (p >= positions || row_of[p] < 0) return;
  const INDEX row = (INDEX)row_of[p] * D;
  const double* middle = centre + (INDEX)graph_of_tile[p / TILE] * D;
#if UNIT
  double sum = 0.0, size = 0.0, squares = 0.0;
#pragma unroll 1
  for (int d = lane; d < D; d += 32) {
    sum += x[row + d];
    size += (double)x[row + d] * x[row + d];
  }
  for (int step = 16; step; step >>= 1) {
    sum += __shfl_xor_sync(0xffffffffu, sum, step);
    size += __shfl_xor_sync(0xffffffffu, size, step);
  }
  const double mean = sum / D;
#pragma unroll 1
  for (int d = lane; d < D; d += 32) squares += (x[row + d] - mean) * (x[row + d] - mean);
  for (int step = 16; step; step >>= 1) squares += __shfl_xor_sync(0xffffffffu, squares, step);
  if (lane == 0) spread[row_of[p]] = size > 0.0 ? float(sqrt(squares / size)) : 0.0f;
  const double scale = 1.0 / sqrt(squares);
#else
  if (lane == 0) spread[row_of[p]] = 1.0f;
  const double mean = 0.0, scale = 1.0;
#endif
#pragma unroll 1
  for (int d = lane; d < D; d += 32) shifted[row + d] = float((x[row + d] - mean) * scale - middle[d]);
}

// One block a graph: the mean of up to 65,536 of its rows, evenly spaced. Any point in their midst would do.
extern "C" __global__ void __launch_bounds__(THREADS)
centres(const float* __restrict__ rows, const int* __restrict__ offsets, double* __restrict__ centre) {
  DYNAMIC_SHARED(double, part);  // [THREADS]
  const int graph = blockIdx.x, group = threadIdx.x / 32, lane = threadIdx.x & 31;
  const int first = offsets[graph], n = offsets[graph + 1] - first, stride = n / 65536 + 1;
  for (int d0 = 0; d0 < D; d0 += 32) {
    const int d = d0 + lane;
    double sum = 0.0;
    if (d < D)
      for (long long i = (long long)group * stride; i < n; i += THREADS / 32 * stride)
        sum += rows[(first + i) * D + d];
    part[threadIdx.x] = sum;
    __syncthreads();
    if (group == 0 && d < D) {
      for (int g = 1; g < THREADS / 32; ++g) sum += part[g * 32 + lane];
      centre[(INDEX)graph * D + d] = n ? sum / ((n - 1) / stride + 1) : 0.0;
    }
    __syncthreads();
  }
}

// One thread a position: its row transposed, and half the squared norm.
extern "C" __global__ void __launch_bounds__(THREADS)
lay_out(const float* __restrict__ shifted, const int* __restrict__ row_of, float* __restrict__ columns,
        float* __restrict__ half_norm, int positions) {
  const int p = blockIdx.x * THREADS + threadIdx.x;
  if (p >= positions) return;
  const int row = row_of[p];
  double squares = 0.0;
  for (int d = 0; d < DIM; ++d) {
    const float v = row >= 0 && d < D ? shifted[(INDEX)row * D + d] : 0.0f;
    columns[(INDEX)d * positions + p] = v;
    squares += (double)v * v;
  }
  half_norm[p] = row >= 0 ? float(0.5 * squares) : INFINITE;
}

// One warp: order a row's buffer by (score descending, row ascending) and return the score of its LISTED-th entry.
__device__ float cut_to_best(float* __restrict__ scores, int* __restrict__ rows, int count) {
  const int lane = threadIdx.x & 31;
  float score[CAPACITY / 32];
  int row[CAPACITY / 32], rank[CAPACITY / 32];
#pragma unroll
  for (int q = 0; q < CAPACITY / 32; ++q) {
    const int i = q * 32 + lane;
    score[q] = i < count ? scores[i] : -INFINITE;
    row[q] = i < count ? rows[i] : 0x7fffffff;
    rank[q] = 0;
  }
  for (int m = 0; m < count; ++m) {
    const float other = scores[m];
    const int other_row = rows[m];
#pragma unroll
    for (int q = 0; q < CAPACITY / 32; ++q)
      if (q * 32 < count) rank[q] += other > score[q] || (other == score[q] && other_row < row[q]);
  }
  __syncwarp();
#pragma unroll
  for (int q = 0; q < CAPACITY / 32; ++q) {
    if (q * 32 + lane < count && rank[q] < LISTED) {
      scores[rank[q]] = score[q];
      rows[rank[q]] = row[q];
    }
  }
  __syncwarp();
  return count < LISTED ? -INFINITE : scores[LISTED - 1];
}

// Where the buffer of a block's row begins; the launcher keeps all buffers below 2^31.
#define BUFFER(ROW) int((blockIdx.x * TILE + (ROW)) * CAPACITY)

// Append those of a row's 8 scores, of columns place(0) ... place(7), that are better than its threshold.
template <class Place>
__device__ __forceinline__ void offer(const float (&score)[8], float limit, int own, int buffer, int* count, Place place,
                                      const int* __restrict__ row_of, float* __restrict__ scores, int* __restrict__ rows) {
  float best = score[0];
#pragma unroll
  for (int c = 1; c < 8; ++c) best = fmaxf(best, score[c]);
  if (best > limit) {
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      if (score[c] > limit) {
        const int row = row_of[place(c)];
        if (row != own) {
          const int slot = buffer + atomicAdd(count, 1);
          scores[slot] = score[c];
          rows[slot] = row;
        }
      }
    }
  }
}

// A warp cuts those of its rows' buffers that are nearly full.
__device__ __forceinline__ void cut_full(int own_rows, float* threshold, int* count, float* __restrict__ scores,
                                         int* __restrict__ rows) {
  unsigned full = __ballot_sync(0xffffffffu, count[own_rows + (threadIdx.x & (OWN - 1))] > LISTED + SLACK) & ((1u << OWN) - 1);
  while (full) {
    const int cut = own_rows + __ffs(full) - 1;
    const float limit = cut_to_best(scores + BUFFER(cut), rows + BUFFER(cut), count[cut]);
    if ((threadIdx.x & 31) == 0) {
      threshold[cut] = limit;
      count[cut] = LISTED;
    }
    full &= full - 1;
  }
}

// A warp leaves the shortlists of its rows in order.
__device__ __forceinline__ void finish(int own_rows, const int* count, float* __restrict__ scores, int* __restrict__ rows,
                                       int* __restrict__ found) {
  for (int i = own_rows; i < own_rows + OWN; ++i) {
    cut_to_best(scores + BUFFER(i), rows + BUFFER(i), count[i]);
    if ((threadIdx.x & 31) == 0) found[blockIdx.x * TILE + i] = count[i] < LISTED ? count[i] : LISTED;
  }
}

#ifndef TENSOR
// tiles (3, gridDim.x): first query position, first column position, number of column tiles.
// Buffers scores and rows (gridDim.x * TILE, CAPACITY); found (gridDim.x * TILE,) entries of each are valid at the end.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
shortlist(const float* __restrict__ queries, const int* __restrict__ query_row, int query_positions,
          const float* __restrict__ columns, const float* __restrict__ half_norm, const int* __restrict__ row_of,
          int column_positions, const int* __restrict__ tiles, float* __restrict__ scores, int* __restrict__ rows,
          int* __restrict__ found) {
  DYNAMIC_SHARED(float, held);                                    // [DIM][TILE], the block's rows
  float* slices = held + DIM * TILE;                              // [2][DEPTH][TILE], columns on their way through
  float* threshold = slices + 2 * DEPTH * TILE;                   // [TILE]
  int* count = reinterpret_cast<int*>(threshold + TILE);          // [TILE]
  int* own_row = count + TILE;                                    // [TILE]
  const int thread = threadIdx.x, tx = thread & 15, ty = thread >> 4, own_rows = thread / 32 * OWN;
  const int first_query = tiles[blockIdx.x];
  int column0 = tiles[gridDim.x + blockIdx.x];
  int tiles_left = tiles[2 * gridDim.x + blockIdx.x];
  const float* source = columns + (INDEX)(thread / 32) * column_positions + column0 + (thread & 31) * 4;
  const INDEX to_next_slice = (INDEX)DEPTH * column_positions, to_next_tile = TILE - (DIM / DEPTH - 1) * to_next_slice;

  for (int i = thread; i < DIM * TILE; i += THREADS)
    held[i] = queries[(INDEX)(i / TILE) * query_positions + first_query + i % TILE];
  if (thread < TILE) {
    own_row[thread] = query_row[first_query + thread];
    threshold[thread] = own_row[thread] >= 0 ? -INFINITE : INFINITE;
    count[thread] = 0;
  }
  if (thread < DEPTH * 32) reinterpret_cast<float4*>(slices)[thread] = *reinterpret_cast<const float4*>(source);
  __syncthreads();

  int stage = 0;
  for (; tiles_left > 0; --tiles_left, column0 += TILE) {
    float score[8][8];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float4 h = *reinterpret_cast<const float4*>(half_norm + column0 + half * 64 + tx * 4);
      const float start[4] = {h.x, h.y, h.z, h.w};
#pragma unroll
      for (int r = 0; r < 8; ++r)
#pragma unroll
        for (int c = 0; c < 4; ++c)
#ifdef DIFFERENCE
          score[r][half * 4 + c] = start[c] < INFINITE ? 0.0f : -INFINITE;
#else
          score[r][half * 4 + c] = -start[c];
#endif
    }
    for (int s = 0; s < DIM / DEPTH; ++s) {
      source += s < DIM / DEPTH - 1 ? to_next_slice : to_next_tile;
      const bool fetches = thread < DEPTH * 32 && (s < DIM / DEPTH - 1 || tiles_left > 1);
      float4 next = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
      if (fetches) next = *reinterpret_cast<const float4*>(source);
#pragma unroll
      for (int k = 0; k < DEPTH; ++k) {
        const float* row_values = held + (s * DEPTH + k) * TILE + ty * 4;
        const float* column_values = slices + (stage * DEPTH + k) * TILE + tx * 4;
        const float4 a0 = *reinterpret_cast<const float4*>(row_values), a1 = *reinterpret_cast<const float4*>(row_values + 64);
        const float4 b0 = *reinterpret_cast<const float4*>(column_values), b1 = *reinterpret_cast<const float4*>(column_values + 64);
        const float a[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
        const float b[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
        for (int r = 0; r < 8; ++r)
#pragma unroll
          for (int c = 0; c < 8; ++c) {
#ifdef DIFFERENCE
            const float difference = a[r] - b[c];
            score[r][c] = fmaf(difference, -difference, score[r][c]);
#else
            score[r][c] = fmaf(a[r], b[c], score[r][c]);
#endif
          }
      }
      stage ^= 1;
      if (fetches) reinterpret_cast<float4*>(slices)[stage * DEPTH * (TILE / 4) + thread] = next;
      __syncthreads();
    }

    const auto place = [&](int c) { return column0 + (c & 4) * 16 + tx * 4 + (c & 3); };
#pragma unroll
    for (int r = 0; r < 8; ++r) {
      const int i = (r & 4) * 16 + ty * 4 + (r & 3);
      offer(score[r], threshold[i], own_row[i], BUFFER(i), &count[i], place, row_of, scores, rows);
    }
    __syncthreads();
    // The barriers of the next slices order this before the next use of thresholds and counts.
    cut_full(own_rows, threshold, count, scores, rows);
  }
  __syncwarp();
  finish(own_rows, count, scores, rows, found);
}
#endif

#ifdef TENSOR
// Where chunk `chunk` of row `row` of a tile lies: eight rows that are neighbours have one and the same chunk in eight
// different groups of four banks. Chunks 2 c and 2 c + 1 are the first and second terms of values 8 c ... 8 c + 7.
#define GROUP ((CHUNKS & -CHUNKS) < 8 ? (CHUNKS & -CHUNKS) : 8)
__device__ __forceinline__ int chunk_at(int row, int chunk) {
  return row * CHUNKS + (chunk ^ (row / (8 / GROUP) & (GROUP - 1)));
}

// Bytes from chunk_at(row, chunk + 4 step) to chunk_at(row, chunk + 4 step + 4), for chunk below 4, which is at `at`.
__device__ __forceinline__ int ahead(int at, int step) {
  if (GROUP < 8) return 64;
  const bool above = (at & 4) != 0;  // where steps take turns
  return (step & 1) ? (above ? 192 : 64) : (above ? -64 : 64);
}

// One thread a position: its row times SCALE in two terms, and half the squared norm. halves (P, CHUNKS, 8) are in
// tiles, see chunk_at().
extern "C" __global__ void __launch_bounds__(THREADS)
split_rows(const float* __restrict__ shifted, const int* __restrict__ row_of, unsigned* __restrict__ halves,
           float* __restrict__ half_norm, int positions) {
#ifdef WITH_TENSOR_CORES
  const int p = blockIdx.x * THREADS + threadIdx.x;
  if (p >= positions) return;
  const int row = row_of[p];
  uint4* out = reinterpret_cast<uint4*>(halves) + (INDEX)(p / TILE) * (TILE * CHUNKS);
  double squares = 0.0;
  for (int chunk = 0; chunk < CHUNKS / 2; ++chunk) {
    unsigned first[4], second[4];
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      first[pair] = second[pair] = 0;
#pragma unroll
      for (int which = 0; which < 2; ++which) {
        const int d = chunk * 8 + pair * 2 + which;
        const float v = row >= 0 && d < D ? shifted[(INDEX)row * D + d] : 0.0f;
        squares += (double)v * v;
        const unsigned high = half_bits(SCALE * v);
        first[pair] |= high << 16 * which;
        second[pair] |= half_bits(SCALE * v - from_half_bits(high)) << 16 * which;
      }
    }
    out[chunk_at(p % TILE, 2 * chunk)] = {first[0], first[1], first[2], first[3]};
    out[chunk_at(p % TILE, 2 * chunk + 1)] = {second[0], second[1], second[2], second[3]};
  }
  half_norm[p] = row >= 0 ? float(0.5 * squares) : INFINITE;
#endif
}

// One block a tile: the ball about its rows, centres (D, tiles) and radii (tiles,).
extern "C" __global__ void __launch_bounds__(THREADS)
balls(const float* __restrict__ shifted, const int* __restrict__ row_of, float* __restrict__ centres,
      float* __restrict__ radii) {
  DYNAMIC_SHARED(float, middle);  // [D]
  float* farthest = middle + D;   // [THREADS / 32]
  const int* rows = row_of + blockIdx.x * TILE;
  const int warp = threadIdx.x / 32, lane = threadIdx.x & 31;
  for (int d = threadIdx.x; d < D; d += THREADS) {
    float sum = 0.0f;
    int count = 0;
    for (int i = 0; i < TILE && rows[i] >= 0; ++i, ++count) sum += shifted[(INDEX)rows[i] * D + d];
    middle[d] = sum / max(count, 1);
    centres[(INDEX)d * gridDim.x + blockIdx.x] = middle[d];
  }
  __syncthreads();
  float most = 0.0f;
  for (int i = warp; i < TILE && rows[i] >= 0; i += THREADS / 32) {
    float squares = 0.0f;
    for (int d = lane; d < D; d += 32) {
      const float away = shifted[(INDEX)rows[i] * D + d] - middle[d];
      squares = fmaf(away, away, squares);
    }
    for (int step = 16; step; step >>= 1) squares += __shfl_xor_sync(0xffffffffu, squares, step);
    most = fmaxf(most, squares);
  }
  if (lane == 0) farthest[warp] = most;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int w = 1; w < THREADS / 32; ++w) most = fmaxf(most, farthest[w]);
    radii[blockIdx.x] = sqrtf(most);
  }
}

// As shortlist, with the products on tensor cores: of rows h + l and h' + l' of two terms, h l' + l h' + h h'.
// halves (P, CHUNKS * 4) are those of queries and columns. A block begins with its own tile, whose rows are alike, and
// leaves out tiles whose ball is further away than the LISTED-th of each of its rows is so far: their scores are below
// the thresholds. visited (gridDim.x,): the tiles that it met.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
shortlist_tensor(const unsigned* __restrict__ halves, const float* __restrict__ half_norm,
                 const int* __restrict__ row_of, const float* __restrict__ centres, const float* __restrict__ radii,
                 int all_tiles, const int* __restrict__ tiles, float* __restrict__ scores, int* __restrict__ rows,
                 int* __restrict__ found, int* __restrict__ visited) {
#ifdef WITH_TENSOR_CORES
  DYNAMIC_SHARED(uint4, held);                                                // [TILE][CHUNKS], the block's rows
  uint4* passing = held + TILE * CHUNKS;                                      // [2][TILE][CHUNKS], columns
  float* half = reinterpret_cast<float*>(passing + 2 * TILE * CHUNKS);        // [2][TILE], their half norms
  float* threshold = half + 2 * TILE;                                         // [TILE]
  int* count = reinterpret_cast<int*>(threshold + TILE);                      // [TILE]
  int* own_row = count + TILE;                                                // [TILE]
  float* reach = reinterpret_cast<float*>(own_row + TILE);                    // [4], of the rows of a warp
  float* near = reach + 4 + threadIdx.x;                                      // [THREADS], of tiles; a lane has its own
  int* met = reinterpret_cast<int*>(reach + 4 + THREADS);                     // tiles met so far
  const int thread = threadIdx.x, lane = thread & 31, warp = thread / 32, own_rows = warp * OWN;
  const int down = warp / 4 * 64, across = warp % 4 * 32;  // a warp has 64 x 32 scores
  const int own_tile = tiles[blockIdx.x] / TILE, first_tile = tiles[gridDim.x + blockIdx.x] / TILE;
  const int tiles_here = tiles[2 * gridDim.x + blockIdx.x];
  // Of which row a lane gives the address, and of the matrix beside the first or not.
  const int row_a = down + (lane & 15), beside_a = lane >> 4;
  const int row_b = across + (lane & 7) + (lane >> 4) * 8, beside_b = lane >> 3 & 1;
  const int at_a[2] = {chunk_at(row_a, 2 * beside_a), chunk_at(row_a, 2 * beside_a + 1)};
  const int at_b[2] = {chunk_at(row_b, 2 * beside_b), chunk_at(row_b, 2 * beside_b + 1)};

  const auto copy_rows = [&](uint4* to, int tile) {
    const uint4* source = reinterpret_cast<const uint4*>(halves) + (INDEX)tile * (TILE * CHUNKS);
    for (int i = thread; i < TILE * CHUNKS; i += THREADS) copy_16_bytes(to + i, source + i);
  };
  const auto copy_columns = [&](int stage, int tile) {
    copy_rows(passing + stage * TILE * CHUNKS, tile);
    if (thread < TILE / 4) copy_16_bytes(half + stage * TILE + thread * 4, half_norm + tile * TILE + thread * 4);
  };
  const auto tile_at = [&](int number) {  // its own first, then those after and before it
    const int tile = own_tile + number;
    return tile < first_tile + tiles_here ? tile : tile - tiles_here;
  };
  // Half the square of the least distance between rows of the block and of a tile.
  const auto apart = [&](int tile) {
    float squares = 0.0f;
#pragma unroll 6
    for (int d = 0; d < D; ++d) {
      const float away = centres[(INDEX)d * all_tiles + own_tile] - centres[(INDEX)d * all_tiles + tile];
      squares = fmaf(away, away, squares);
    }
    const float gap = sqrtf(squares) * (1.0f - NARROWER) - (radii[own_tile] + radii[tile]) * (1.0f + NARROWER);
    return gap > 0.0f ? 0.5f * gap * gap : 0.0f;
  };
  *near = 0.0f;  // of 32 tiles, the one that this lane answers for
  const auto next_tile = [&](int number, float limit) {
    while (number < tiles_here) {
      const int mine = (number & ~31) + lane;
      if (tiles_here >= FEWEST && mine < tiles_here && (number & 31) == 0) *near = apart(tile_at(mine));
      const unsigned left = __ballot_sync(0xffffffffu, mine < tiles_here && *near <= limit) >> (number & 31);
      if (left) return number + __ffs(left) - 1;
      number = (number & ~31) + 32;
    }
    return number;
  };
  copy_rows(held, own_tile);
  copy_columns(0, own_tile);
  if (thread < TILE) {
    own_row[thread] = row_of[own_tile * TILE + thread];
    threshold[thread] = own_row[thread] >= 0 ? -INFINITE : INFINITE;
    count[thread] = 0;
    if (lane == 0) reach[warp] = INFINITE;
    if (thread == 0) *met = 0;
  }

  int number = next_tile(0, INFINITE);
  for (int stage = 0; number < tiles_here; stage ^= 1) {
    copies_have_come();
    __syncthreads();
    cut_full(own_rows, threshold, count, scores, rows);
    const int following = next_tile(number + 1, fmaxf(fmaxf(reach[0], reach[1]), fmaxf(reach[2], reach[3])));
    if (following < tiles_here) copy_columns(stage ^ 1, tile_at(following));
    const int column0 = tile_at(number) * TILE;
    number = following;
    SharedPlace own = shared_place(held), column = shared_place(passing + stage * TILE * CHUNKS);
    SharedPlace from_a[2] = {own + 16 * at_a[0], own + 16 * at_a[1]}, from_b[2] = {column + 16 * at_b[0], column + 16 * at_b[1]};
    for (int term = 0; term < 2; ++term) {
      keep(from_a[term]);
      keep(from_b[term]);
    }
    float sum[4][4][4] = {};
#pragma unroll 1
    for (int step = 0; step < CHUNKS / 4; ++step) {
      unsigned a[2][4][4], b[2][2][4];
#pragma unroll
      for (int term = 0; term < 2; ++term) {
#pragma unroll
        for (int m = 0; m < 4; ++m) load_matrices(a[term][m], from_a[term] + m * 256 * CHUNKS);
#pragma unroll
        for (int n = 0; n < 2; ++n) load_matrices(b[term][n], from_b[term] + n * 256 * CHUNKS);
        from_a[term] += ahead(at_a[term], step);
        from_b[term] += ahead(at_b[term], step);
      }
#pragma unroll
      for (int product = 0; product < 3; ++product)
#pragma unroll
        for (int m = 0; m < 4; ++m)
#pragma unroll
          for (int n = 0; n < 4; ++n)
            multiply(sum[m][n], a[product == 1][m], b[product == 0][n / 2][n % 2 * 2], b[product == 0][n / 2][n % 2 * 2 + 1]);
    }
    if (CHUNKS / 2 % 2) {  // the last eight values, both terms at once
      unsigned a[4][4], b[2][4];
#pragma unroll
      for (int m = 0; m < 4; ++m)
        load_matrices(a[m], own + 16 * (chunk_at(row_a, CHUNKS - 2 + beside_a) + m * 16 * CHUNKS));
#pragma unroll
      for (int n = 0; n < 2; ++n)
        load_matrices(b[n], column + 16 * (chunk_at(row_b, CHUNKS - 2 + beside_b) + n * 16 * CHUNKS));
#pragma unroll
      for (int m = 0; m < 4; ++m)
#pragma unroll
        for (int n = 0; n < 4; ++n) multiply(sum[m][n], a[m], b[n / 2][n % 2 * 2 + 1], b[n / 2][n % 2 * 2]);
#pragma unroll
      for (int m = 0; m < 4; ++m)
#pragma unroll
        for (int n = 0; n < 4; ++n) multiply(sum[m][n], a[m][0], a[m][1], b[n / 2][n % 2 * 2]);
    }
    __syncthreads();

    if (thread < TILE) {  // as of the tiles before this one; a row's distances are its half norm less its scores
      float most = own_row[thread] >= 0 ? half_norm[own_tile * TILE + thread] * (1.0f + NARROWER) - threshold[thread] : -INFINITE;
      for (int step = 16; step; step >>= 1) most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, step));
      if (lane == 0) reach[warp] = most;
      if (thread == 0) ++*met;
    }
    const int first = across + (lane & 3) * 2;
    const auto place = [&](int c) { return column0 + first + c / 2 * 8 + c % 2; };
    float norm[8];
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const float2 both = *reinterpret_cast<const float2*>(half + stage * TILE + first + n * 8);
      norm[2 * n] = both.x;
      norm[2 * n + 1] = both.y;
    }
#pragma unroll
    for (int r = 0; r < 8; ++r) {
      const int i = down + r / 2 * 16 + r % 2 * 8 + lane / 4;
      float score[8];
#pragma unroll
      for (int c = 0; c < 8; ++c) score[c] = fmaf(sum[r / 2][c / 2][r % 2 * 2 + c % 2], 1.0f / SCALE / SCALE, -norm[c]);
      offer(score, threshold[i], own_row[i], BUFFER(i), &count[i], place, row_of, scores, rows);
    }
  }
  __syncthreads();
  finish(own_rows, count, scores, rows, found);
  if (thread == 0) visited[blockIdx.x] = *met;
#endif
}
#endif

// One warp a query: distances of its shortlist by difference, the K nearest in the order (distance, row).
// unproven[query] is 1 where a point outside the list might be nearer than the K-th.
extern "C" __global__ void __launch_bounds__(THREADS)
refine(const float* __restrict__ shifted, const float* __restrict__ query_half_norm, const int* __restrict__ query_row,
       const float* __restrict__ scores, const int* __restrict__ rows, const int* __restrict__ found,
       int* __restrict__ indices, float* __restrict__ distances, int* __restrict__ unproven, int first_query,
       int queries) {
  const int slot = blockIdx.x * (THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x & 31;
  if (slot >= queries) return;
  const int query = first_query + slot, own = query_row[query];
  if (own < 0) {
    if (lane == 0) unproven[query] = 0;
    return;
  }
  const int count = found[slot];
  float distance[LISTED / 32];
  int row[LISTED / 32], rank[LISTED / 32];
#pragma unroll
  for (int q = 0; q < LISTED / 32; ++q) {
    const bool listed = q * 32 + lane < count;
    row[q] = listed ? rows[slot * CAPACITY + q * 32 + lane] : 0x7fffffff;
    rank[q] = 0;
    float squares = 0.0f;
    if (listed)
      for (int d = 0; d < D; ++d) {
        const float difference = shifted[(INDEX)own * D + d] - shifted[(INDEX)row[q] * D + d];
        squares = fmaf(difference, difference, squares);
      }
    distance[q] = listed ? 0.5f * squares : INFINITE;
  }
#pragma unroll
  for (int p = 0; p < LISTED / 32; ++p)
    for (int source = 0; source < 32; ++source) {
      const float other = __shfl_sync(0xffffffffu, distance[p], source);
      const int other_row = __shfl_sync(0xffffffffu, row[p], source);
#pragma unroll
      for (int q = 0; q < LISTED / 32; ++q)
        rank[q] += other < distance[q] || (other == distance[q] && other_row < row[q]);
    }
#pragma unroll
  for (int q = 0; q < LISTED / 32; ++q) {
    if (rank[q] >= K || row[q] == 0x7fffffff) continue;
    indices[(INDEX)own * K + rank[q]] = row[q];
    distances[(INDEX)own * K + rank[q]] = distance[q];
    if (rank[q] < K - 1) continue;
#ifdef DIFFERENCE
    unproven[query] = 0;
#else
    // |v| = a, |v'| = b: a score is off by at most ROUNDINGS 2^-24 (b^2 / 2 + a b), and no distance is below
    // (b - a)^2 / 2. What the second term of a split loses below the least 16-bit float is far below 1e-9 a.
    const float squared = 2.0f * query_half_norm[query], rounding = ROUNDINGS * 5.9604645e-8f * squared;
    const float error = (distance[q] < 0.12f * squared ? 3.0f * rounding : 13.0f * rounding) + LOST * sqrtf(squared);
    const float beyond = query_half_norm[query] - scores[slot * CAPACITY + LISTED - 1];
    unproven[query] = count == LISTED && !(distance[q] * 1.0001f + error < beyond && distance[q] < 4.0f * squared);
#endif
  }
}
