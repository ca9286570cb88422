// Square patches of micrographs, sampled from its quintic B-spline coefficients at sub-pixel centres.
//
// A sample is sum w_r w_c coefficient[r][c] over the 7 x 7 pixels about it (six for a quintic spline, and one because
// the first of them is the same for every patch, relative to the patch's pixel). Weights depend on row and column
// apart, so that a patch takes two passes of 7 multiplications per sample, and not one of 49. Pixels beyond the image are
// its mirror image.
//
// What is done                                                                                    kernel
//   coefficients (b, height, length), pixel (n, 3), fraction (n, 2) -> patches (n, size, size)    sample_patches
//
// One block per patch or, of patches above 64 samples, per tile of it. The pixels it needs go to shared memory. A warp
// takes four samples that are neighbours along the axis of the pass, whose pixels overlap, and 96 lines across: at a
// step it loads four weights and three pixels and multiplies twelve times, so a load feeds three multiplications. An odd
// distance between rows keeps the loads free of bank conflicts. A patch sees no other, so its bits depend on no other.
//
// Traffic and arithmetic of n patches of s x s samples, a pixel apart: 4 n s^2 bytes written and 4 n (s + 6)^2 read,
// from the L2 cache, which holds the image or nearly; a group of four samples meets 10 pixels, so 10 n s (2 s + 6)
// multiply-adds. On one H200 (4.8 TB/s, float32 67 TFLOP/s, 132 multiprocessors at 1.8 GHz), n = 1e6, s = 64: 16.4 GB
// or 3.4 ms of writing, 19.6 GB from the cache, 8.6e10 multiply-adds or 2.6 ms. The lower bound is a block's use of
// shared memory: about 1,900 loads and stores of a warp for a patch, one per cycle, or 8 ms. Not measured yet.
//
// What was tried, on paper: the products of dense matrices (s, s + 6) of the array code, batched; 64-bit indices of every
// pixel and the gathered windows go through memory, five times the traffic of the result, and nine tenths of the
// products are with zeros. One sample per thread needs 12 loads for 6 multiplications. Weights in registers, with the
// span as a constant, save a fifth of the loads and compile anew for every patch size.
//
// Constants: VALUE (of coefficients and patches), INDEX (positions in either), BLOCKS (that share the registers of a
// multiprocessor: 4, and 2 for double; without the bound ptxas spills for some architectures), THREADS, TAPS, GROUP.
#include "shared.cuh"

#define WARPS (THREADS / 32)
#define ACROSS 3  // lines across that a lane works on at a time

static_assert(GROUP == 4, "a group of samples is computed as Four");

struct alignas(16) Four {
  VALUE of[4];
};

__device__ __forceinline__ VALUE fifth_power(VALUE x) {
  x = x > 0 ? x : 0;
  return x * x * (x * x) * x;
}

__device__ __forceinline__ VALUE quintic_bspline(VALUE distance) {
  const VALUE sum = fifth_power(3 - distance) - 6 * fifth_power(2 - distance) + 15 * fifth_power(1 - distance);
  return sum / 120;
}

__device__ __forceinline__ int mirrored(int i, int length) {
  if (length == 1) return 0;
  const int period = 2 * (length - 1);
  i %= period;
  if (i < 0) i += period;
  return min(i, period - i);
}

