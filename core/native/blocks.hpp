// What encoder and decoder share: norms, attention of one query, activations. The layout of structs is known to packed.py.
// Letters: B sources, K hypotheses, S source, D width, H heads, G heads of keys, d width of a head.
#pragma once

#include <type_traits>

#include "linear.hpp"

struct Norm {
    const float *weight, *bias;
};

struct Layer {
    Linear input, seen, query, read, inner, output;
    Norm before, between, last;
};

struct Decoder {
    int64_t layers, width, heads, groups, inner, rms, pre, activation, rotary;
    double epsilon;
    const Layer* layer;
    Norm final;
};

enum Activation : int64_t { IS_RELU = 0, IS_GELU = 1, IS_SWIGLU = 2 };

// exp by halving and a polynomial (Cephes): within 2 units in the last place; vectorised by the compiler.
inline float expo(float x) {
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float n = __builtin_nearbyintf(x * 1.44269504088896341f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    std::memcpy(&power, &bits, 4);
    return p * power;
}

inline float sum_of(Floats x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }

inline float dot(const float* a, const float* b, int64_t n) {
    Floats total = {};
    int64_t i = 0;
    for (; i + HALF <= n; i += HALF) total += *(const Floats*)(a + i) * *(const Floats*)(b + i);
    float sum = sum_of(total);
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

inline float most_of(const float* x, int64_t n) {
    float most = x[0];
    int64_t i = 0;
    if (n >= HALF) {
        Floats all = *(const Floats*)x;
        for (i = HALF; i + HALF <= n; i += HALF) {
            Floats more = *(const Floats*)(x + i);
            all = more > all ? more : all;
        }
        for (int64_t j = 0; j < HALF; j++) most = all[j] > most ? all[j] : most;
    }
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

inline float total_of(const float* x, int64_t n) {
    Floats total = {};
    int64_t i = 0;
    for (; i + HALF <= n; i += HALF) total += *(const Floats*)(x + i);
    float sum = sum_of(total);
    for (; i < n; i++) sum += x[i];
    return sum;
}

inline void normed(const Decoder& own, const Norm& norm, const float* x, int64_t rows, float* out) {
    int64_t D = own.width;
    for (int64_t r = 0; r < rows; r++, x += D, out += D) {
        float mean = own.rms ? 0.0f : total_of(x, D) / D;
        for (int64_t i = 0; i < D; i++) out[i] = x[i] - mean;
        float rate = 1.0f / std::sqrt(dot(out, out, D) / D + (float)own.epsilon);
        for (int64_t i = 0; i < D; i++) out[i] = out[i] * rate * norm.weight[i];
        if (norm.bias)
            for (int64_t i = 0; i < D; i++) out[i] += norm.bias[i];
    }
}

// Of one vector with eight others.
inline void eight_dots(const float* a, const float* const* b, int64_t n, float* out) {
#if defined(__AVX2__) && defined(__FMA__)
    __m256 total[8];
    for (int j = 0; j < 8; j++) total[j] = _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + HALF <= n; i += HALF) {
        __m256 some = _mm256_loadu_ps(a + i);
        for (int j = 0; j < 8; j++) total[j] = _mm256_fmadd_ps(some, _mm256_loadu_ps(b[j] + i), total[j]);
    }
    // Neighbours are added, then their sums, then both halves: one vector of eight sums.
    for (int j = 0; j < 8; j += 2) total[j / 2] = _mm256_hadd_ps(total[j], total[j + 1]);
    __m256 left = _mm256_hadd_ps(total[0], total[1]), right = _mm256_hadd_ps(total[2], total[3]);
    _mm256_storeu_ps(out, _mm256_add_ps(_mm256_permute2f128_ps(left, right, 0x20), _mm256_permute2f128_ps(left, right, 0x31)));
    for (; i < n; i++)
        for (int j = 0; j < 8; j++) out[j] += a[i] * b[j][i];
#else
    for (int j = 0; j < 8; j++) out[j] = dot(a, b[j], n);
#endif
}

// out [8 V] = sum over n of weight[n] values[n]; V vectors at a time stay in registers.
template <int V>
inline void weighted(const float* weight, const float* values, int64_t row, const int32_t* index, int64_t count, float* out) {
    Floats total[V] = {};
    for (int64_t n = 0; n < count; n++) {
        const float* from = values + (index ? index[n] : n) * row;
        for (int v = 0; v < V; v++) total[v] += weight[n] * *(const Floats*)(from + v * HALF);
    }
    for (int v = 0; v < V; v++) *(Floats*)(out + v * HALF) = total[v];
}

// One query row [H, d] over `count` rows of keys and values, which lie `row` floats apart, one after the other or as `index` says.
inline void attend(const Decoder& own, const float* query, const float* keys, int64_t row, const int32_t* index, int64_t count, float* score, float* out) {
    int64_t H = own.heads, G = own.groups, d = own.width / H, share = H / G;
    float rate = 1.0f / std::sqrt((float)d);
    for (int64_t n = 0; n < count; n += 8) {
        const float *key[8], *part[8];
        float sums[8];
        // A last group that is not full has its last key several times: each sum is taken in one order wherever it stands.
        for (int64_t j = 0, m; j < 8; j++) m = n + j < count ? n + j : count - 1, key[j] = keys + (index ? index[m] : m) * row;
        int64_t some = count - n < 8 ? count - n : 8;
        for (int64_t h = 0; h < H; h++) {
            for (int j = 0; j < 8; j++) part[j] = key[j] + h / share * d;
            eight_dots(query + h * d, part, d, sums);
            for (int64_t j = 0; j < some; j++) score[h * count + n + j] = rate * sums[j];
        }
    }
    for (int64_t h = 0; h < H; h++) {
        float *own_score = score + h * count, most = most_of(own_score, count);
        for (int64_t n = 0; n < count; n++) own_score[n] = expo(own_score[n] - most);
        float whole = 1.0f / total_of(own_score, count);
        for (int64_t n = 0; n < count; n++) own_score[n] *= whole;
        const float* values = keys + (G + h / share) * d;
        float* to = out + h * d;
        int64_t i = 0;
        for (; i + 4 * HALF <= d; i += 4 * HALF) weighted<4>(own_score, values + i, row, index, count, to + i);
        for (; i + HALF <= d; i += HALF) weighted<1>(own_score, values + i, row, index, count, to + i);
        for (; i < d; i++) {
            float sum = 0;
            for (int64_t n = 0; n < count; n++) sum += own_score[n] * values[(index ? index[n] : n) * row + i];
            to[i] = sum;
        }
    }
}

inline void turned(float* x, int64_t heads, int64_t d, const float* cosine, const float* sine) {
    for (int64_t h = 0; h < heads; h++, x += d)
        for (int64_t i = 0; i < d / 2; i++) {
            float left = x[i], right = x[i + d / 2];
            x[i] = left * cosine[i] - right * sine[i];
            x[i + d / 2] = right * cosine[i] + left * sine[i];
        }
}

inline void activated(const Decoder& own, float* x, int64_t rows, float* out) {
    int64_t I = own.inner;
    for (int64_t r = 0; r < rows; r++) {
        const float* from = x + r * (own.activation == IS_SWIGLU ? 2 * I : I);
        float* to = out + r * I;
        if (own.activation == IS_SWIGLU)
            for (int64_t i = 0; i < I; i++) to[i] = from[i] / (1.0f + expo(-from[i])) * from[I + i];
        else
            for (int64_t i = 0; i < I; i++) to[i] = 0.5f * from[i] * (1.0f + std::erf(from[i] * 0.70710678118654752f));
    }
}
