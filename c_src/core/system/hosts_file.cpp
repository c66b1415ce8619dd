#include "core/system/hosts_file.hpp"

#include <algorithm>
#include <fstream>
#include <istream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

// As many lines as the greatest block lists have. The resolver's thread reads the file.
constexpr std::size_t kMaxLines = 500'000;

std::string folded(std::string_view name) {
  if (name.ends_with('.')) {
    name.remove_suffix(1);
  }
  std::string lower;
  std::transform(name.begin(), name.end(), std::back_inserter(lower), to_lower_ascii);
  return lower;
}

}  // namespace

HostsFile::HostsFile(std::istream& text) {
  std::string line;
  for (std::size_t count = 0; count < kMaxLines && std::getline(text, line); ++count) {
    std::istringstream words{line.substr(0, line.find('#'))};
    std::string word;
    words >> word;
    const auto address = parse_ip_address(word);
    while (address && words >> word) {
      auto& known = addresses_[folded(word)];
      if (std::find(known.begin(), known.end(), *address) == known.end()) {
        known.push_back(*address);
      }
    }
  }
}

std::vector<IpAddress> HostsFile::find(std::string_view name) const {
  const auto found = addresses_.find(folded(name));
  return found == addresses_.end() ? std::vector<IpAddress>{} : found->second;
}

const HostsFile& HostsFileCache::get(FileWatch::TimePoint now) {
  if (watch_.has_changed(now)) {
    // To open a pipe would wait for its writer.
    std::error_code ignored;
    std::ifstream file;
    if (std::filesystem::is_regular_file(watch_.path(), ignored)) {
      file.open(watch_.path());
    }
    hosts_ = HostsFile{file};
  }
  return hosts_;
}

}  // namespace caravan
