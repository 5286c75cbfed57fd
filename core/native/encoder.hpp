// A Transformer's encoder over sources of which only real symbols are given, one source after the other.
// The layout of structs is known to packed.py, the letters are those of blocks.hpp.
#pragma once

#include "blocks.hpp"

struct Reading {
    int64_t batch;
    const int64_t* begin; // [B + 1]: rows of each source
    float* x;             // [rows, D] in and out
    const float *cosine, *sine; // [S, d / 2], or null
    float* scratch;       // most rows of a group x (3 x most) floats, then scores
    int64_t most, group;  // widest row of any map; rows that are enough for a group
    Quantised quantised;
};

// Some sources at once, so that weights are read once for all of them; each row's sums are its own.
static void read_group(const Decoder& own, const Reading& now, int64_t first, int64_t last) {
    int64_t D = own.width, G = own.groups, d = D / own.heads, row = D + 2 * G * d;
    int64_t from_row = now.begin[first], rows = now.begin[last] - from_row;
    float *wide = now.scratch, *seen = wide + rows * now.most, *held = seen + rows * now.most, *score = held + rows * now.most;
    float* x = now.x + from_row * D;
    const Quantised& q = now.quantised;
    for (int64_t n = 0; n < own.layers; n++) {
        const Layer& layer = own.layer[n];
        auto read = [&](const Norm& norm) {
            if (own.pre) normed(own, norm, x, rows, held);
            return own.pre ? held : x;
        };
        auto after = [&](const Linear& map, const float* from, const Norm& norm) {
            linear(map, from, rows, q, x, ADD);
            if (!own.pre) {
                normed(own, norm, x, rows, held);
                std::memcpy(x, held, sizeof(float) * rows * D);
            }
        };
        linear(layer.input, read(layer.before), rows, q, wide, NOTHING);
        for (int64_t b = first; b < last; b++) {
            int64_t count = now.begin[b + 1] - now.begin[b];
            float* part = wide + (now.begin[b] - from_row) * row;
            if (own.rotary)
                for (int64_t s = 0; s < count; s++)
                    turned(part + s * row, own.heads + G, d, now.cosine + s * d / 2, now.sine + s * d / 2);
            for (int64_t s = 0; s < count; s++)
                attend(own, part + s * row, part + D, row, nullptr, count, score, seen + (now.begin[b] - from_row + s) * D);
        }
        after(layer.seen, seen, layer.before);
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

extern "C" void encoder_read(const Decoder* encoder, const Reading* reading) {
    const Reading& now = *reading;
    for (int64_t first = 0, last = 0; first < now.batch; first = last) {
        while (last < now.batch && now.begin[last] - now.begin[first] < now.group) last++;
        read_group(*encoder, now, first, last);
    }
}
