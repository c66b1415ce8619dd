#pragma once

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/wire/dns_message.hpp"

namespace caravan::test {

using Bytes = std::vector<std::uint8_t>;

inline Bytes concat(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const auto& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

inline Bytes u16(std::size_t value) {
  return {static_cast<std::uint8_t>(value >> 8 & 0xFF), static_cast<std::uint8_t>(value & 0xFF)};
}

inline Bytes u32(std::uint32_t value) { return concat({u16(value >> 16), u16(value & 0xFFFF)}); }

// A label with its length octet. The octets are not checked.
inline Bytes label(std::string_view octets) {
  Bytes bytes{static_cast<std::uint8_t>(octets.size())};
  bytes.insert(bytes.end(), octets.begin(), octets.end());
  return bytes;
}

inline const Bytes kRootLabel{0};

// A compression pointer (RFC 1035, section 4.1.4).
inline Bytes pointer(std::size_t offset) { return u16(0xC000U | offset); }

// A pointer to the name in the question, which is the first name of every message.
inline Bytes question_pointer() { return pointer(12); }

// A name in wire format, made from text without escapes or from any octets.
class WireName {
 public:
  WireName(const char* text) : WireName{std::string_view{text}} {}
  WireName(const std::string& text) : WireName{std::string_view{text}} {}
  WireName(Bytes octets) : octets_{std::move(octets)} {}
  WireName(std::string_view text) {
    if (text == ".") {
      text = {};
    }
    while (!text.empty()) {
      const auto dot = text.find('.');
      octets_ = concat({octets_, label(text.substr(0, dot))});
      text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
    }
    octets_.push_back(0);
  }

  const Bytes& octets() const noexcept { return octets_; }

 private:
  Bytes octets_;
};

enum class Section : std::uint8_t { kQuestion, kAnswer, kAuthority, kAdditional };

// Builds a DNS message front to back, malformed if asked to. It begins as a reply with the question and no records.
// Records go to the answer section until in() names a later one.
class DnsBuilder {
 public:
  static constexpr std::uint16_t kClassIn = 1;
  static constexpr std::uint16_t kTypeNs = 2;
  static constexpr std::uint16_t kTypeTxt = 16;
  static constexpr std::uint16_t kTypeOpt = 41;

  explicit DnsBuilder(const WireName& name, RecordType type = RecordType::kSrv, std::uint16_t record_class = kClassIn) {
    body_ = concat({name.octets(), u16(static_cast<std::uint16_t>(type)), u16(record_class)});
    counts_[0] = 1;
  }

  DnsBuilder& id(std::uint16_t id) {
    id_ = id;
    return *this;
  }
  DnsBuilder& rcode(unsigned rcode) {
    flags_ = static_cast<std::uint16_t>((flags_ & 0xFFF0U) | rcode);
    return *this;
  }
  DnsBuilder& truncated() {
    flags_ |= 0x0200U;
    return *this;
  }
  DnsBuilder& authoritative() {
    flags_ |= 0x0400U;
    return *this;
  }
  DnsBuilder& without_recursion() {
    flags_ &= 0xFF7FU;
    return *this;
  }
  DnsBuilder& as_query() {
    flags_ &= 0x7FFFU;
    return *this;
  }

  DnsBuilder& in(Section section) {
    if (section < section_) {
      throw std::logic_error{"sections come in order"};
    }
    section_ = section;
    return *this;
  }
  // Sets the count of a section in the header, regardless of its records.
  DnsBuilder& claim(Section section, std::uint16_t count) {
    claims_.emplace_back(section, count);
    return *this;
  }

  DnsBuilder& record(const WireName& owner, std::uint16_t type, std::uint32_t ttl, const Bytes& data,
                     std::uint16_t record_class = kClassIn) {
    return record_claiming(data.size(), owner, type, ttl, data, record_class);
  }
  // Adds a record whose RDLENGTH is `size`, regardless of the size of its data.
  DnsBuilder& record_claiming(std::size_t size, const WireName& owner, std::uint16_t type, std::uint32_t ttl,
                              const Bytes& data, std::uint16_t record_class = kClassIn) {
    ++counts_[static_cast<std::size_t>(section_)];
    return raw(concat({owner.octets(), u16(type), u16(record_class), u32(ttl), u16(size), data}));
  }
  DnsBuilder& raw(const Bytes& bytes) {
    body_.insert(body_.end(), bytes.begin(), bytes.end());
    return *this;
  }

  DnsBuilder& srv(const WireName& owner, std::uint32_t ttl, std::uint16_t priority, std::uint16_t weight,
                  std::uint16_t port, const WireName& target) {
    return record(owner, number(RecordType::kSrv), ttl,
                  concat({u16(priority), u16(weight), u16(port), target.octets()}));
  }
  DnsBuilder& a(const WireName& owner, std::uint32_t ttl, const char* address) {
    return record(owner, number(RecordType::kA), ttl, octets_of<4>(AF_INET, address));
  }
  DnsBuilder& aaaa(const WireName& owner, std::uint32_t ttl, const char* address) {
    return record(owner, number(RecordType::kAaaa), ttl, octets_of<16>(AF_INET6, address));
  }
  DnsBuilder& cname(const WireName& owner, std::uint32_t ttl, const WireName& target) {
    return record(owner, number(RecordType::kCname), ttl, target.octets());
  }
  DnsBuilder& soa(const WireName& owner, std::uint32_t ttl, std::uint32_t minimum) {
    constexpr std::uint32_t kSerial = 1;
    constexpr std::uint32_t kInterval = 3600;
    return record(owner, number(RecordType::kSoa), ttl,
                  concat({WireName{"ns.example"}.octets(), WireName{"admin.example"}.octets(), u32(kSerial),
                          u32(kInterval), u32(kInterval), u32(kInterval), u32(minimum)}));
  }
  DnsBuilder& ns(const WireName& owner, std::uint32_t ttl, const WireName& server) {
    return record(owner, kTypeNs, ttl, server.octets());
  }

  // The position of the next octet, for pointers to it.
  std::size_t position() const noexcept { return kHeaderBytes + body_.size(); }

  Bytes build() const {
    auto counts = counts_;
    for (const auto& [section, count] : claims_) {
      counts[static_cast<std::size_t>(section)] = count;
    }
    return concat({u16(id_), u16(flags_), u16(counts[0]), u16(counts[1]), u16(counts[2]), u16(counts[3]), body_});
  }

 private:
  static constexpr std::size_t kHeaderBytes = 12;
  // A response to a recursive query, from a server that recurses: QR, RD, RA.
  static constexpr std::uint16_t kResponse = 0x8180;

  static std::uint16_t number(RecordType type) noexcept { return static_cast<std::uint16_t>(type); }

  template <std::size_t Size>
  static Bytes octets_of(int family, const char* address) {
    Bytes octets(Size);
    if (::inet_pton(family, address, octets.data()) != 1) {
      throw std::invalid_argument{address};
    }
    return octets;
  }

  std::uint16_t id_ = 0;
  std::uint16_t flags_ = kResponse;
  std::array<std::uint16_t, 4> counts_{};
  std::vector<std::pair<Section, std::uint16_t>> claims_;
  Section section_ = Section::kAnswer;
  Bytes body_;
};

}  // namespace caravan::test
