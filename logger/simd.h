/*
 * The one place that knows the processor: AVX2 kernels are compiled by target
 * attribute, whatever the flags of the build, and chosen at start.  Where there
 * is no x86-64 the portable forms are all there is.
 */
#ifndef KEEPD_SIMD_H
#define KEEPD_SIMD_H

#if defined(__x86_64__)
#include <immintrin.h>

#define SIMD_X86	1
#define SIMD_AVX2	__attribute__((target("avx2,bmi,popcnt")))

static inline int
simd_have_avx2(void)
{
	return (__builtin_cpu_supports("avx2") &&
	    __builtin_cpu_supports("bmi"));
}
#else
#define SIMD_X86	0
#endif

#endif
