#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/wire/dns_name.hpp"

namespace caravan {

// The last questions that were sent, for replies that do not repeat their question. One thread owns it.
class RecentQuestions {
 public:
  static constexpr std::size_t kHeaderSize = 12;
  static constexpr std::size_t kMaxSize = kHeaderSize + kMaxDnsNameWire + 4;

  // Remembers a message that ends with its question and has at most kMaxSize octets.
  void remember(std::span<const std::uint8_t> message) noexcept {
    auto& question = questions_[next_++ % kRemembered];
    question.size = message.size();
    std::copy(message.begin(), message.end(), question.octets.begin());
  }

  // Returns the last message with this ID, or an empty span if no message has it.
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
  // At least as many as can be in flight over one channel over UDP.
  static constexpr std::size_t kRemembered = 32;

  std::array<Question, kRemembered> questions_{};
  std::size_t next_ = 0;
};

}  // namespace caravan
