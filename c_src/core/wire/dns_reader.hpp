#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace caravan {

// A piece of a string that holds many names, so that an answer of a thousand records does not need a thousand
// allocations.
struct TextRef {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

// Reads a DNS message front to back. A read past the end returns zero and sets failed(), so that callers check once
// after several reads.
class DnsReader {
 public:
  explicit DnsReader(std::span<const std::uint8_t> message, std::size_t position = 0) noexcept
      : message_{message}, position_{position} {}

  bool failed() const noexcept { return failed_; }
  std::size_t position() const noexcept { return position_; }

  std::uint8_t u8() noexcept { return has(1) ? message_[position_++] : std::uint8_t{0}; }

  std::uint16_t u16() noexcept { return static_cast<std::uint16_t>(number<2>()); }

  std::uint32_t u32() noexcept { return number<4>(); }

  void skip(std::size_t bytes) noexcept {
    if (has(bytes)) {
      position_ += bytes;
    }
  }

  // Moves past the name at position(), without following a pointer.
  void skip_name() noexcept;

  // Returns the offset that the name at position() points to. Returns nullopt if the name begins with a label.
  std::optional<std::uint16_t> pointer() const noexcept;

  // Appends the name at position() to `text`, and moves past it. The text has the form of RFC 1035, section 5.1,
  // without the trailing dot: "\." and "\\" for a dot and a backslash in a label, \DDD for an octet that is not
  // printable ASCII. Returns where the name is in `text`. If the name is malformed, sets failed() and leaves `text`
  // unchanged.
  TextRef name(std::string& text);

 private:
  bool has(std::size_t bytes) noexcept {
    failed_ = failed_ || position_ > message_.size() || bytes > message_.size() - position_;
    return !failed_;
  }

  template <std::size_t kOctets>
  std::uint32_t number() noexcept {
    std::uint32_t number = 0;
    if (has(kOctets)) {
      for (const auto octet : message_.subspan(position_, kOctets)) {
        number = number << 8U | octet;
      }
      position_ += kOctets;
    }
    return number;
  }

  TextRef fail() noexcept;

  std::span<const std::uint8_t> message_;
  std::size_t position_;
  bool failed_ = false;
};

}  // namespace caravan
