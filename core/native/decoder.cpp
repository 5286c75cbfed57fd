// One step of a Transformer's decoder, for all hypotheses of a batch at once, and the log-probabilities of what comes next.
// The layout of structs is known to packed.py, the letters are those of blocks.hpp.
#include "blocks.hpp"
#include "candidates.hpp"
#include "encoder.hpp"

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

// Log-probabilities [rows, V] of a softmax over all but the first few words, whose own are -inf, as is what is no number.
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
        for (int64_t i = first; i < V; i++) {
            float one = out[i] - whole;
            out[i] = one < INFINITY ? one : -INFINITY;
        }
        for (int64_t i = 0; i < first; i++) out[i] = -INFINITY;
    }
}

extern "C" void linear_rows(const Linear* map, const float* x, int64_t rows, const Quantised* q, float* out) {
    linear(*map, x, rows, *q, out, NOTHING);
}
