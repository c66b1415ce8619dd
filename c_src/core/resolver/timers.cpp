#include "core/resolver/timers.hpp"

#include <utility>

namespace caravan {

void Timers::set(std::uint32_t number, TimePoint when) {
  if (number >= position_.size()) {
    position_.resize(number + std::size_t{1}, kNone);
  }
  auto position = position_[number];
  if (position == kNone) {
    position = static_cast<std::uint32_t>(heap_.size());
    heap_.push_back({when, number});
    position_[number] = position;
    raise(position);
    return;
  }
  const auto before = std::exchange(heap_[position].when, when);
  if (when < before) {
    raise(position);
  } else {
    lower(position);
  }
}

void Timers::cancel(std::uint32_t number) noexcept {
  if (number >= position_.size() || position_[number] == kNone) {
    return;
  }
  const auto position = std::exchange(position_[number], kNone);
  const auto last = heap_.back();
  heap_.pop_back();
  if (last.number != number) {
    put(position, last);
    raise(position);
    lower(position_[last.number]);
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

void Timers::put(std::size_t position, Timer timer) noexcept {
  heap_[position] = timer;
  position_[timer.number] = static_cast<std::uint32_t>(position);
}

void Timers::raise(std::size_t position) noexcept {
  const auto timer = heap_[position];
  while (position > 0 && timer.when < heap_[(position - 1) / 2].when) {
    put(position, heap_[(position - 1) / 2]);
    position = (position - 1) / 2;
  }
  put(position, timer);
}

void Timers::lower(std::size_t position) noexcept {
  const auto timer = heap_[position];
  while (true) {
    auto child = 2 * position + 1;
    if (child + 1 < heap_.size() && heap_[child + 1].when < heap_[child].when) {
      ++child;
    }
    if (child >= heap_.size() || timer.when <= heap_[child].when) {
      break;
    }
    put(position, heap_[child]);
    position = child;
  }
  put(position, timer);
}

}  // namespace caravan
