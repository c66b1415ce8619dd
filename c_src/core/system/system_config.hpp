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

// What resolv.conf(5) says: the nameservers as c-ares reads them, the search list as we do, since current versions of
// c-ares tell nobody theirs.
struct SystemConfig {
  std::vector<Nameserver> nameservers;  // kMaxNameservers at most
  SearchList search;
  bool rotate = false;
  bool use_vc = false;  // TCP only
};

// Nothing when c-ares cannot be initialised.
std::optional<SystemConfig> read_system_config(const std::filesystem::path& resolv_conf);

// What c-ares tells nobody: `search`, `rotate` and `use_vc`, in the text of a resolv.conf, under what the environment
// says in LOCALDOMAIN and RES_OPTIONS (null: nothing). `nameservers` if one of them has a scope, which 1.18 passes
// over.
SystemConfig parse_resolv_conf(std::istream& resolv_conf, const char* local_domain, const char* options);

// Keeps the configuration, and reads it anew when the file was rewritten. Owned by one thread.
class SystemConfigCache {
 public:
  explicit SystemConfigCache(std::filesystem::path resolv_conf = "/etc/resolv.conf") : watch_{std::move(resolv_conf)} {}

  // Never null; what lookups were begun with stays theirs.
  std::shared_ptr<const SystemConfig> get(FileWatch::TimePoint now);

 private:
  FileWatch watch_;
  std::shared_ptr<const SystemConfig> config_;
};

}  // namespace caravan
