#include "core/wire/packed_answer.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

class Packer {
 public:
  explicit Packer(std::span<std::uint8_t> octets) : octets_{octets} {}

  void u8(std::size_t value) noexcept { octets_[size_++] = static_cast<std::uint8_t>(value & 0xFFU); }
  void u16(std::size_t value) noexcept {
    u8(value >> 8U);
    u8(value);
  }
  void u32(std::size_t value) noexcept {
    u16(value >> 16U);
    u16(value);
  }
  void target(std::string_view name) noexcept {
    u16(name.size());
    std::copy(name.begin(), name.end(), octets_.subspan(size_).begin());
    size_ += name.size();
  }
  void address(const IpAddress& address) noexcept {
    u8(address.family == Family::kInet ? 4 : 6);
    for (const auto octet : std::span{address.bytes}.first(address.size())) {
      u8(octet);
    }
  }

  std::size_t size() const noexcept { return size_; }

 private:
  const std::span<std::uint8_t> octets_;
  std::size_t size_ = 0;
};

// Relies on the order of Reply::glue, in which the addresses of one target are adjacent.
void pack_glue(Packer& packer, const Reply& reply) {
  std::span<const Glue> rest{reply.glue};
  while (!rest.empty()) {
    const auto target = reply.view(rest.front().target);
    const auto end = std::find_if_not(rest.begin(), rest.end(),
                                      [&](const Glue& glue) { return equal_names(reply.view(glue.target), target); });
    const auto of_target = rest.first(static_cast<std::size_t>(end - rest.begin()));
    const auto soonest = std::min_element(of_target.begin(), of_target.end(),
                                          [](const Glue& a, const Glue& b) { return a.ttl < b.ttl; });
    packer.target(target);
    packer.u32(soonest->ttl);
    packer.u16(of_target.size());
    for (const auto& glue : of_target) {
      packer.address(glue.address);
    }
    rest = rest.subspan(of_target.size());
  }
}

}  // namespace

std::size_t max_packed_size(const Reply& reply) noexcept {
  constexpr std::size_t header = 9;
  constexpr std::size_t srv_without_target = 12;
  constexpr std::size_t address_record = 21;
  constexpr std::size_t glue_without_target = 25;
  auto size = header + srv_without_target * reply.srv.size() + address_record * reply.addresses.size() +
              glue_without_target * reply.glue.size();
  for (const auto& srv : reply.srv) {
    size += srv.target.size;
  }
  for (const auto& glue : reply.glue) {
    size += glue.target.size;
  }
  return size;
}

std::size_t pack_answer(const Reply& reply, std::span<std::uint8_t> octets) noexcept {
  Packer packer{octets};
  const bool is_srv = !reply.srv.empty();
  packer.u16(static_cast<std::size_t>(is_srv ? RecordType::kSrv : RecordType::kA));
  packer.u8(reply.complete ? 1 : 0);
  packer.u32(reply.ttl.value_or(0));
  packer.u16(is_srv ? reply.srv.size() : reply.addresses.size());
  for (const auto& srv : reply.srv) {
    packer.u16(srv.priority);
    packer.u16(srv.weight);
    packer.u16(srv.port);
    packer.u32(srv.ttl);
    packer.target(reply.view(srv.target));
  }
  for (const auto& record : reply.addresses) {
    packer.address(record.address);
    packer.u32(record.ttl);
  }
  pack_glue(packer, reply);
  return packer.size();
}

}  // namespace caravan
