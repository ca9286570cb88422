// Compiles an unchanged CUDA C++ file with g++ and runs its kernels on the CPU.  For tests only.
//
// One operating system thread; every CUDA thread of a block is a fiber with a stack of its own, and runs until it
// meets a barrier, a shuffle or a vote, so that the order in which threads run is ours to choose and to repeat.
// Shared memory is filled with 0xFF (NaN, -1) before every block.  Blocks run one after another in a chosen order,
// but to the thread sanitizer they are concurrent (kernels must then use dynamic shared memory only).
// A barrier that some threads of the block do not reach, or reach on different lines, ends the launch with a message.
//
// To the thread sanitizer an atomic orders nothing by itself, as on a GPU: what was written before a fence is seen
// after another thread has met a later atomic of the writer at one address, and then a fence. A thread that goes on
// asking by atomics for what no other block has written ends the launch, because blocks need not run at the same time.
// A kernel has the registers for as many threads as its __launch_bounds__ say, and without them for 256.
//
// Tensor cores: products of 16-bit floats are exact; a sum is cut off, not rounded, to a grid that its largest term
// sets. Known GPUs add 4, 8 or 16 products at a time with 23, 24 or 25 binary places (F. A. Khattak and M. Mikaitis,
// arXiv:2512.07004; P. Xie et al., arXiv:2511.10909), and the schedule says which. An asynchronous copy takes place when
// it is requested (odd schedules) or when it is waited for.
//
// Not modelled: time, and the GPU's own expf, which differs in the last bits.
#pragma once
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <sys/mman.h>
#include <ucontext.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#define CUDA_ON_HOST 1

// ---- the language ---------------------------------------------------------------------------------------------
#define __host__
#define __device__
#define __global__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __constant__ static
#define __shared__ static __attribute__((section("cuda_shared")))

using std::fma;
using std::isfinite;
using std::isinf;
using std::isnan;

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
#define HOST_VECTORS(T, NAME)                                                                      \
  struct alignas(2 * sizeof(T)) NAME##2 { T x, y; };                                               \
  struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) NAME##4 { T x, y, z, w; };               \
  static inline NAME##2 make_##NAME##2(T x, T y) { return {x, y}; }                                \
  static inline NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }
HOST_VECTORS(float, float)
HOST_VECTORS(double, double)
HOST_VECTORS(int, int)
HOST_VECTORS(unsigned, uint)

// ---- the machine ----------------------------------------------------------------------------------------------
extern "C" char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));
#define HOST_UNWATCHED __attribute__((no_sanitize("address", "thread", "undefined")))

namespace host {
constexpr unsigned WARP = 32, MOST_THREADS = 1024, MOST_ATOMICS = 1 << 22;  // of a thread from barrier to barrier
constexpr unsigned MOST_COPIES = 128;  // of a thread under way
#if defined(__SANITIZE_THREAD__)
constexpr bool NEW_MEMORY_FOR_BLOCKS = true;  // or a block would seem to race with the one that had the memory before
#else
constexpr bool NEW_MEMORY_FOR_BLOCKS = false;
#endif
constexpr size_t STACK_BYTES = 256 * 1024;
enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, LEFT };

struct Copy {
  uint4* to;
  const uint4* from;
};

struct Fiber {
  ucontext_t context;
  jmp_buf jump;
  bool started;
  State state;
  int line;
  unsigned mask, atomics;  // atomics since the last barrier
  bool fenced;
  void* met;  // where the last atomic was
  unsigned copies;
  Copy copy[MOST_COPIES];  // under way
  void *tsan, *asan_stack;
  uint3 index;
};

struct Machine {  // all members start as zero, and nothing here grows: an allocation would look like a race
  dim3 grid, block;
  uint3 block_index;
  unsigned block_number, threads;
  char *dynamic_shared, *stacks;
  size_t dynamic_bytes;
  Fiber fiber[MOST_THREADS];
  unsigned order[MOST_THREADS];
  int current;
  ucontext_t context;
  jmp_buf jump;
  void *tsan, *asan_stack;
  const void* stack_bottom;
  size_t stack_size;
  uint64_t exchanged[MOST_THREADS];
  struct { unsigned a[4], b[2]; const void* row; } fragment[2][MOST_THREADS];  // instructions of a warp take turns
  unsigned schedule, instructions[MOST_THREADS];
  unsigned block_turn, warp_turn[MOST_THREADS / WARP];  // barriers opened so far
  void (*entry)(void*);
  void* arguments;
  bool failed;
  char message[512];
};
inline Machine machine;

