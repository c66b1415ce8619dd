#include "core/wire/dns_reader.hpp"

#include <array>
#include <string_view>

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

// The two top bits of a length octet mark a compression pointer. The patterns 01 and 10 are reserved (RFC 1035, section
// 4.1.4).
constexpr std::uint8_t kPointerBits = 0xC0;
constexpr int kMaxJumps = 127;

// The octets that text holds without an escape.
constexpr auto kIsPlain = [] {
  std::array<bool, 256> plain{};
  for (unsigned octet = '!'; octet <= '~'; ++octet) {
    plain[octet] = octet != '.' && octet != '\\';
  }
  return plain;
}();

// Collects the text of one name on the stack. To append each label to the target string would take longer than to parse
// it.
class WrittenName {
 public:
  // Leaves the buffer uninitialised.
  WrittenName() noexcept {}  // NOLINT(cppcoreguidelines-pro-type-member-init,modernize-use-equals-default)

  bool empty() const noexcept { return size_ == 0; }
  std::string_view view() const noexcept { return {text_.data(), size_}; }

  void add_label(std::span<const std::uint8_t> label) noexcept {
    if (!empty()) {
      add('.');
    }
    // Nearly every label is plain, so it is copied and checked in one loop without a branch.
    bool is_plain = true;
    auto* text = &text_[size_];
    for (const auto octet : label) {
      is_plain &= kIsPlain[octet];
      *text++ = static_cast<char>(octet);
    }
    if (is_plain) {
      size_ += label.size();
      return;
    }
    for (const auto octet : label) {
      if (kIsPlain[octet]) {
        add(static_cast<char>(octet));
      } else {
        add_escaped(octet);
      }
    }
  }

 private:
  // An escaped octet takes up to four characters.
  static constexpr std::size_t kMaxSize = std::size_t{4} * kMaxDnsNameWire;

  void add(char character) noexcept { text_[size_++] = character; }

  void add_escaped(std::uint8_t octet) noexcept {
    add('\\');
    if (octet > ' ' && octet <= '~') {
      add(static_cast<char>(octet));
      return;
    }
    add(static_cast<char>('0' + octet / 100));
    add(static_cast<char>('0' + octet / 10 % 10));
    add(static_cast<char>('0' + octet % 10));
  }

  std::array<char, kMaxSize> text_;
  std::size_t size_ = 0;
};

}  // namespace

void DnsReader::skip_name() noexcept {
  while (!failed_) {
    const auto length = u8();
    if ((length & kPointerBits) == kPointerBits) {
      skip(1);
      return;
    }
    if (length == 0) {
      return;
    }
    if ((length & kPointerBits) != 0) {
      failed_ = true;
      return;
    }
    skip(length);
  }
}

std::optional<std::uint16_t> DnsReader::pointer() const noexcept {
  if (position_ + 1 >= message_.size() || (message_[position_] & kPointerBits) != kPointerBits) {
    return std::nullopt;
  }
  return static_cast<std::uint16_t>((message_[position_] & ~kPointerBits) << 8 | message_[position_ + 1]);
}

TextRef DnsReader::name(std::string& text) {
  WrittenName name;
  std::size_t cursor = position_;
  std::size_t wire_size = 1;
  // Each pointer must lead to before everything that was read so far, so that no loop is possible.
  std::size_t barrier = position_;
  bool jumped = false;
  int jumps = 0;
  while (true) {
    if (cursor >= message_.size()) {
      return fail();
    }
    const std::uint8_t length = message_[cursor++];
    if ((length & kPointerBits) == kPointerBits) {
      if (cursor >= message_.size()) {
        return fail();
      }
      const auto target = static_cast<std::size_t>(length & ~kPointerBits) << 8 | message_[cursor++];
      if (!jumped) {
        position_ = cursor;
        jumped = true;
      }
      // A name has at most 127 labels. More pointers than that only cost time.
      if (target >= barrier || ++jumps > kMaxJumps) {
        return fail();
      }
      barrier = cursor = target;
      continue;
    }
    if (length == 0) {
      break;
    }
    wire_size += length + 1U;
    if ((length & kPointerBits) != 0 || cursor + length > message_.size() || wire_size > kMaxDnsNameWire) {
      return fail();
    }
    name.add_label(message_.subspan(cursor, length));
    cursor += length;
  }
  if (!jumped) {
    position_ = cursor;
  }
  const TextRef ref{static_cast<std::uint32_t>(text.size()), static_cast<std::uint32_t>(name.view().size())};
  text += name.view();
  return ref;
}

TextRef DnsReader::fail() noexcept {
  failed_ = true;
  return {};
}

}  // namespace caravan
