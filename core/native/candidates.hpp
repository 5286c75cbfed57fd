// The likeliest continuations of each source, in the order of core/decode/candidates.py: by sum, then lower parent, then lower token.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "blocks.hpp"

struct Candidate {
    double total;
    float logp;
    int64_t parent, token;
};

// Words whose greatest is compared first: only where that is enough is one of them looked at.
constexpr int64_t SOME = 64;

// The `count` greatest of V values, greatest first, of equal ones those that come first; what is not there is -inf.
inline void greatest(const float* value, int64_t V, int64_t count, float* best, int64_t* place) {
    for (int64_t m = 0; m < count; m++) best[m] = -INFINITY, place[m] = m;
    for (int64_t begin = 0; begin < V; begin += SOME) {
        int64_t n = V - begin < SOME ? V - begin : SOME;
        if (!(most_of(value + begin, n) > best[count - 1])) continue;
        for (int64_t i = begin; i < begin + n; i++) {
            if (!(value[i] > best[count - 1])) continue;
            int64_t m = count - 1;
            for (; m > 0 && value[i] > best[m - 1]; m--) best[m] = best[m - 1], place[m] = place[m - 1];
            best[m] = value[i], place[m] = i;
        }
    }
}

// `each`: continuations of a hypothesis that are looked at; `count`: of a source that are given. Rounding may put a
// probability above one, and the bound of the early stop rests on sums that never rise.
extern "C" void best_candidates(const float* logp, const double* sum, int64_t B, int64_t K, int64_t V, int64_t each, int64_t count, double* total, int64_t* parent, int64_t* token, double* own, bool* stuck) {
    std::vector<float> best(each);
    std::vector<int64_t> place(each);
    std::vector<Candidate> all(K * each);
    for (int64_t b = 0; b < B; b++) {
        for (int64_t k = 0; k < K; k++) {
            int64_t row = b * K + k;
            bool alive = sum[row] > -INFINITY;
            if (alive)
                greatest(logp + row * V, V, each, best.data(), place.data());
            else
                for (int64_t m = 0; m < each; m++) best[m] = -INFINITY, place[m] = m;
            stuck[row] = alive && best[0] == -INFINITY;
            for (int64_t m = 0; m < each; m++) {
                float one = best[m] > 0 ? 0 : best[m];
                all[k * each + m] = {sum[row] + (double)one, one, k, place[m]};
            }
        }
        std::partial_sort(all.begin(), all.begin() + count, all.end(), [](const Candidate& a, const Candidate& b) {
            if (a.total != b.total) return a.total > b.total;
            return a.parent != b.parent ? a.parent < b.parent : a.token < b.token;
        });
        for (int64_t c = 0; c < count; c++) {
            int64_t at = b * count + c;
            total[at] = all[c].total, parent[at] = all[c].parent, token[at] = all[c].token, own[at] = (double)all[c].logp;
        }
    }
}