HOST_UNWATCHED inline void fail(const char* format, int a = 0, int b = 0, int c = 0) {
  if (machine.failed) return;
  machine.failed = true;
  snprintf(machine.message, sizeof machine.message, format, a, b, c);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
HOST_UNWATCHED inline void pause_fiber() {
  Fiber& f = machine.fiber[machine.current];
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(machine.tsan, __tsan_switch_to_fiber_no_sync);
#else
  __sanitizer_start_switch_fiber(f.state == LEFT ? nullptr : &f.asan_stack, machine.stack_bottom, machine.stack_size);
#endif
  swapcontext(&f.context, &machine.context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(f.asan_stack, nullptr, nullptr);
#endif
}
HOST_UNWATCHED inline void resume_fiber(Fiber& f) {
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(f.tsan, __tsan_switch_to_fiber_no_sync);
#else
  __sanitizer_start_switch_fiber(&machine.asan_stack, f.context.uc_stack.ss_sp, STACK_BYTES);
#endif
  swapcontext(&machine.context, &f.context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(machine.asan_stack, nullptr, nullptr);
#endif
}
#else  // jumps cost no system call, which makes launches several times faster than swapcontext
__attribute__((noinline)) inline void pause_fiber() {
  if (_setjmp(machine.fiber[machine.current].jump) == 0) _longjmp(machine.jump, 1);
}
__attribute__((noinline)) inline void resume_fiber(Fiber& f) {
  if (_setjmp(machine.jump) != 0) return;
  if (f.started) _longjmp(f.jump, 1);
  f.started = true;
  setcontext(&f.context);
}
#endif

// What the thread sanitizer is told: everything before a barrier happens before everything after it, nothing else.
// Barriers in turn use two marks: a fast fiber may reach the next one before a slow one has left the last.
constexpr unsigned MARKED_BLOCKS = 4096;
struct Marks { char block[2], warp[MOST_THREADS / WARP][2]; };
inline char start_mark, end_mark;
inline Marks block_marks[MARKED_BLOCKS];
#if defined(__SANITIZE_THREAD__)
#define HOST_RELEASE(mark) __tsan_release(&(mark))
#define HOST_ACQUIRE(mark) __tsan_acquire(&(mark))
#else
#define HOST_RELEASE(mark) (void)0
#define HOST_ACQUIRE(mark) (void)0
#endif

HOST_UNWATCHED inline void run_fiber() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &machine.stack_bottom, &machine.stack_size);
#endif
  HOST_ACQUIRE(start_mark);
  machine.entry(machine.arguments);
  HOST_RELEASE(end_mark);
  if (machine.fiber[machine.current].copies) fail("thread %d leaves and its copies have not come", machine.current);
  machine.fiber[machine.current].state = LEFT;
  pause_fiber();
}

// Without order, threads meet, and what they wrote to memory is not ordered by it.
HOST_UNWATCHED inline void wait(State state, int line, unsigned mask, bool order = true) {
  Fiber& f = machine.fiber[machine.current];
  f.state = state;
  f.line = line;
  f.mask = mask;
  f.atomics = 0;
  const unsigned warp = machine.current / WARP;
  Marks& marks = block_marks[machine.block_number % MARKED_BLOCKS];
  char& mark = state == AT_BLOCK_BARRIER ? marks.block[machine.block_turn & 1] : marks.warp[warp][machine.warp_turn[warp] & 1];
  (void)mark;
  if (order) HOST_RELEASE(mark);
  pause_fiber();
  if (order) HOST_ACQUIRE(mark);
}

HOST_UNWATCHED inline bool open_block_barrier() {
  Fiber* f = machine.fiber;
  for (unsigned i = 0; i < machine.threads; ++i)
    if (f[i].state != AT_BLOCK_BARRIER) return false;
  for (unsigned i = 0; i < machine.threads; ++i) {
    if (f[i].line != f[0].line)
      fail("__syncthreads reached on different lines: %d and %d (thread %d)", f[0].line, f[i].line, i);
    f[i].state = READY;
  }
  ++machine.block_turn;
  return true;
}

HOST_UNWATCHED inline bool open_warp_barriers() {
  Fiber* f = machine.fiber;
  bool opened = false;
  for (unsigned first = 0; first < machine.threads; first += WARP) {
    const unsigned end = first + WARP < machine.threads ? first + WARP : machine.threads;
    for (unsigned i = first; i < end; ++i) {
      if (f[i].state != AT_WARP_BARRIER) continue;
      const unsigned mask = f[i].mask;
      bool complete = true;
      for (unsigned j = first; j < end; ++j)
        if (mask >> (j - first) & 1)
          complete &= f[j].state == AT_WARP_BARRIER && f[j].mask == mask && f[j].line == f[i].line;
      if (!complete) continue;
      for (unsigned j = first; j < end; ++j)
        if (mask >> (j - first) & 1) f[j].state = READY;
      ++machine.warp_turn[first / WARP];
      opened = true;
    }
  }
  return opened;
}

HOST_UNWATCHED inline void report_deadlock() {
  Fiber* f = machine.fiber;
  int waits = -1, left = -1;
  for (unsigned i = 0; i < machine.threads; ++i) (f[i].state == LEFT ? left : waits) = int(i);
  if (left >= 0)
    return fail("barrier on line %d: thread %d waits, but thread %d has left the kernel", abs(f[waits].line), waits, left);
  for (unsigned i = 0; i < machine.threads; ++i)
    if (f[i].line != f[waits].line || f[i].mask != f[waits].mask)
      return fail("threads wait at different barriers: lines %d and %d (thread %d)", abs(f[waits].line), abs(f[i].line), i);
}

HOST_UNWATCHED inline void run_block() {
  for (char* p = __start_cuda_shared; p < __stop_cuda_shared; ++p) *(volatile char*)p = char(0xFF);
  if (machine.dynamic_bytes) memset(machine.dynamic_shared, 0xFF, machine.dynamic_bytes);
  for (unsigned i = 0; i < machine.threads; ++i) {
    Fiber& f = machine.fiber[i];
    f.state = READY;
    f.started = f.fenced = false;
    f.atomics = f.copies = machine.instructions[i] = 0;
    f.met = nullptr;
    f.index = {i % machine.block.x, i / machine.block.x % machine.block.y, i / (machine.block.x * machine.block.y)};
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = machine.stacks + i * STACK_BYTES;
    f.context.uc_stack.ss_size = STACK_BYTES;
    f.context.uc_link = nullptr;
    makecontext(&f.context, run_fiber, 0);
#if defined(__SANITIZE_THREAD__)
    f.tsan = __tsan_create_fiber(0);
#endif
  }
  while (!machine.failed) {
    unsigned left = 0;
    for (unsigned k = 0; k < machine.threads && !machine.failed; ++k) {
      machine.current = int(machine.order[k]);
      Fiber& f = machine.fiber[machine.current];
      if (f.state == READY) resume_fiber(f);
      left += f.state == LEFT;
    }
    if (machine.failed || left == machine.threads) break;
    if (!open_block_barrier() && !open_warp_barriers()) report_deadlock();
  }
#if defined(__SANITIZE_THREAD__)
  for (unsigned i = 0; i < machine.threads; ++i) __tsan_destroy_fiber(machine.fiber[i].tsan);
#endif
}

HOST_UNWATCHED inline uint64_t mix(uint64_t z) {  // splitmix64
  z += 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

HOST_UNWATCHED inline unsigned common_factor(unsigned a, unsigned b) {
  while (b) {
    const unsigned rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// The position-th of n in the order of a schedule: 0 ascending, 1 descending, any other a walk with a stride.
HOST_UNWATCHED inline unsigned scheduled(unsigned position, unsigned n, unsigned schedule) {
  if (schedule == 0) return position;
  if (schedule == 1) return n - 1 - position;
  unsigned stride = unsigned(mix(schedule) % n);
  while (common_factor(stride, n) != 1) ++stride;
  return unsigned((mix(schedule + 1) % n + uint64_t(position) * stride) % n);
}

HOST_UNWATCHED inline const char* launch(const unsigned* shape, size_t dynamic_bytes, size_t most_bytes,
                                         unsigned most_threads, unsigned schedule, void (*entry)(void*), void* arguments) {
  Machine& m = machine;
  m.grid = {shape[0], shape[1], shape[2]};
  m.block = {shape[3], shape[4], shape[5]};
  m.threads = m.block.x * m.block.y * m.block.z;
  m.dynamic_bytes = dynamic_bytes;
  m.schedule = schedule;
  m.entry = entry;
  m.arguments = arguments;
  m.failed = false;
  const unsigned blocks = m.grid.x * m.grid.y * m.grid.z;
  const size_t shared_bytes = dynamic_bytes + size_t(__stop_cuda_shared - __start_cuda_shared);
  if (m.threads == 0 || m.threads > most_threads)
    fail("a block of %d threads (registers for 1 to %d)", int(m.threads), int(most_threads));
  else if (blocks == 0 || m.grid.y > 65535 || m.grid.z > 65535) fail("a grid of %d x %d x %d", m.grid.x, m.grid.y, m.grid.z);
  else if (shared_bytes > most_bytes) fail("%d bytes of shared memory (%d at most)", int(shared_bytes), int(most_bytes));
  if (m.failed) return m.message;
#if defined(__SANITIZE_THREAD__)
  m.tsan = __tsan_get_current_fiber();
#endif
  m.dynamic_shared = nullptr;
  HOST_RELEASE(start_mark);
  for (unsigned q = 0; q < blocks && !m.failed; ++q) {
    const unsigned b = scheduled(q, blocks, schedule);
    for (unsigned i = 0; i < m.threads; ++i)
      m.order[i] = scheduled(i, m.threads, schedule < 2 ? schedule : schedule + 1000 * b);
    m.block_number = b;
    m.block_index = {b % m.grid.x, b / m.grid.x % m.grid.y, b / (m.grid.x * m.grid.y)};
    // Shared memory of the exact size, so that the address sanitizer sees one element too many.
    if (dynamic_bytes && (q == 0 || NEW_MEMORY_FOR_BLOCKS) && posix_memalign((void**)&m.dynamic_shared, 128, dynamic_bytes))
      return "out of memory";
    if (!m.stacks || NEW_MEMORY_FOR_BLOCKS)
      m.stacks = (char*)mmap(m.stacks, MOST_THREADS * STACK_BYTES, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (m.stacks ? MAP_FIXED : 0), -1, 0);
    run_block();
  }
  HOST_ACQUIRE(end_mark);
  free(m.dynamic_shared);
  return m.failed ? m.message : nullptr;
}

// ---- warps ----------------------------------------------------------------------------------------------------
HOST_UNWATCHED inline unsigned lane() { return machine.current % WARP; }
HOST_UNWATCHED inline unsigned present(unsigned mask) {  // lanes of the mask that exist in a last, shorter warp
  const unsigned live = machine.threads - machine.current / WARP * WARP;
  return live >= WARP ? mask : mask & ((1u << live) - 1);
}
template <class T>
HOST_UNWATCHED inline T shuffle(unsigned mask, T value, unsigned source, int line) {
  static_assert(sizeof(T) <= 8, "shuffles move 4 or 8 bytes");
  const unsigned base = machine.current / WARP * WARP, own = lane();
  mask = present(mask);
  if (!(mask >> own & 1)) fail("shuffle on line %d: thread %d is not in its own mask", line, machine.current);
  memcpy(&machine.exchanged[base + own], &value, sizeof value);
  wait(AT_WARP_BARRIER, line, mask);
  T result = value;
  if (source < WARP && (mask >> source & 1)) memcpy(&result, &machine.exchanged[base + source], sizeof result);
  else if (source != own) fail("shuffle on line %d: thread %d reads lane %d, which takes no part", line, machine.current, source);
  wait(AT_WARP_BARRIER, -line, mask);
  return result;
}
HOST_UNWATCHED inline unsigned ballot(unsigned mask, bool vote, int line) {
  const unsigned base = machine.current / WARP * WARP;
  mask = present(mask);
  machine.exchanged[base + lane()] = vote;
  wait(AT_WARP_BARRIER, line, mask);
  unsigned result = 0;
  for (unsigned i = 0; i < WARP; ++i)
    if (mask >> i & 1) result |= unsigned(machine.exchanged[base + i] != 0) << i;
  wait(AT_WARP_BARRIER, -line, mask);
  return result;
}
template <class T> inline T shuffle_down(unsigned m, T v, unsigned d, int line) {
  return shuffle(m, v, lane() + d < WARP ? lane() + d : lane(), line);
}
template <class T> inline T shuffle_up(unsigned m, T v, unsigned d, int line) {
  return shuffle(m, v, lane() >= d ? lane() - d : lane(), line);
}

// ---- tensor cores ---------------------------------------------------------------------------------------------
inline unsigned half_bits(float x) {
  const _Float16 h = _Float16(x);
  unsigned short bits;
  memcpy(&bits, &h, 2);
  return bits;
}
struct Halves {  // g++ converts one at a time in a function of its library
  float value[65536];
  Halves() {
    for (unsigned bits = 0; bits < 65536; ++bits) {
      const unsigned short low = (unsigned short)bits;
      _Float16 h;
      memcpy(&h, &low, 2);
      value[bits] = float(h);
    }
  }
};
inline const Halves halves;
HOST_UNWATCHED inline float from_half_bits(unsigned bits) { return halves.value[bits & 0xffff]; }
HOST_UNWATCHED inline auto* meet_as_warp(const unsigned* a, const unsigned* b, const void* row) {
  const unsigned thread = machine.current;
  auto* all = machine.fragment[machine.instructions[thread]++ & 1];
  if (a) memcpy(all[thread].a, a, sizeof all[thread].a);
  if (b) memcpy(all[thread].b, b, sizeof all[thread].b);
  all[thread].row = row;
  if (present(0xffffffffu) != 0xffffffffu) fail("a matrix instruction in a warp of fewer than 32 threads (thread %d)", thread);
  wait(AT_WARP_BARRIER, a ? -1 : -2, 0xffffffffu, false);
  return all + thread / WARP * WARP;
}
inline void ldmatrix(unsigned (&matrices)[4], const void* row) {
  if (uintptr_t(row) % 16) fail("ldmatrix: thread %d gives an address that is not on 16 bytes", machine.current);
  const auto* all = meet_as_warp(nullptr, nullptr, row);
  for (unsigned m = 0; m < 4; ++m)
    matrices[m] = static_cast<const unsigned*>(all[8 * m + lane() / 4].row)[lane() % 4];
}
// g++ puts nothing that is not optimised itself into a function that is: no function of the library within.
#define HOST_QUICK HOST_UNWATCHED __attribute__((optimize("O2"))) inline
HOST_QUICK float cut_sum(const double* terms, int count, int places) {
  double most = 0, plain = 0;
  for (int i = 0; i < count; ++i) {
    const double size = __builtin_fabs(terms[i]);
    most = size > most ? size : most;
    plain += terms[i];
  }
  if (most == 0 || !__builtin_isfinite(plain)) return float(plain);
  uint64_t bits;
  __builtin_memcpy(&bits, &most, 8);
  bits = (2046 + uint64_t(places) - (bits >> 52)) << 52;  // 2^(places - exponent of the largest)
  double up;
  __builtin_memcpy(&up, &bits, 8);
  long long whole = 0;
  for (int i = 0; i < count; ++i) whole += (long long)(terms[i] * up);
  const double value = double(whole) / up;
  const float near = float(value);
  return __builtin_fabs(double(near)) > __builtin_fabs(value) ? __builtin_nextafterf(near, 0.0f) : near;
}
HOST_QUICK void mma(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2], int depth) {
  const auto* all = meet_as_warp(a, b, nullptr);
  const unsigned lane = machine.current % WARP;
  const int group = machine.schedule % 3 == 0 ? 4 : machine.schedule % 3 == 1 ? 8 : 16;
  const int places = group == 4 ? 23 : group == 8 ? 24 : 25;
  for (int out = 0; out < 4; ++out) {
    double terms[17];
    for (int first = 0; first < depth; first += group) {
      const int count = group < depth - first ? group : depth - first;
      terms[count] = sum[out];
      for (int k = first; k < first + count; ++k) {
        const unsigned from = unsigned(k % 8 / 2), shift = k % 2 * 16;
        const unsigned left = all[lane / 4 * 4 + from].a[k / 8 * 2 + out / 2] >> shift & 0xffff;
        const unsigned right = all[(lane % 4 * 2 + out % 2) * 4 + from].b[k / 8] >> shift & 0xffff;
        terms[k - first] = double(halves.value[left]) * halves.value[right];
      }
      sum[out] = cut_sum(terms, count + 1, places);
    }
  }
}
inline void cp_async(void* to, const void* from) {
  if ((uintptr_t(to) | uintptr_t(from)) % 16) fail("cp.async: thread %d gives an address that is not on 16 bytes", machine.current);
  Fiber& f = machine.fiber[machine.current];
  const Copy copy{static_cast<uint4*>(to), static_cast<const uint4*>(from)};
  if (machine.schedule & 1) *copy.to = *copy.from;
  if (f.copies < MOST_COPIES) f.copy[f.copies++] = copy;
  else fail("cp.async: thread %d has more than %d copies under way", machine.current, int(MOST_COPIES));
}
inline void cp_async_wait() {
  Fiber& f = machine.fiber[machine.current];
  for (unsigned i = 0; i < f.copies && !(machine.schedule & 1); ++i) *f.copy[i].to = *f.copy[i].from;
  f.copies = 0;
}

// ---- launching through C ---------------------------------------------------------------------------------------
template <class... A, size_t... I>
void call(void (*kernel)(A...), void** a, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_reference_t<A>*>(a[I])...);
}
template <class... A>
const char* launch_kernel(void (*kernel)(A...), const unsigned* shape, size_t bytes, size_t most_bytes,
                          unsigned most_threads, unsigned schedule, void** a) {
  struct Call { void (*kernel)(A...); void** a; } c{kernel, a};
  return launch(shape, bytes, most_bytes, most_threads, schedule, [](void* p) HOST_UNWATCHED {
    auto* c = static_cast<Call*>(p);
    call(c->kernel, c->a, std::index_sequence_for<A...>{});
  }, &c);
}
template <class T> std::string type_name() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_pointer_v<U>) {
    using E = std::remove_pointer_t<U>;
    return (std::is_const_v<E> ? "const " : "") + type_name<std::remove_cv_t<E>>() + "*";
  } else if constexpr (std::is_same_v<U, float2> || std::is_same_v<U, float4>) return "float32";
  else if constexpr (std::is_same_v<U, bool>) return "bool";
  else if constexpr (std::is_floating_point_v<U>) return "float" + std::to_string(8 * sizeof(U));
  else if constexpr (std::is_integral_v<U>) return (std::is_signed_v<U> ? "int" : "uint") + std::to_string(8 * sizeof(U));
  else return "unknown";
}
template <class... A> std::string signature(void (*)(A...)) { return ((type_name<A>() + ",") + ... + std::string()); }
}  // namespace host

