// Force relaxation of the layout of weighted graphs: many small ones in one launch, or one large one.
//
// What is done                                                     kernel
//   sub-sweeps begin ... end-1 of every graph, in one launch       relax_graphs
//   one sub-sweep of one graph                                     relax_graph_step
//   how many of these are done                                     advance_clock
// motifgpu/graph/relaxation.py has the formulas. A sub-sweep moves all vertices of a graph from one copy of the
// positions to another: a vertex is pulled along one of its edges, and pushed away from SAMPLES vertices that are the
// same for all. relax_graphs gives a block to each graph and keeps both copies in shared memory, VERTEX_BYTES per
// vertex: 14,520 vertices in the 227 KB of an H200. relax_graph_step gives a thread to each vertex and is launched once
// per sub-sweep; which one it is stands in memory, so that BURST launches are recorded once and repeated as a CUDA graph.
// Both call move_all(), and nothing is fused that does not say so: they give the same bits. No atomics.
//
// Arrays: positions (N, 2) float32; indptr (N + 1,), neighbors and weights (nnz,) of all graphs, whose vertices are
// offsets (m + 1,); sizes (m,): the row of each graph in lengths (sizes, STAGES), the sub-sweeps of each stage, and in
// steps (sizes, STAGES, longest), the step of each; fractions (STAGES, longest, SAMPLES): the samples as fractions of
// the number of vertices; laws (STAGES, 2, LAW): attraction and repulsion, see coefficient().
//
// A stage has code of its own for whole exponents (EXPONENTS), which nearly all laws have: on sm_90 126, 155 and 138
// instructions a vertex and sub-sweep in the paper's three stages, of which 11, 20 and 12 go to the special function
// unit, which takes a warp in 8 cycles. Deciding on the law at each sample took 415 to 525. Steps and samples are
// tables, because a double division and Philox took longer in one warp than the others took for their vertices.
//
// Traffic of one sub-sweep, n vertices: positions 16 n bytes, rows 8 n, and gathered by sectors of 32 the end of an
// edge, its weight and the position there: 48 n to 120 n. On one H200 (4.8 TB/s; 132 multiprocessors of 4 schedulers at
// 1.755 GHz): n = 1e6 at least 25 us of traffic. 1,000 graphs of 1,200 vertices for 175 sweeps of 16 sub-sweeps: 139
// cycles of a scheduler for a warp's vertices (stages weighted by their sweeps, the larger of instructions and 8 times
// the special functions), times 1,000 x 1,200 / 32 x 2,800 / (132 x 4 x 1.755e9 / s), at least 16 ms, positions and
// edges staying on the chip. One graph in one block leaves the other multiprocessors idle: 1,024 vertices at a time take
// it 8 warps of each scheduler x 139 cycles or 0.63 us, 14,520 vertices 9.5 us. A launch of a CUDA graph takes about 2 us
// (1 to 1.5 to begin, and two gathers that wait for each other), beside 25 us a million vertices; a launch by the host
// 10 us or more. So from some 4,000 vertices on launches are quicker for a single graph, and the launcher chooses by these
// estimates how many of the largest graphs take them. Not measured on a GPU yet.
//
// What was tried: a warp for each vertex (it reads one edge, so 31 lanes would idle); edges in shared memory (half as
// many graphs would fit on a multiprocessor, and the first-level cache holds them); one reciprocal for two samples
// (fewer special functions, but the product of two denominators leaves the range of float32 at distances of 2,000);
// on paper, a cluster of 8 blocks with distributed shared memory (some 2 us a sub-sweep for 14,520 vertices, as launches
// of a CUDA graph, which have no limit of size and need no sm_90).
//
// Constants: STAGES, EXPONENTS ({of attraction, of repulsion} of each stage, -1 where it is not whole), INDEX (of
// indptr), MOST_THREADS and THREADS (of a block of the two forms), VERTEX_BYTES and PLAN_BYTES (of shared memory),
// SAMPLES, GOLDEN, TINY, LAW (numbers of a law).
#include "shared.cuh"

// What all vertices of a graph need to know of a sub-sweep.
struct Plan {
  int sample[SAMPLES];
  float strength[3];  // of attraction, of the samples' repulsion, of the repulsion of neighbours that is taken back
  unsigned word;      // which edge pulls, as a fraction of the vertex's edges
};
static_assert(sizeof(Plan) == PLAN_BYTES && 2 * sizeof(float2) == VERTEX_BYTES, "what the launcher reserves");
static_assert(LAW == 7, "what coefficient() reads");
constexpr int WHOLE[STAGES][2] = {EXPONENTS};

