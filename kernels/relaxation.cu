// Force relaxation of the layout of weighted graphs: many small ones in one launch, or one large one.
//
// What is done                                                     kernel
//   sub-sweeps begin ... end-1 of every graph, in one launch       relax_graphs
//   one sub-sweep of one graph                                     relax_graph_step
// motifgpu/graph/relaxation.py has the formulas. A sub-sweep moves all vertices of a graph from one copy of the
// positions to another: a vertex is pulled along one of its edges, and pushed away from SAMPLES vertices that are the
// same for all. relax_graphs gives a block to each graph and keeps both copies in shared memory, VERTEX_BYTES per
// vertex: 14,520 vertices in the 227 KB of an H200. relax_graph_step gives a thread to each vertex and is launched once
// per sub-sweep. Both call moved(), and nothing is fused that does not say so, so they give the same bits. No atomics.
//
// Arrays: positions (N, 2) float32; indptr (N + 1,), neighbors and weights (nnz,) of all graphs, whose vertices are
// offsets (m + 1,); lengths (m, STAGES): sub-sweeps of each graph in each stage; gammas (STAGES,): the step at the
// beginning of each; laws (STAGES, 2, LAW): attraction and repulsion, see coefficient().
//
// Traffic of one sub-sweep, n vertices: positions 16 n bytes, rows 8 n, and gathered by sectors of 32 the end of an
// edge, its weight and the position there: 48 n to 120 n. Arithmetic: 16 operations, a division and a root per sample,
// 160 n and 8 n divisions. On one H200 (4.8 TB/s; 67 TFLOP/s, of a division 8 instructions): n = 1e6 at least 25 us of
// traffic; 1,000 graphs of 1,200 vertices for 160 sweeps of 16 sub-sweeps at least 20 ms of arithmetic, positions and
// edges staying on the chip. One graph in one block leaves the other multiprocessors idle, and is still quicker than a
// launch per sub-sweep as long as it fits. Not measured on a GPU yet.
//
// What was tried: a warp for each vertex (it reads one edge, so 31 lanes would idle); edges in shared memory (half as
// many graphs would fit on a multiprocessor, and the first-level cache holds them).
//
// Constants: STAGES, INDEX (of indptr), MOST_THREADS and THREADS (of a block of the two forms), VERTEX_BYTES and
// PLAN_BYTES (of shared memory), SAMPLES, SUBSWEEPS, GOLDEN, TINY, LAW (numbers of a law).
#include "philox.cuh"
#include "shared.cuh"

// What all vertices of a graph need to know of a sub-sweep.
struct Plan {
  int sample[SAMPLES];
  float strength[3];  // of attraction, of the samples' repulsion, of the repulsion of neighbours that is taken back
  int stage;
  unsigned word;  // which edge pulls, as a fraction of the vertex's edges
};
static_assert(sizeof(Plan) == PLAN_BYTES && 2 * sizeof(float2) == VERTEX_BYTES, "what the launcher reserves");
static_assert(LAW == 7, "what coefficient() reads");

__device__ void make_plan(Plan& plan, int q, int n, const int* __restrict__ lengths, const double* __restrict__ gammas,
                          double repulsions, unsigned long long seed) {
  int stage = 0, turn = q;
  while (stage < STAGES - 1 && turn >= lengths[stage]) turn -= lengths[stage++];
  const int i = threadIdx.x;
  if (i < SAMPLES) {
    const uint4 words = philox(make_uint4(stage, turn, i / 4, 0), make_uint2((unsigned)seed, (unsigned)(seed >> 32)));
    const unsigned word = i % 4 == 0 ? words.x : i % 4 == 1 ? words.y : i % 4 == 2 ? words.z : words.w;
    plan.sample[i] = (int)__umulhi(word / SAMPLES + i * (unsigned)(4294967296ull / SAMPLES), n);
  } else if (i < SAMPLES + 3) {
    const double gamma = gammas[stage] * (1.0 - (double)turn / lengths[stage]) / SUBSWEEPS;
    const double factor = i == SAMPLES ? 2.0 : i == SAMPLES + 1 ? repulsions / SAMPLES : repulsions / n;
    plan.strength[i - SAMPLES] = (float)(gamma * factor);
  } else if (i == SAMPLES + 3) {
    plan.stage = stage;
    plan.word = turn * GOLDEN;
  }
}

// A law is: strength, scale, exponent m, power p, softening (or negative), clip, m once more if whole (or negative).
__device__ __forceinline__ float coefficient(float squared, const float* __restrict__ law) {
  const int whole = (int)law[6];
  if (whole >= 0) {  // strength / (1 + d^m)
    float power = whole >= 2 ? squared : 1.0f;
    if (whole >= 4) power *= squared;
    if (whole & 1) power *= sqrtf(squared);
    return law[0] / (1.0f + power);
  }
  squared += TINY;
  float c = law[0] / (1.0f + law[1] * powf(squared, 0.5f * law[2]));
  if (law[3] != 0.0f) c *= powf(squared, 0.5f * law[3]);
  if (law[4] >= 0.0f) c /= squared + law[4];
  return fminf(c, law[5] / sqrtf(squared));
}