// The second argument and those after it: as __launch_bounds__ has them.
#define HOST_EXPORT(KERNEL, MOST_THREADS, ...)                                                                        \
  extern "C" const char* launch_##KERNEL(const unsigned* shape, size_t bytes, size_t most, unsigned schedule,         \
                                         void** a) {                                                                  \
    return host::launch_kernel(&KERNEL, shape, bytes, most, MOST_THREADS, schedule, a);                               \
  }                                                                                                                   \
  extern "C" const char* signature_##KERNEL() { static std::string s = host::signature(&KERNEL); return s.c_str(); }

// ---- built-in variables and functions --------------------------------------------------------------------------
#define threadIdx (host::machine.fiber[host::machine.current].index)
#define blockIdx (host::machine.block_index)
#define blockDim (host::machine.block)
#define gridDim (host::machine.grid)
#define __syncthreads() host::wait(host::AT_BLOCK_BARRIER, __LINE__, 0)
#define __syncwarp() host::wait(host::AT_WARP_BARRIER, __LINE__, host::present(0xffffffffu))
#define __shfl_sync(m, v, source) host::shuffle(m, v, source, __LINE__)
#define __shfl_xor_sync(m, v, x) host::shuffle(m, v, host::lane() ^ (x), __LINE__)
#define __shfl_down_sync(m, v, d) host::shuffle_down(m, v, d, __LINE__)
#define __shfl_up_sync(m, v, d) host::shuffle_up(m, v, d, __LINE__)
#define __ballot_sync(m, p) host::ballot(m, p, __LINE__)
#define __any_sync(m, p) (host::ballot(m, p, __LINE__) != 0)
#define __all_sync(m, p) (host::ballot(m, !(p), __LINE__) == 0)
template <class T> static inline T* host_dynamic_shared() { return reinterpret_cast<T*>(host::machine.dynamic_shared); }

