// Products of matrices of 16-bit floats on tensor cores, and what feeds them: on GPUs from sm_80 on, and on the host of
// the tests. Fragments lie in the lanes of a warp as PTX has them: of 8 x 8 numbers, a lane holds two of row lane / 4.
#pragma once

#ifdef CUDA_ON_HOST
#define WITH_TENSOR_CORES 1
__device__ __forceinline__ unsigned half_bits(float x) { return host::half_bits(x); }
__device__ __forceinline__ float from_half_bits(unsigned bits) { return host::from_half_bits(bits); }
typedef const char* SharedPlace;  // counts bytes
__device__ __forceinline__ SharedPlace shared_place(const void* p) { return static_cast<const char*>(p); }
__device__ __forceinline__ void keep(SharedPlace&) {}
__device__ __forceinline__ void load_matrices(unsigned (&matrices)[4], SharedPlace row) { host::ldmatrix(matrices, row); }
__device__ __forceinline__ void multiply(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const unsigned b[2] = {b0, b1};
  host::mma(sum, a, b, 16);
}
__device__ __forceinline__ void multiply(float (&sum)[4], unsigned a0, unsigned a1, unsigned b0) {
  const unsigned a[4] = {a0, a1}, b[2] = {b0};
  host::mma(sum, a, b, 8);
}
__device__ __forceinline__ void copy_16_bytes(void* shared, const void* global) { host::cp_async(shared, global); }
__device__ __forceinline__ void copies_have_come() { host::cp_async_wait(); }
#elif __CUDA_ARCH__ >= 800
#define WITH_TENSOR_CORES 1
__device__ __forceinline__ unsigned half_bits(float x) {  // the nearest
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
__device__ __forceinline__ float from_half_bits(unsigned bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"((unsigned short)bits));
  return x;
}
typedef unsigned SharedPlace;
__device__ __forceinline__ SharedPlace shared_place(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }

// Lets the compiler hold an address, where it would rather compute it again at each use.
__device__ __forceinline__ void keep(SharedPlace& p) { asm volatile("" : "+r"(p)); }

// Four matrices of 8 x 8 from shared memory; lane l says where row l & 7 of matrix l / 8 begins, on 16 bytes.
__device__ __forceinline__ void load_matrices(unsigned (&matrices)[4], SharedPlace row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(row)
               : "memory");
}
// sum (16 x 8) += a (16 x 16) b (16 x 8): a in quarters, rows 0-7 and 8-15 of columns 0-7, then of 8-15; b in halves,
// transposed: a lane holds numbers of column lane / 4.
__device__ __forceinline__ void multiply(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// The same with half as many columns of a and rows of b.
__device__ __forceinline__ void multiply(float (&sum)[4], unsigned a0, unsigned a1, unsigned b0) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a0), "r"(a1), "r"(b0));
}
// From global to shared memory without registers, both on 16 bytes. It is there for this thread after
// copies_have_come(), and for others after a barrier.
__device__ __forceinline__ void copy_16_bytes(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_place(shared)), "l"(global) : "memory");
}
__device__ __forceinline__ void copies_have_come() { asm volatile("cp.async.wait_all;" ::: "memory"); }
#endif
