// How the pixel loops are compiled: for the vector units of the CPU that runs them, chosen when the program starts.
#pragma once

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SEGEDGE_VECTORIZED __attribute__((target_clones("avx2", "sse4.1", "default")))
#else
#define SEGEDGE_VECTORIZED  // Arm's vector unit is always there; sanitizers do not know clones
#endif