// grid (n, tiles^2). The samples of an axis come in tiles, the tiles in groups of four. reach (tiles, width): pixels of a
// tile, counted from the patch's; slot (tiles * tile,): where the taps of a sample begin among them, of the last sample
// for those beyond size; phase (tiles * tile,): how far behind its first tap's pixel plus two a sample is, at fraction 0.
// Each of the b images has its own, one after another; pixel ends with the number of the image.
// A group meets at most span pixels.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
sample_patches(const VALUE* __restrict__ coefficients, const int* __restrict__ pixel, const VALUE* __restrict__ fraction,
               const int* __restrict__ reach, const int* __restrict__ slot, const VALUE* __restrict__ phase,
               VALUE* __restrict__ patches, int height, int length, int size, int tile, int tiles, int span, int width) {
  DYNAMIC_SHARED(Four, weights);  // [2][groups][span], of rows and of columns
  const int groups = tile / 4, pitch = groups | 1, stride = width | 1;
  Four* middle = weights + 2 * groups * span;                          // [width][pitch], sampled along rows
  VALUE* window = reinterpret_cast<VALUE*>(middle + width * pitch);    // [width][stride], coefficients
  int* place = reinterpret_cast<int*>(window + width * stride);        // [2][width], their rows and columns
  const int warp = threadIdx.x / 32, lane = threadIdx.x & 31, patch = blockIdx.x;
  const int image = pixel[3 * patch + 2];  // that the patch is of; each has tables and coefficients of its own
  const int tile_down = blockIdx.y / tiles, tile_right = blockIdx.y % tiles;
  const int first_row = tile_down * tile, first_col = tile_right * tile;

  for (int i = threadIdx.x; i < 2 * width; i += THREADS) {
    const bool right = i >= width;
    const int beyond = reach[(image * tiles + (right ? tile_right : tile_down)) * width + i - right * width];
    place[i] = mirrored(pixel[3 * patch + right] + beyond, right ? length : height);
  }
  for (int i = threadIdx.x; i < 8 * groups * span; i += THREADS) {
    const bool right = i >= 4 * groups * span;
    const int group = i / (4 * span) - right * groups, step = i / 4 % span;
    const int first = (right ? first_col : first_row) + 4 * group, sample = first + i % 4;
    const int table = image * tiles * tile, tap = step - (slot[table + sample] - slot[table + first]);
    const VALUE distance = fraction[2 * patch + right] + (phase[table + sample] + 2 - tap);
    weights[i / 4].of[i % 4] = tap >= 0 && tap < TAPS ? quintic_bspline(distance < 0 ? -distance : distance) : 0;
  }
  __syncthreads();
  for (int r = warp; r < width; r += WARPS) {
    const VALUE* row = coefficients + ((INDEX)image * height + place[r]) * length;
    for (int c = lane; c < width; c += 32) window[r * stride + c] = row[place[width + c]];
  }
  __syncthreads();

  for (int group = warp; group < groups && first_col + 4 * group < size; group += WARPS) {
    const Four* weight = weights + (groups + group) * span;
    const VALUE* from = window + slot[image * tiles * tile + first_col + 4 * group];
    for (int begin = lane; begin < width; begin += 32 * ACROSS) {
      Four sum[ACROSS] = {};
      for (int step = 0; step < span; ++step) {
        const Four w = weight[step];
#pragma unroll
        for (int a = 0; a < ACROSS; ++a) {
          const int r = begin + 32 * a;
          const VALUE value = r < width ? from[r * stride + step] : 0;
#pragma unroll
          for (int q = 0; q < 4; ++q) sum[a].of[q] = fma(value, w.of[q], sum[a].of[q]);
        }
      }
#pragma unroll
      for (int a = 0; a < ACROSS; ++a)
        if (begin + 32 * a < width) middle[(begin + 32 * a) * pitch + group] = sum[a];
    }
  }
  __syncthreads();

  const int columns = min(tile, size - first_col);
  VALUE* out = patches + (INDEX)patch * size * size + first_col;
  for (int group = warp; group < groups && first_row + 4 * group < size; group += WARPS) {
    const Four* weight = weights + group * span;
    const VALUE* from = middle[slot[image * tiles * tile + first_row + 4 * group] * pitch].of;
    for (int begin = lane; begin < columns; begin += 32 * ACROSS) {
      Four sum[ACROSS] = {};
      for (int step = 0; step < span; ++step) {
        const Four w = weight[step];
#pragma unroll
        for (int a = 0; a < ACROSS; ++a) {
          const int c = begin + 32 * a;
          const VALUE value = c < columns ? from[step * 4 * pitch + c] : 0;
#pragma unroll
          for (int q = 0; q < 4; ++q) sum[a].of[q] = fma(value, w.of[q], sum[a].of[q]);
        }
      }
#pragma unroll
      for (int a = 0; a < ACROSS; ++a)
#pragma unroll
        for (int q = 0; q < 4; ++q) {
          const int r = first_row + 4 * group + q, c = begin + 32 * a;
          if (r < size && c < columns) out[(INDEX)r * size + c] = sum[a].of[q];
        }
    }
  }
}
