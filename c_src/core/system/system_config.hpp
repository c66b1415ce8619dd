#pragma once

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <optional>
#include <vector>

#include "core/system/file_watch.hpp"
#include "core/wire/dns_name.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// The configuration in resolv.conf(5). c-ares finds the nameservers. The rest is parsed here, because c-ares 1.34 does
// not return its search list.
struct SystemConfig {
  std::vector<Nameserver> nameservers;  // at most kMaxNameservers
  SearchList search;
  bool rotate = false;
  bool use_vc = false;  // ask over TCP only
};

// Returns nullopt if c-ares cannot be initialised.
std::optional<SystemConfig> read_system_config(const std::filesystem::path& resolv_conf);

// Parses what c-ares does not return: `search`, `rotate` and `use_vc` from the text of a resolv.conf, overridden by the
// values of the environment variables LOCALDOMAIN and RES_OPTIONS, which may be null. Returns `nameservers` only if one
// of them has a scope, which c-ares 1.18 would skip.
SystemConfig parse_resolv_conf(std::istream& resolv_conf, const char* local_domain, const char* options);

// Caches the configuration, and reads it again when the file has changed. One thread owns it.
class SystemConfigCache {
 public:
  explicit SystemConfigCache(std::filesystem::path resolv_conf = "/etc/resolv.conf") : watch_{std::move(resolv_conf)} {}

  // Never returns null. A lookup keeps the configuration with which it began, even if the file changes.
  std::shared_ptr<const SystemConfig> get(FileWatch::TimePoint now);

 private:
  FileWatch watch_;
  std::shared_ptr<const SystemConfig> config_;
};

}  // namespace caravan
