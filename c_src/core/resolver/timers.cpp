#include "core/resolver/timers.hpp"

#include <utility>

namespace caravan {

void Timers::set(std::uint32_t number, TimePoint when) {
  if (number >= place_.size()) {
    place_.resize(number + std::size_t{1}, kNone);
  }
  auto place = place_[number];
  if (place == kNone) {
    place = static_cast<std::uint32_t>(heap_.size());
    heap_.push_back({when, number});
    place_[number] = place;
    raise(place);
    return;
  }
  const auto before = std::exchange(heap_[place].when, when);
  if (when < before) {
    raise(place);
  } else {
    lower(place);
  }
}

void Timers::cancel(std::uint32_t number) noexcept {
  if (number >= place_.size() || place_[number] == kNone) {
    return;
  }
  const auto place = std::exchange(place_[number], kNone);
  const auto last = heap_.back();
  heap_.pop_back();
  if (last.number != number) {
    put(place, last);
    raise(place);
    lower(place_[last.number]);
  }
}

std::optional<Timers::TimePoint> Timers::next() const noexcept {
  return heap_.empty() ? std::nullopt : std::optional{heap_.front().when};
}

std::optional<std::uint32_t> Timers::take_due(TimePoint now) noexcept {
  if (heap_.empty() || heap_.front().when > now) {
    return std::nullopt;
  }
  const auto number = heap_.front().number;
  cancel(number);
  return number;
}

void Timers::put(std::size_t place, Timer timer) noexcept {
  heap_[place] = timer;
  place_[timer.number] = static_cast<std::uint32_t>(place);
}

void Timers::raise(std::size_t place) noexcept {
  const auto timer = heap_[place];
  while (place > 0 && timer.when < heap_[(place - 1) / 2].when) {
    put(place, heap_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(place, timer);
}

void Timers::lower(std::size_t place) noexcept {
  const auto timer = heap_[place];
  while (true) {
    auto child = 2 * place + 1;
    if (child + 1 < heap_.size() && heap_[child + 1].when < heap_[child].when) {
      ++child;
    }
    if (child >= heap_.size() || timer.when <= heap_[child].when) {
      break;
    }
    put(place, heap_[child]);
    place = child;
  }
  put(place, timer);
}

}  // namespace caravan
