#include "core/wire/srv.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace caravan {
namespace {

struct Ranked {
  double rank;
  SrvRecord record;
};

// Draws the sort key of a record. Sorting by an exponential variate whose rate is the weight gives the same order as
// repeated weighted choice without replacement (Efraimidis and Spirakis, 2006), in n log n steps where the algorithm of
// RFC 2782 takes n².
double draw_rank(double weight, std::mt19937_64& random) {
  return std::exponential_distribution<double>{weight}(random);
}

}  // namespace

void order_srv(std::vector<SrvRecord>& records, std::mt19937_64& random) {
  std::sort(records.begin(), records.end(),
            [](const SrvRecord& a, const SrvRecord& b) { return a.priority < b.priority; });
  std::vector<Ranked> group;
  for (auto first = records.begin(); first != records.end();) {
    const auto last =
        std::find_if(first, records.end(), [&](const SrvRecord& r) { return r.priority != first->priority; });
    const auto zeros = std::count_if(first, last, [](const SrvRecord& r) { return r.weight == 0; });
    group.clear();
    std::transform(first, last, std::back_inserter(group), [&](const SrvRecord& record) {
      const auto weight = record.weight == 0 ? 1.0 / static_cast<double>(zeros) : static_cast<double>(record.weight);
      return Ranked{draw_rank(weight, random), record};
    });
    std::sort(group.begin(), group.end(), [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
    first = std::transform(group.begin(), group.end(), first, [](const Ranked& ranked) { return ranked.record; });
  }
}

}  // namespace caravan
