#include "core/system_config.hpp"

#include <cstring>
#include <system_error>

#include "core/cares.hpp"

namespace caravan {
namespace {

// A stat(2) per lookup would cost more than it finds.
constexpr std::chrono::seconds kCheckInterval{1};

IpAddress to_address(const ares_addr_port_node& node) noexcept {
  IpAddress address;
  address.family = node.family == AF_INET ? Family::kInet : Family::kInet6;
  std::memcpy(address.bytes.data(), &node.addr, address.size());
  return address;
}

// c-ares reports 0 for the standard port in some versions and 53 in others.
std::uint16_t to_port(int port) noexcept { return port > 0 && port <= 65535 ? static_cast<std::uint16_t>(port) : 53; }

std::vector<Nameserver> nameservers_of(ares_channel channel) {
  ares_addr_port_node* list = nullptr;
  if (::ares_get_servers_ports(channel, &list) != ARES_SUCCESS) {
    return {};
  }
  const AresServers owned{list};
  std::vector<Nameserver> nameservers;
  for (const auto* node = list; node != nullptr; node = node->next) {
    if (node->family == AF_INET || node->family == AF_INET6) {
      nameservers.push_back({to_address(*node), to_port(node->udp_port)});
    }
  }
  return nameservers;
}

SearchList search_of(ares_channel channel) {
  SearchList search;
  const AresSavedOptions options{channel};
  if (!options.ok()) {
    return search;
  }
  for (int i = 0; i < (*options).ndomains; ++i) {
    search.domains.emplace_back((*options).domains[i]);
  }
  if ((*options).ndots >= 0) {
    search.ndots = static_cast<std::size_t>((*options).ndots);
  }
  return search;
}

}  // namespace

std::optional<SystemConfig> read_system_config() {
  ares_channel raw = nullptr;
  if (::ares_init(&raw) != ARES_SUCCESS) {
    return std::nullopt;
  }
  const AresChannel channel{raw};
  return SystemConfig{nameservers_of(raw), search_of(raw)};
}

const SystemConfig& SystemConfigCache::get(Clock::time_point now) {
  if (config_ && now - checked_ < kCheckInterval) {
    return *config_;
  }
  checked_ = now;
  std::error_code ignored;
  const auto modified = std::filesystem::last_write_time(watched_, ignored);
  if (!config_ || modified != modified_) {
    modified_ = modified;
    // A file that cannot be read for a moment does not take the nameservers away that we have.
    if (auto fresh = read_system_config()) {
      config_ = std::move(*fresh);
    } else if (!config_) {
      config_.emplace();
    }
  }
  return *config_;
}

}  // namespace caravan