// Where vertex v goes; first is the number of the graph's first vertex, where its rows of indptr begin too.
__device__ __forceinline__ float2 moved(const float2* now, int v, int first, const Plan& plan, double mean_degree,
                                        const INDEX* __restrict__ indptr, const int* __restrict__ neighbors,
                                        const float* __restrict__ weights, const float* __restrict__ laws) {
  const float* pull = laws + plan.stage * 2 * LAW;
  const float* push = pull + LAW;
  const float2 self = now[v];
  const INDEX row = indptr[first + v];
  const unsigned degree = (unsigned)(indptr[first + v + 1] - row);
  const INDEX edge = row + (INDEX)__umulhi(plan.word, degree);
  const float2 other = degree ? now[neighbors[edge] - first] : self;
  const float weight = degree ? weights[edge] : 0.0f;
  float push_x = 0.0f, push_y = 0.0f, stiff = 0.0f;
#pragma unroll
  for (int k = 0; k < SAMPLES; ++k) {
    const float2 sample = now[plan.sample[k]];
    const float dx = self.x - sample.x, dy = self.y - sample.y;
    const float c = coefficient(dx * dx + dy * dy, push);
    push_x += c * dx;
    push_y += c * dy;
    stiff += c;
  }
  const float dx = other.x - self.x, dy = other.y - self.y, squared = dx * dx + dy * dy;
  const float share = (float)((double)degree + mean_degree);
  float c = fminf(coefficient(squared, pull), pull[5] / sqrtf(squared + TINY)) * plan.strength[0] * weight;
  c = (c + coefficient(squared, push) * plan.strength[2] * share) * (float)degree;
  const float force = plan.strength[1] * share, damped = 1.0f / (1.0f + c + (force + force) * stiff);
  return make_float2(self.x + (c * dx + force * push_x) * damped, self.y + (c * dy + force * push_y) * damped);
}

// One block a graph, in the order of graphs (gridDim.x,); dynamic shared memory for two plans and the largest graph.
extern "C" __global__ void __launch_bounds__(MOST_THREADS)
relax_graphs(float2* __restrict__ positions, const INDEX* __restrict__ indptr, const int* __restrict__ neighbors,
             const float* __restrict__ weights, const int* __restrict__ offsets, const int* __restrict__ graphs,
             const int* __restrict__ lengths, const double* __restrict__ gammas, const float* __restrict__ laws,
             double repulsions, unsigned long long seed, int begin, int end) {
  DYNAMIC_SHARED(Plan, plans);
  float2* now = reinterpret_cast<float2*>(plans + 2);
  const int graph = graphs[blockIdx.x], first = offsets[graph], n = offsets[graph + 1] - first;
  const double mean_degree = (double)(indptr[first + n] - indptr[first]) / n;
  float2* next = now + n;
  lengths += graph * STAGES;
  int total = 0;
  for (int stage = 0; stage < STAGES; ++stage) total += lengths[stage];
  for (int v = threadIdx.x; v < n; v += blockDim.x) now[v] = positions[first + v];
  if (begin < total) make_plan(plans[begin & 1], begin, n, lengths, gammas, repulsions, seed);
  __syncthreads();
  for (int q = begin; q < end && q < total; ++q) {
    if (q + 1 < total) make_plan(plans[(q + 1) & 1], q + 1, n, lengths, gammas, repulsions, seed);
    for (int v = threadIdx.x; v < n; v += blockDim.x)
      next[v] = moved(now, v, first, plans[q & 1], mean_degree, indptr, neighbors, weights, laws);
    __syncthreads();
    float2* moved_to = next;
    next = now;
    now = moved_to;
  }
  for (int v = threadIdx.x; v < n; v += blockDim.x) positions[first + v] = now[v];
}

// One thread a vertex of the graph whose n vertices begin at first; now and next (n, 2) are its positions alone.
extern "C" __global__ void __launch_bounds__(THREADS)
relax_graph_step(const float2* __restrict__ now, float2* __restrict__ next, const INDEX* __restrict__ indptr,
                 const int* __restrict__ neighbors, const float* __restrict__ weights, int first, int n,
                 const int* __restrict__ lengths, const double* __restrict__ gammas, const float* __restrict__ laws,
                 double repulsions, unsigned long long seed, int q) {
  DYNAMIC_SHARED(Plan, plan);
  make_plan(*plan, q, n, lengths, gammas, repulsions, seed);
  __syncthreads();
  const double mean_degree = (double)(indptr[first + n] - indptr[first]) / n;
  const int v = blockIdx.x * THREADS + threadIdx.x;
  if (v < n) next[v] = moved(now, v, first, *plan, mean_degree, indptr, neighbors, weights, laws);
}
