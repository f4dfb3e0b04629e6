// Triad in C as people measure it: a plain loop or streaming stores, ordinary or huge pages, a thread a core by OpenMP.
//
//     stream plain|streaming small|huge ELEMENTS
//
// Prints `ready`, then for each line with a number makes that many launches and prints the seconds they took.
#define _GNU_SOURCE
#include <immintrin.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define HUGE_PAGE ((size_t)2 << 20)

static double *array(size_t elements, int huge) {
    size_t bytes = elements * sizeof(double) + HUGE_PAGE;
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    map = (char *)(((size_t)map + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    if (madvise(map, bytes - HUGE_PAGE, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) != 0)
        perror("madvise");
    return (double *)map;
}

static void plain(const double *restrict a, const double *restrict b, double *restrict c, size_t n, double s) {
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++)
        c[i] = a[i] + s * b[i];
}

static void streaming(const double *restrict a, const double *restrict b, double *restrict c, size_t n, double s) {
#ifdef __AVX512F__
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i += 8)
        _mm512_stream_pd(c + i, _mm512_fmadd_pd(_mm512_set1_pd(s), _mm512_load_pd(b + i), _mm512_load_pd(a + i)));
#else
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i += 4)
        _mm256_stream_pd(c + i, _mm256_fmadd_pd(_mm256_set1_pd(s), _mm256_load_pd(b + i), _mm256_load_pd(a + i)));
#endif
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: stream plain|streaming small|huge ELEMENTS\n");
        return 2;
    }
    int past_caches = strcmp(argv[1], "streaming") == 0, huge = strcmp(argv[2], "huge") == 0;
    size_t n = strtoull(argv[3], NULL, 10) / 64 * 64;
    double *a = array(n, huge), *b = array(n, huge), *c = array(n, huge);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        a[i] = 1.0 + (double)(i % 1021) / 1024;
        b[i] = 2.0 - (double)(i % 509) / 512;
        c[i] = 0.0;
    }
    puts("ready");
    fflush(stdout);
    for (int launches; scanf("%d", &launches) == 1;) {
        double begin = now();
        for (int launch = 0; launch < launches; launch++)
            (past_caches ? streaming : plain)(a, b, c, n, 3.0);
        printf("%.9f\n", now() - begin);
        fflush(stdout);
    }
    return c[n / 2] == a[n / 2] + 3.0 * b[n / 2] ? 0 : 1;
}