// A law is: strength, scale, exponent m, power p, softening (or negative), clip, m once more if whole (or negative).
// Where m is whole it is known here, M, and the strength is left to the caller. 1 / x and 1 / sqrt(x) are those of the
// special function unit, right to an ulp or two, and powers to 1e-5; squared is not zero.
template <int M>
__device__ __forceinline__ float coefficient(float squared, const float* __restrict__ law) {
  if (M >= 0) {  // 1 / (1 + d^m)
    const float even = M >= 4 ? squared * squared : M >= 2 ? squared : 1.0f;
    return __fdividef(1.0f, M & 1 ? fmaf(even, squared * rsqrtf(squared), 1.0f) : 1.0f + even);
  }
  float c = __fdividef(law[0], 1.0f + law[1] * __powf(squared, 0.5f * law[2]));
  if (law[3] != 0.0f) c *= __powf(squared, 0.5f * law[3]);
  if (law[4] >= 0.0f) c = __fdividef(c, squared + law[4]);
  return fminf(c, law[5] * rsqrtf(squared));
}

// What the sub-sweeps of a graph have in common.
struct Graph {
  int n, first;  // vertices, and the number of the first, where its rows of indptr begin too
  float mean_degree;
  const INDEX* __restrict__ indptr;
  const int* __restrict__ neighbors;
  const float* __restrict__ weights;
};

__device__ __forceinline__ Graph graph_of(int first, int n, const INDEX* indptr, const int* neighbors,
                                          const float* weights) {
  return {n, first, (float)((double)(indptr[first + n] - indptr[first]) / n), indptr, neighbors, weights};
}

// The plan of sub-sweep `turn` of a stage. steps (STAGES, longest) are those of the graph's size.
__device__ void make_plan(Plan& plan, int stage, int turn, int n, int longest, const unsigned* __restrict__ fractions,
                          const double* __restrict__ steps, double repulsions) {
  const int i = threadIdx.x, row = stage * longest + turn;
  if (i < SAMPLES) {
    plan.sample[i] = (int)__umulhi(fractions[(long long)row * SAMPLES + i], n);
  } else if (i < SAMPLES + 3) {
    const double factor = i == SAMPLES ? 2.0 : i == SAMPLES + 1 ? repulsions / SAMPLES : repulsions / n;
    plan.strength[i - SAMPLES] = (float)(steps[row] * factor);
  } else if (i == SAMPLES + 3) {
    plan.word = turn * GOLDEN;
  }
}

__device__ __forceinline__ float square(float dx, float dy) { return fmaf(dx, dx, fmaf(dy, dy, TINY)); }

// One sub-sweep: where vertices v, v + stride ... of now go, by the laws of a stage.
template <int STAGE>
__device__ __forceinline__ void move_all(const float2* now, float2* next, int v, int stride, const Graph& graph,
                                         const Plan& plan, const float* __restrict__ laws) {
  constexpr int PULL = WHOLE[STAGE][0], PUSH = WHOLE[STAGE][1];
  const float* pull = laws + STAGE * 2 * LAW;
  const float* push = pull + LAW;
  const float alpha = PULL < 0 ? 1.0f : pull[0], beta = PUSH < 0 ? 1.0f : push[0], clip = pull[5];
  const float pulled = plan.strength[0], pushed = plan.strength[1] * beta, taken_back = plan.strength[2] * beta;
  const unsigned word = plan.word;
  float2 samples[SAMPLES];
#pragma unroll
  for (int k = 0; k < SAMPLES; ++k) samples[k] = now[plan.sample[k]];
  for (; v < graph.n; v += stride) {
    const float2 self = now[v];
    const INDEX row = graph.indptr[graph.first + v];
    const unsigned degree = (unsigned)(graph.indptr[graph.first + v + 1] - row);
    const INDEX edge = row + (INDEX)__umulhi(word, degree);
    const float2 other = degree ? now[graph.neighbors[edge] - graph.first] : self;
    const float weight = degree ? graph.weights[edge] : 0.0f;
    float push_x = 0.0f, push_y = 0.0f, stiff = 0.0f;
#pragma unroll
    for (int k = 0; k < SAMPLES; ++k) {
      const float2 sample = PUSH < 0 ? now[plan.sample[k]] : samples[k];  // a general law needs its registers
      const float dx = self.x - sample.x, dy = self.y - sample.y;
      const float c = coefficient<PUSH>(square(dx, dy), push);
      push_x = fmaf(c, dx, push_x);
      push_y = fmaf(c, dy, push_y);
      stiff += c;
    }
    const float dx = other.x - self.x, dy = other.y - self.y, squared = square(dx, dy);
    const float many = (float)degree, share = many + graph.mean_degree, force = pushed * share;
    const float attraction = fminf(alpha * coefficient<PULL>(squared, pull), clip * rsqrtf(squared));
    const float back = coefficient<PUSH>(squared, push) * taken_back * share;
    const float c = fmaf(attraction * pulled, weight, back) * many;
    const float damped = __fdividef(1.0f, fmaf(force + force, stiff, 1.0f + c));
    next[v] = make_float2(fmaf(fmaf(c, dx, force * push_x), damped, self.x),
                          fmaf(fmaf(c, dy, force * push_y), damped, self.y));
  }
}