HOST_UNWATCHED static inline void __threadfence() {
  host::Fiber& f = host::machine.fiber[host::machine.current];
  f.fenced = true;
  if (f.met) HOST_ACQUIRE(*(char*)f.met);
}
HOST_UNWATCHED static inline void host_meet(void* p) {
  host::Fiber& f = host::machine.fiber[host::machine.current];
  if (f.fenced) HOST_RELEASE(*(char*)p);
  f.met = p;
  if (++f.atomics < host::MOST_ATOMICS) return;
  host::fail("thread %d waits for what another block writes, and blocks need not run at the same time", host::machine.current);
  host::pause_fiber();
}
template <class T> static inline T atomicMax(T* p, T v) {
  host_meet(p);
  T old;
  __atomic_load(p, &old, __ATOMIC_RELAXED);
  while (old < v && !__atomic_compare_exchange(p, &old, &v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return old;
}
template <class T> static inline T atomicAdd(T* p, T v) {
  host_meet(p);
  T old, sum;
  __atomic_load(p, &old, __ATOMIC_RELAXED);
  do sum = T(old + v);
  while (!__atomic_compare_exchange(p, &old, &sum, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return old;
}
template <class T> static inline T __ldg(const T* p) { return *p; }

static inline int min(int a, int b) { return b < a ? b : a; }
static inline int max(int a, int b) { return a < b ? b : a; }
static inline long long min(long long a, long long b) { return b < a ? b : a; }
static inline long long max(long long a, long long b) { return a < b ? b : a; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
static inline long long __double_as_longlong(double f) { long long i; memcpy(&i, &f, 8); return i; }
static inline double __longlong_as_double(long long i) { double f; memcpy(&f, &i, 8); return f; }
static inline unsigned __float_as_uint(float f) { unsigned i; memcpy(&i, &f, 4); return i; }
static inline float __uint_as_float(unsigned i) { float f; memcpy(&f, &i, 4); return f; }
static inline int __float_as_int(float f) { int i; memcpy(&i, &f, 4); return i; }
static inline float __int_as_float(int i) { float f; memcpy(&f, &i, 4); return f; }
// The GPU's units for 1 / x and 1 / sqrt(x) are right to an ulp or two, and not the same ones on every GPU.
static inline float host_inexact(float exact, float given) {
  return __float_as_uint(given) & 1 ? nextafterf(exact, 2 * exact) : exact;
}
static inline float __fdividef(float a, float b) { return host_inexact(a / b, b); }
#define __powf host_powf  // glibc has a __powf of its own
static inline float host_powf(float x, float y) { return powf(x, y) * (__float_as_uint(x) & 1 ? 1.00001f : 1.0f); }
static inline float rsqrtf(float x) { return host_inexact(1 / sqrtf(x), x); }
