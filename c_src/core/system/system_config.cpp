#include "core/system/system_config.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include "core/system/cares.hpp"

namespace caravan {
namespace {

IpAddress to_address(const ares_addr_port_node& node) noexcept {
  IpAddress address;
  address.family = node.family == AF_INET ? Family::kInet : Family::kInet6;
  std::memcpy(address.bytes.data(), &node.addr, address.size());
  return address;
}

// For the standard port, some versions of c-ares return 0 and others 53.
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

// The limit of resolv.conf(5).
constexpr std::size_t kMaxNdots = 15;

void take_options(std::istream& words, SystemConfig& config) {
  constexpr std::string_view prefix{"ndots:"};
  for (std::string word; words >> word;) {
    std::size_t ndots = 0;
    if (word.starts_with(prefix) &&
        std::from_chars(word.data() + prefix.size(), word.data() + word.size(), ndots).ec == std::errc{}) {
      config.search.ndots = std::min(ndots, kMaxNdots);
    }
    config.rotate |= word == "rotate";
    config.use_vc |= word == "use-vc" || word == "usevc";
  }
}

// The last list in the file replaces those before it.
void take_domains(std::istream& words, SearchList& search) {
  search.domains.clear();
  for (std::string word; words >> word;) {
    if (word == "." || is_dns_name(word)) {
      search.domains.push_back(word.ends_with('.') ? word.substr(0, word.size() - 1) : word);
    }
  }
}

void take_nameserver(std::istream& words, std::vector<Nameserver>& nameservers) {
  std::string word;
  words >> word;
  if (const auto nameserver = parse_nameserver(word)) {
    nameservers.push_back(*nameserver);
  }
}

// A file that is being rewritten is missing or empty for a moment.
bool is_missing_or_empty(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error || size == 0;
}

}  // namespace

SystemConfig parse_resolv_conf(std::istream& resolv_conf, const char* local_domain, const char* options) {
  SystemConfig config;
  for (std::string line; std::getline(resolv_conf, line);) {
    std::istringstream words{line};
    std::string keyword;
    words >> keyword;
    if (keyword == "nameserver") {
      take_nameserver(words, config.nameservers);
    } else if (keyword == "search" || keyword == "domain") {
      take_domains(words, config.search);
    } else if (keyword == "options") {
      take_options(words, config);
    }
  }
  // Without a scope, the nameservers are left to c-ares, which finds them elsewhere on some systems.
  if (std::none_of(config.nameservers.begin(), config.nameservers.end(),
                   [](const Nameserver& nameserver) { return nameserver.scope.front() != '\0'; })) {
    config.nameservers.clear();
  }
  if (local_domain != nullptr) {
    std::istringstream words{local_domain};
    take_domains(words, config.search);
  }
  if (options != nullptr) {
    std::istringstream words{options};
    take_options(words, config);
  }
  return config;
}

std::optional<SystemConfig> read_system_config(const std::filesystem::path& resolv_conf) {
  std::error_code ignored;
  // Opening a named pipe would block until a writer opens it.
  std::string path{std::filesystem::is_regular_file(resolv_conf, ignored) ? resolv_conf.c_str() : "/dev/null"};
  ares_options options{};
  options.resolvconf_path = path.data();
  ares_channel raw = nullptr;
  if (::ares_init_options(&raw, &options, ARES_OPT_RESOLVCONF) != ARES_SUCCESS) {
    return std::nullopt;
  }
  const AresChannel channel{raw};
  std::ifstream file{path};
  // os:putenv/2 does not change this environment: the VM has its own.
  const char* local_domain = std::getenv("LOCALDOMAIN");  // NOLINT(concurrency-mt-unsafe)
  const char* res_options = std::getenv("RES_OPTIONS");   // NOLINT(concurrency-mt-unsafe)
  auto config = parse_resolv_conf(file, local_domain, res_options);
  if (config.nameservers.empty()) {
    config.nameservers = nameservers_of(raw);
  }
  config.nameservers.resize(std::min(config.nameservers.size(), kMaxNameservers));
  return config;
}

std::shared_ptr<const SystemConfig> SystemConfigCache::get(FileWatch::TimePoint now) {
  if (watch_.has_changed(now) && !(config_ && is_missing_or_empty(watch_.path()))) {
    auto fresh = read_system_config(watch_.path());
    // If the file cannot be read for a moment, the last configuration stays.
    if (fresh || !config_) {
      config_ = std::make_shared<const SystemConfig>(fresh ? std::move(*fresh) : SystemConfig{});
    }
  }
  return config_;
}

}  // namespace caravan
