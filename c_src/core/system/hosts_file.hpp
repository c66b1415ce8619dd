#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/ip_address.hpp"

namespace caravan {

// The names and addresses of a hosts(5) file. With half a million lines, the size of a large block list, it takes about
// 30 MiB.
class HostsFile {
 public:
  // The constructor ignores text beyond this size.
  static constexpr std::size_t kMaxOctets = std::size_t{64} * 1024 * 1024;

  HostsFile() = default;
  explicit HostsFile(std::string_view text);

  // Returns the addresses of `name` in the order of the file, without duplicates. Returns an empty vector if the file
  // does not have the name. Ignores case and a trailing dot.
  std::vector<IpAddress> find(std::string_view name) const;

 private:
  struct Entry {
    std::uint32_t offset = 0;
    std::uint8_t size = 0;
    IpAddress address;
  };

  void add_line(std::string_view line);
  void add(std::string_view name, const IpAddress& address);
  std::string_view name_of(const Entry& entry) const noexcept {
    return std::string_view{names_}.substr(entry.offset, entry.size);
  }

  std::string names_;           // in lower case
  std::vector<Entry> entries_;  // sorted by name; entries of one name are in the order of the file
};

}  // namespace caravan
