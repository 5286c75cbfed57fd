// One step of a Transformer's decoder, for all hypotheses of a batch at once, and the log-probabilities of what comes next.
// The layout of structs is known to packed.py. Letters: B sources, K hypotheses, D width, H heads, G heads of keys, d width of a head.
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

struct Step {
    int64_t batch, beams, said, slots, source, slot; // tokens said before, slots a source has, longest source, first slot to write
    float* x;                                        // [B K, D] in and out
    float* cache;                                    // [B, layers, slots, 2, G d]: keys and values of what was said
    const int32_t* ancestor;                         // [B, K, said], or null where slots count up from 0
    const float* const* memory;                      // of each layer [B, source, 2, G d]
    const int32_t* lengths;                          // [B]
    const float *cosine, *sine;                      // [d / 2]
    float* scratch;                                  // rows x (3 x most) floats, then scores
    int64_t most;                                    // widest row of any map
    Quantised quantised;
};

// exp by halving and a polynomial (Cephes): within 2 units in the last place; vectorised by the compiler.
static inline float expo(float x) {
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

static float sum_of(Floats x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }

static float dot(const float* a, const float* b, int64_t n) {
    Floats total = {};
    int64_t i = 0;
    for (; i + HALF <= n; i += HALF) total += *(const Floats*)(a + i) * *(const Floats*)(b + i);
    float sum = sum_of(total);
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static float most_of(const float* x, int64_t n) {
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

static float total_of(const float* x, int64_t n) {
    Floats total = {};
    int64_t i = 0;
    for (; i + HALF <= n; i += HALF) total += *(const Floats*)(x + i);
    float sum = sum_of(total);
    for (; i < n; i++) sum += x[i];
    return sum;
}

static void normed(const Decoder& own, const Norm& norm, const float* x, int64_t rows, float* out) {
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

// One query row [H, d] over `count` rows of keys and values, which lie `row` floats apart, one after the other or as `index` says.
static void attend(const Decoder& own, const float* query, const float* keys, int64_t row, const int32_t* index, int64_t count, float* score, float* __restrict out) {
    int64_t H = own.heads, G = own.groups, d = own.width / H, share = H / G;
    float rate = 1.0f / std::sqrt((float)d);
    for (int64_t n = 0; n < count; n++) {
        const float* key = keys + (index ? index[n] : n) * row;
        for (int64_t h = 0; h < H; h++) score[h * count + n] = rate * dot(query + h * d, key + h / share * d, d);
    }
    for (int64_t h = 0; h < H; h++) {
        float *own_score = score + h * count, most = most_of(own_score, count);
        for (int64_t n = 0; n < count; n++) own_score[n] = expo(own_score[n] - most);
        float whole = 1.0f / total_of(own_score, count);
        for (int64_t n = 0; n < count; n++) own_score[n] *= whole;
    }
    for (int64_t i = 0; i < H * d; i++) out[i] = 0;
    for (int64_t n = 0; n < count; n++) {
        const float* value = keys + (index ? index[n] : n) * row + G * d;
        for (int64_t h = 0; h < H; h++) {
            float weight = score[h * count + n];
            const float* from = value + h / share * d;
            for (int64_t i = 0; i < d; i++) out[h * d + i] += weight * from[i];
        }
    }
}

static void turned(float* x, int64_t heads, int64_t d, const float* cosine, const float* sine) {
    for (int64_t h = 0; h < heads; h++, x += d)
        for (int64_t i = 0; i < d / 2; i++) {
            float left = x[i], right = x[i + d / 2];
            x[i] = left * cosine[i] - right * sine[i];
            x[i + d / 2] = right * cosine[i] + left * sine[i];
        }
}

static void activated(const Decoder& own, float* x, int64_t rows, float* out) {
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

extern "C" void decoder_step(const Decoder* decoder, const Step* step) {
    const Decoder& own = *decoder;
    const Step& now = *step;
    int64_t B = now.batch, K = now.beams, D = own.width, G = own.groups, d = D / own.heads, rows = B * K;
    int64_t token = 2 * G * d, per_source = own.layers * now.slots * token;
    float *wide = now.scratch, *seen = wide + rows * now.most, *held = seen + rows * now.most, *score = held + rows * now.most;
    float* x = now.x;
    const Quantised& q = now.quantised;
    for (int64_t n = 0; n < own.layers; n++) {
        const Layer& layer = own.layer[n];
        auto read = [&](const Norm& norm) {
            if (own.pre) normed(own, norm, x, rows, held);
            return own.pre ? held : x;
        };
        // x + f(norm(x)), the sum taken as f is written, or norm(x + f(x))
        auto after = [&](const Linear& map, const float* from, const Norm& norm) {
            linear(map, from, rows, q, x, ADD);
            if (!own.pre) {
                normed(own, norm, x, rows, held);
                std::memcpy(x, held, sizeof(float) * rows * D);
            }
        };
        linear(layer.input, read(layer.before), rows, q, wide, NOTHING);
        for (int64_t b = 0; b < B; b++) {
            float* keys = now.cache + b * per_source + n * now.slots * token;
            for (int64_t k = 0; k < K; k++) {
                float* from = wide + (b * K + k) * layer.input.outputs;
                if (own.rotary) turned(from, own.heads + G, d, now.cosine, now.sine);
                std::memcpy(keys + (now.slot + k) * token, from + D, sizeof(float) * token);
            }
            for (int64_t k = 0; k < K; k++) {
                const float* query = wide + (b * K + k) * layer.input.outputs;
                const int32_t* index = now.ancestor ? now.ancestor + (b * K + k) * (now.said + 1) : nullptr;
                attend(own, query, keys, token, index, now.said + 1, score, seen + (b * K + k) * D);
            }
        }
        after(layer.seen, seen, layer.before);
        linear(layer.query, read(layer.between), rows, q, wide, NOTHING);
        for (int64_t b = 0; b < B; b++) {
            const float* keys = now.memory[n] + b * now.source * token;
            for (int64_t k = 0; k < K; k++) {
                float *query = wide + (b * K + k) * D, *to = seen + (b * K + k) * D;
                if (now.lengths[b])
                    attend(own, query, keys, token, nullptr, now.lengths[b], score, to);
                else
                    std::memset(to, 0, sizeof(float) * D);
            }
        }
        after(layer.read, seen, layer.between);
        linear(layer.inner, read(layer.last), rows, q, wide, own.activation == IS_RELU ? RELU : NOTHING);
        float* inner = wide;
        if (own.activation != IS_RELU) activated(own, wide, rows, inner = seen);
        after(layer.output, inner, layer.last);
    }
    if (own.pre) {
        normed(own, own.final, x, rows, held);
        std::memcpy(x, held, sizeof(float) * rows * D);
    }
}

// Log-probabilities [rows, V] of a softmax over all but the first few words, whose own are -inf.
extern "C" void head_logp(const Linear* map, const float* hidden, int64_t rows, int64_t first, const Quantised* q, float* out) {
    linear(*map, hidden, rows, *q, out, NOTHING);
    int64_t V = map->outputs;
    for (int64_t r = 0; r < rows; r++, out += V) {
        float most = most_of(out + first, V - first), sum = 0;
        constexpr int64_t some = 1024;
        float part[some];
        for (int64_t begin = first; begin < V; begin += some) {
            int64_t n = V - begin < some ? V - begin : some;
            for (int64_t i = 0; i < n; i++) part[i] = expo(out[begin + i] - most);
            sum += total_of(part, n);
        }
        float whole = most + std::log(sum);
        for (int64_t i = first; i < V; i++) out[i] -= whole;
        for (int64_t i = 0; i < first; i++) out[i] = -INFINITY;
    }
}

extern "C" void linear_rows(const Linear* map, const float* x, int64_t rows, const Quantised* q, float* out) {
    linear(*map, x, rows, *q, out, NOTHING);
}
