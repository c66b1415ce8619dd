#pragma once

#include <chrono>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <optional>
#include <vector>

#include "core/dns_name.hpp"
#include "core/ip_address.hpp"

namespace caravan {

// What resolv.conf(5) says: the nameservers as c-ares reads them, the search list as we do, since current versions of
// c-ares tell nobody theirs.
struct SystemConfig {
  std::vector<Nameserver> nameservers;
  SearchList search;
};

// Nothing when c-ares cannot be initialised.
std::optional<SystemConfig> read_system_config(const std::filesystem::path& resolv_conf);

// The search list in the text of a resolv.conf, under what the environment says in LOCALDOMAIN and RES_OPTIONS (null:
// nothing).
SearchList parse_search_list(std::istream& resolv_conf, const char* local_domain, const char* options);

// Keeps the configuration and reads it anew when the file was rewritten, as DHCP clients and kubelets do in the life of
// a process. Owned by one thread.
class SystemConfigCache {
 public:
  using Clock = std::chrono::steady_clock;

  explicit SystemConfigCache(std::filesystem::path watched = "/etc/resolv.conf") : watched_{std::move(watched)} {}

  // Never null; what lookups were begun with stays theirs.
  std::shared_ptr<const SystemConfig> get(Clock::time_point now);

 private:
  std::filesystem::path watched_;
  std::shared_ptr<const SystemConfig> config_;
  std::filesystem::file_time_type modified_;
  Clock::time_point checked_;
};

}  // namespace caravan
