#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/system/file_watch.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// The names of a hosts(5) file.
class HostsFile {
 public:
  HostsFile() = default;
  explicit HostsFile(std::istream& text);

  // In the order of the file, without duplicates; empty when the name is not in it. A trailing dot makes no difference.
  std::vector<IpAddress> find(std::string_view name) const;

 private:
  std::unordered_map<std::string, std::vector<IpAddress>> addresses_;  // keys are in lower case
};

// Keeps the contents of a file, and reads it anew when it was rewritten; a file that is not there has no names. Owned
// by one thread.
class HostsFileCache {
 public:
  explicit HostsFileCache(std::filesystem::path path) : watch_{std::move(path)} {}

  const HostsFile& get(FileWatch::TimePoint now);

 private:
  FileWatch watch_;
  HostsFile hosts_;
};

}  // namespace caravan
