#include "core/dns_reader.hpp"

#include "core/dns_name.hpp"

namespace caravan {
namespace {

// RFC 1035, section 4.1.4: the two top bits of a length mark a pointer; the other two patterns are not in use.
constexpr std::uint8_t kPointerBits = 0xC0;
constexpr int kMaxJumps = 127;

void append_label(std::span<const std::uint8_t> label, std::string& text) {
  for (const std::uint8_t octet : label) {
    if (octet <= ' ' || octet > '~') {
      text += '\\';
      text += static_cast<char>('0' + octet / 100);
      text += static_cast<char>('0' + octet / 10 % 10);
      text += static_cast<char>('0' + octet % 10);
      continue;
    }
    if (octet == '.' || octet == '\\') {
      text += '\\';
    }
    text += static_cast<char>(octet);
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
