#include "core/system_config.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
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

// resolv.conf(5): more dots than that are not to be had.
constexpr std::size_t kMaxNdots = 15;

void take_options(std::istream& words, SearchList& search) {
  constexpr std::string_view prefix{"ndots:"};
  for (std::string word; words >> word;) {
    std::size_t ndots = 0;
    if (word.starts_with(prefix) &&
        std::from_chars(word.data() + prefix.size(), word.data() + word.size(), ndots).ec == std::errc{}) {
      search.ndots = std::min(ndots, kMaxNdots);
    }
  }
}

// The last list counts.
void take_domains(std::istream& words, SearchList& search) {
  search.domains.clear();
  for (std::string word; words >> word;) {
    if (is_dns_name(word)) {
      search.domains.push_back(word.ends_with('.') ? word.substr(0, word.size() - 1) : word);
    }
  }
}

}  // namespace

SearchList parse_search_list(std::istream& resolv_conf, const char* local_domain, const char* options) {
  SearchList search;
  for (std::string line; std::getline(resolv_conf, line);) {
    std::istringstream words{line};
    std::string keyword;
    words >> keyword;
    if (keyword == "search" || keyword == "domain") {
      take_domains(words, search);
    } else if (keyword == "options") {
      take_options(words, search);
    }
  }
  if (local_domain != nullptr) {
    std::istringstream words{local_domain};
    take_domains(words, search);
  }
  if (options != nullptr) {
    std::istringstream words{options};
    take_options(words, search);
  }
  return search;
}

std::optional<SystemConfig> read_system_config(const std::filesystem::path& resolv_conf) {
  ares_channel raw = nullptr;
  if (::ares_init(&raw) != ARES_SUCCESS) {
    return std::nullopt;
  }
  const AresChannel channel{raw};
  std::ifstream file{resolv_conf};
  // The VM keeps an environment of its own: os:putenv/2 does not touch this one.
  const char* local_domain = std::getenv("LOCALDOMAIN");  // NOLINT(concurrency-mt-unsafe)
  const char* options = std::getenv("RES_OPTIONS");       // NOLINT(concurrency-mt-unsafe)
  return SystemConfig{nameservers_of(raw), parse_search_list(file, local_domain, options)};
}

std::shared_ptr<const SystemConfig> SystemConfigCache::get(Clock::time_point now) {
  if (config_ && now - checked_ < kCheckInterval) {
    return config_;
  }
  checked_ = now;
  std::error_code ignored;
  const auto modified = std::filesystem::last_write_time(watched_, ignored);
  if (!config_ || modified != modified_) {
    modified_ = modified;
    auto fresh = read_system_config(watched_);
    // A configuration that cannot be read for a moment does not take away the one that we have.
    if (fresh || !config_) {
      config_ = std::make_shared<const SystemConfig>(fresh ? std::move(*fresh) : SystemConfig{});
    }
  }
  return config_;
}

}  // namespace caravan
