// y = x W^T + b over packed weights, in float32 or int8, rows independent of each other: each row's sums are taken in one order
// whatever its company.
//
// Packing: panels of 16 outputs. float32: [panel][input][16]; int8: [panel][input / 4][16][4], so that one instruction multiplies four
// inputs of eight outputs. Inputs of int8 are a multiple of 4 (zeros are added), outputs of both a multiple of 16.
//
// int8: a weight is q w_o, q in [-127, 127], one w_o an output; an input is (u - 64) s_r, u in [1, 127], one s_r a row. Seven
// bits, because without VNNI the products of a pair are added in 16 bits, and 2 x 127 x 127 just fits: no machine saturates, all sum alike.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

constexpr int64_t PANEL = 16, HALF = 8, DEPTH = 256;

typedef float Floats __attribute__((vector_size(32), aligned(4)));

enum Then : int64_t { NOTHING = 0, RELU = 1, ADD = 2 };

struct Linear {
    const void* weight;
    const float* scale;        // int8 only: one an output
    const int32_t* column_sum; // int8 only: of q over inputs
    const float* bias;         // or null
    int64_t inputs, outputs, int8;
};

inline int64_t panels(const Linear& map) { return (map.outputs + PANEL - 1) / PANEL; }

// What becomes of a finished sum.
inline void finish(float* out, float sum, const float* bias, int64_t column, int64_t then) {
    if (bias) sum += bias[column];
    if (then == RELU) sum = sum > 0 ? sum : 0;
    out[column] = then == ADD ? out[column] + sum : sum;
}

inline void finish_panel(float* out, const float* sums, const float* bias, int64_t begin, int64_t end, int64_t then) {
    if (end - begin == PANEL) {
        for (int64_t n = 0; n < PANEL; n++) finish(out, sums[n], bias, begin + n, then);
    } else {
        for (int64_t n = begin; n < end; n++) finish(out, sums[n - begin], bias, n, then);
    }
}

// R rows, P panels; sums are kept in `sums` [R][P * 16] between slices of the inputs.
template <int R, int P>
void float_tile(const float* x, int64_t row, const float* weight, int64_t panel_size, int64_t depth, float* sums) {
    Floats total[R][P][2];
    for (int r = 0; r < R; r++)
        for (int p = 0; p < P; p++)
            for (int h = 0; h < 2; h++) total[r][p][h] = *(const Floats*)(sums + (r * P + p) * PANEL + h * HALF);
    for (int64_t k = 0; k < depth; k++) {
        for (int p = 0; p < P; p++) {
            const float* at = weight + p * panel_size + k * PANEL;
            Floats left = *(const Floats*)at, right = *(const Floats*)(at + HALF);
            for (int r = 0; r < R; r++) {
                float one = x[r * row + k];
                total[r][p][0] += left * one;
                total[r][p][1] += right * one;
            }
        }
    }
    for (int r = 0; r < R; r++)
        for (int p = 0; p < P; p++)
            for (int h = 0; h < 2; h++) *(Floats*)(sums + (r * P + p) * PANEL + h * HALF) = total[r][p][h];
}

template <int R, int P>
void float_rows(const Linear& map, const float* x, float* out, int64_t panel, int64_t then) {
    alignas(64) float sums[R * P * PANEL] = {};
    const float* weight = (const float*)map.weight + panel * map.inputs * PANEL;
    for (int64_t k = 0; k < map.inputs; k += DEPTH) {
        int64_t depth = map.inputs - k < DEPTH ? map.inputs - k : DEPTH;
        float_tile<R, P>(x + k, map.inputs, weight + k * PANEL, map.inputs * PANEL, depth, sums);
    }
    for (int r = 0; r < R; r++)
        for (int p = 0; p < P; p++) {
            int64_t begin = (panel + p) * PANEL, end = begin + PANEL < map.outputs ? begin + PANEL : map.outputs;
            finish_panel(out + r * map.outputs, sums + (r * P + p) * PANEL, map.bias, begin, end, then);
        }
}

