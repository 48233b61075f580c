#pragma once

/// Run-time dispatch of hot loops to the vector units of the machine, where compiler and loader support it; sanitizers,
/// the scalar build and other compilers take the portable code.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) && defined(__linux__) && \
    defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                   \
    !defined(KAPPAFLOW_SCALAR)
#define KAPPAFLOW_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KAPPAFLOW_CLONES
#endif