// The same, of a stage that is known when it runs.
template <int STAGE = 0>
__device__ __forceinline__ void subsweep(int stage, const float2* now, float2* next, int v, int stride,
                                         const Graph& graph, const Plan& plan, const float* __restrict__ laws) {
  if constexpr (STAGE + 1 < STAGES) {
    if (stage != STAGE) return subsweep<STAGE + 1>(stage, now, next, v, stride, graph, plan, laws);
  }
  move_all<STAGE>(now, next, v, stride, graph, plan, laws);
}

// One block a graph, in the order of graphs (gridDim.x,); dynamic shared memory for two plans and the largest graph.
extern "C" __global__ void __launch_bounds__(MOST_THREADS)
relax_graphs(float2* __restrict__ positions, const INDEX* __restrict__ indptr, const int* __restrict__ neighbors,
             const float* __restrict__ weights, const int* __restrict__ offsets, const int* __restrict__ graphs,
             const int* __restrict__ sizes, const int* __restrict__ lengths, const unsigned* __restrict__ fractions,
             const double* __restrict__ steps, int longest, const float* __restrict__ laws, double repulsions,
             int begin, int end) {
  DYNAMIC_SHARED(Plan, plans);
  float2* now = reinterpret_cast<float2*>(plans + 2);
  const int number = graphs[blockIdx.x], first = offsets[number], n = offsets[number + 1] - first;
  const Graph graph = graph_of(first, n, indptr, neighbors, weights);
  float2* next = now + n;
  lengths += sizes[number] * STAGES;
  steps += (long long)sizes[number] * STAGES * longest;
  int stage = 0, turn = begin;
  while (stage < STAGES && turn >= lengths[stage]) turn -= lengths[stage++];
  if (stage == STAGES) return;
  for (int v = threadIdx.x; v < n; v += blockDim.x) now[v] = positions[first + v];
  make_plan(plans[begin & 1], stage, turn, n, longest, fractions, steps, repulsions);
  __syncthreads();
  for (int q = begin; q < end && stage < STAGES; ++q) {
    const int current = stage;
    ++turn;
    while (stage < STAGES && turn >= lengths[stage]) {
      turn = 0;
      ++stage;
    }
    if (stage < STAGES) make_plan(plans[(q + 1) & 1], stage, turn, n, longest, fractions, steps, repulsions);
    subsweep(current, now, next, threadIdx.x, blockDim.x, graph, plans[q & 1], laws);
    __syncthreads();
    float2* moved_to = next;
    next = now;
    now = moved_to;
  }
  for (int v = threadIdx.x; v < n; v += blockDim.x) positions[first + v] = now[v];
}

// One thread a vertex of the graph whose n vertices begin at first; now and next (n, 2) are its positions alone. The
// sub-sweep is number clock[0] + ahead of those that lengths (STAGES,) has.
extern "C" __global__ void __launch_bounds__(THREADS)
relax_graph_step(const float2* __restrict__ now, float2* __restrict__ next, const INDEX* __restrict__ indptr,
                 const int* __restrict__ neighbors, const float* __restrict__ weights, int first, int n,
                 const int* __restrict__ clock, int ahead, const int* __restrict__ lengths,
                 const unsigned* __restrict__ fractions, const double* __restrict__ steps, int longest,
                 const float* __restrict__ laws, double repulsions) {
  DYNAMIC_SHARED(Plan, plan);
  int stage = 0, turn = clock[0] + ahead;
  while (stage < STAGES - 1 && turn >= lengths[stage]) turn -= lengths[stage++];
  make_plan(*plan, stage, turn, n, longest, fractions, steps, repulsions);
  __syncthreads();
  const Graph graph = graph_of(first, n, indptr, neighbors, weights);
  subsweep(stage, now, next, blockIdx.x * THREADS + threadIdx.x, gridDim.x * THREADS, graph, *plan, laws);
}

// One thread: how many sub-sweeps are done.
extern "C" __global__ void __launch_bounds__(32)
advance_clock(int* __restrict__ clock, int by) {
  if (threadIdx.x == 0) clock[0] += by;
}