template <int R, int P>
void int8_rows(const Linear& map, const uint8_t* x, int64_t row, const float* scale, float* out, int64_t panel, int64_t then) {
    alignas(64) int32_t sums[R * P * PANEL] = {};
    int64_t quads = row / 4, panel_size = row * PANEL;
    const int8_t* weight = (const int8_t*)map.weight + panel * panel_size;
#if defined(__AVX2__)
    __m256i total[R][P][2];
    for (int r = 0; r < R; r++)
        for (int p = 0; p < P; p++) total[r][p][0] = total[r][p][1] = _mm256_setzero_si256();
#if !defined(__AVX512VNNI__) || !defined(__AVX512VL__)
    const __m256i ones = _mm256_set1_epi16(1);
#endif
    for (int64_t k = 0; k < quads; k++) {
        for (int p = 0; p < P; p++) {
            const __m256i* at = (const __m256i*)(weight + p * panel_size + k * 4 * PANEL);
            __m256i half[2] = {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
            for (int r = 0; r < R; r++) {
                int32_t four;
                std::memcpy(&four, x + r * row + 4 * k, 4);
                __m256i inputs = _mm256_set1_epi32(four);
                for (int h = 0; h < 2; h++) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
                    total[r][p][h] = _mm256_dpbusd_epi32(total[r][p][h], inputs, half[h]);
#else
                    __m256i pairs = _mm256_maddubs_epi16(inputs, half[h]);
                    total[r][p][h] = _mm256_add_epi32(total[r][p][h], _mm256_madd_epi16(pairs, ones));
#endif
                }
            }
        }
    }
    for (int r = 0; r < R; r++)
        for (int p = 0; p < P; p++)
            for (int h = 0; h < 2; h++)
                _mm256_storeu_si256((__m256i*)(sums + (r * P + p) * PANEL + h * HALF), total[r][p][h]);
#else
    for (int64_t k = 0; k < quads; k++)
        for (int p = 0; p < P; p++)
            for (int r = 0; r < R; r++)
                for (int64_t n = 0; n < PANEL; n++)
                    for (int i = 0; i < 4; i++)
                        sums[(r * P + p) * PANEL + n] +=
                            (int32_t)x[r * row + 4 * k + i] * weight[p * panel_size + (k * PANEL + n) * 4 + i];
#endif
    for (int r = 0; r < R; r++)
        for (int p = 0; p < P; p++) {
            int64_t begin = (panel + p) * PANEL, end = begin + PANEL < map.outputs ? begin + PANEL : map.outputs;
            float real[PANEL];
            const int32_t* own = sums + (r * P + p) * PANEL;
            for (int64_t n = 0; n < PANEL; n++)
                real[n] = (float)(own[n] - 64 * map.column_sum[begin + n]) * (scale[r] * map.scale[begin + n]);
            finish_panel(out + r * map.outputs, real, map.bias, begin, end, then);
        }
}

// Rows of x as u = round(x / s) + 64 with s = max |x| / 63, each row filled up to a multiple of four.
inline void quantise(const float* x, int64_t rows, int64_t inputs, int64_t row, uint8_t* u, float* scale) {
    for (int64_t r = 0; r < rows; r++) {
        const float* from = x + r * inputs;
        uint8_t* to = u + r * row;
        Floats large = {}, zero = {};
        float most = 0;
        int64_t i = 0;
        for (; i + HALF <= inputs; i += HALF) {
            Floats some = *(const Floats*)(from + i);
            some = some < zero ? -some : some;
            large = some > large ? some : large;
        }
        for (int64_t j = 0; j < HALF; j++) most = large[j] > most ? large[j] : most;
        for (; i < inputs; i++) most = std::fabs(from[i]) > most ? std::fabs(from[i]) : most;
        scale[r] = most > 0 ? most / 63.0f : 1.0f;
        float rate = most > 0 ? 63.0f / most : 0.0f;
        for (int64_t k = 0; k < inputs; k++) to[k] = (uint8_t)(int32_t)(from[k] * rate + 64.5f);
        for (int64_t k = inputs; k < row; k++) to[k] = 64;
    }
}

// What every linear map of a step may need for rows of int8.
struct Quantised {
    uint8_t* u;
    float* scale;
};

template <int R, int P>
void some_rows(const Linear& map, const float* x, const uint8_t* u, int64_t row, const float* scale, float* out, int64_t panel, int64_t then) {
    if (map.int8)
        int8_rows<R, P>(map, u, row, scale, out, panel, then);
    else
        float_rows<R, P>(map, x, out, panel, then);
}

template <int P>
void panel_rows(const Linear& map, const float* x, int64_t rows, const Quantised& q, float* out, int64_t panel, int64_t then) {
    int64_t row = (map.inputs + 3) / 4 * 4, r = 0;
    constexpr int R = P == 1 ? 6 : P == 2 ? 3 : P == 3 ? 2 : 1;
    auto at = [&](auto few) {
        some_rows<decltype(few)::value, P>(map, x + r * map.inputs, q.u + r * row, row, q.scale + r, out + r * map.outputs, panel, then);
        r += decltype(few)::value;
    };
    while (rows - r >= R) at(std::integral_constant<int, R>());
    if constexpr (R == 6) {
        switch (rows - r) {
            case 5: at(std::integral_constant<int, 5>()); break;
            case 4: at(std::integral_constant<int, 4>()); break;
            case 3: at(std::integral_constant<int, 3>()); break;
            case 2: at(std::integral_constant<int, 2>()); break;
            case 1: at(std::integral_constant<int, 1>()); break;
        }
    }
}

inline void linear(const Linear& map, const float* x, int64_t rows, const Quantised& q, float* out, int64_t then) {
    if (map.int8) quantise(x, rows, map.inputs, (map.inputs + 3) / 4 * 4, q.u, q.scale);
    int64_t count = panels(map), panel = 0;
    // Few rows do not fill the registers: several panels at once do.
    if (rows == 1)
        for (; panel + 4 <= count; panel += 4) panel_rows<4>(map, x, rows, q, out, panel, then);
    else if (rows == 2)
        for (; panel + 3 <= count; panel += 3) panel_rows<3>(map, x, rows, q, out, panel, then);
    else if (rows == 3)
        for (; panel + 2 <= count; panel += 2) panel_rows<2>(map, x, rows, q, out, panel, then);
    for (; panel < count; panel++) panel_rows<1>(map, x, rows, q, out, panel, then);
}
