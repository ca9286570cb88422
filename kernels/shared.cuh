// Dynamic shared memory as a typed pointer, on a GPU and on the host of the tests.
#pragma once

#ifdef CUDA_ON_HOST
#define DYNAMIC_SHARED(TYPE, NAME) TYPE* NAME = host_dynamic_shared<TYPE>()
#else
#define DYNAMIC_SHARED(TYPE, NAME)                               \
  extern __shared__ __align__(16) unsigned char dynamic_bytes[]; \
  TYPE* NAME = reinterpret_cast<TYPE*>(dynamic_bytes)
#endif
