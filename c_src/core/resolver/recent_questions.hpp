#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/wire/dns_name.hpp"

namespace caravan {

// The last questions that have left, for replies that do not repeat theirs. Owned by one thread.
class RecentQuestions {
 public:
  static constexpr std::size_t kHeaderSize = 12;
  static constexpr std::size_t kMaxSize = kHeaderSize + kMaxDnsNameWire + 4;

  // The octets of a message that ends with its question, of which there are kMaxSize at the most.
  void remember(std::span<const std::uint8_t> message) noexcept {
    auto& question = questions_[next_++ % kRemembered];
    question.size = message.size();
    std::copy(message.begin(), message.end(), question.octets.begin());
  }

  // The last one with that id. Empty if there is none.
  std::span<const std::uint8_t> find(std::uint16_t id) const noexcept {
    for (std::size_t back = 1; back <= kRemembered; ++back) {
      const auto& [size, octets] = questions_[(next_ + kRemembered - back) % kRemembered];
      if (size > 0 && (octets[0] << 8 | octets[1]) == id) {
        return std::span{octets}.first(size);
      }
    }
    return {};
  }

 private:
  struct Question {
    std::size_t size = 0;
    std::array<std::uint8_t, kMaxSize> octets{};
  };
  // More than are in flight over one channel.
  static constexpr std::size_t kRemembered = 32;

  std::array<Question, kRemembered> questions_{};
  std::size_t next_ = 0;
};

}  // namespace caravan
