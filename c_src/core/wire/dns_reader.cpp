#include "core/wire/dns_reader.hpp"

#include <algorithm>

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

// RFC 1035, section 4.1.4: the two top bits of a length mark a pointer; the other two patterns are not in use.
constexpr std::uint8_t kPointerBits = 0xC0;
constexpr int kMaxJumps = 127;

constexpr bool is_plain(std::uint8_t octet) noexcept {
  return octet > ' ' && octet <= '~' && octet != '.' && octet != '\\';
}

void append_escaped(std::uint8_t octet, std::string& text) {
  text += '\\';
  if (octet > ' ' && octet <= '~') {
    text += static_cast<char>(octet);
    return;
  }
  text += static_cast<char>('0' + octet / 100);
  text += static_cast<char>('0' + octet / 10 % 10);
  text += static_cast<char>('0' + octet % 10);
}

void append_label(std::span<const std::uint8_t> label, std::string& text) {
  auto rest = label.begin();
  while (true) {
    const auto special = std::find_if_not(rest, label.end(), is_plain);
    text.append(rest, special);
    if (special == label.end()) {
      return;
    }
    append_escaped(*special, text);
    rest = special + 1;
  }
}

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
  const auto start = text.size();
  std::size_t cursor = position_;
  std::size_t wire_size = 1;
  // Each pointer must lead to before all that was read so far: this ends every loop.
  std::size_t barrier = position_;
  bool jumped = false;
  int jumps = 0;
  while (true) {
    if (cursor >= message_.size()) {
      return fail(text, start);
    }
    const std::uint8_t length = message_[cursor++];
    if ((length & kPointerBits) == kPointerBits) {
      if (cursor >= message_.size()) {
        return fail(text, start);
      }
      const auto target = static_cast<std::size_t>(length & ~kPointerBits) << 8 | message_[cursor++];
      if (!jumped) {
        position_ = cursor;
        jumped = true;
      }
      // A name has no more pointers than labels, unless it is made to cost time.
      if (target >= barrier || ++jumps > kMaxJumps) {
        return fail(text, start);
      }
      barrier = cursor = target;
      continue;
    }
    if (length == 0) {
      break;
    }
    wire_size += length + 1U;
    if ((length & kPointerBits) != 0 || cursor + length > message_.size() || wire_size > kMaxDnsNameWire) {
      return fail(text, start);
    }
    if (text.size() > start) {
      text += '.';
    }
    append_label(message_.subspan(cursor, length), text);
    cursor += length;
  }
  if (!jumped) {
    position_ = cursor;
  }
  return {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(text.size() - start)};
}

TextRef DnsReader::fail(std::string& text, std::size_t start) {
  text.resize(start);
  failed_ = true;
  return {};
}

}  // namespace caravan
