#include "core/system/hosts_file.hpp"

#include <algorithm>
#include <iterator>

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

std::string_view without_dot(std::string_view name) noexcept {
  if (name.ends_with('.')) {
    name.remove_suffix(1);
  }
  return name;
}

void append_folded(std::string& to, std::string_view name) {
  std::transform(name.begin(), name.end(), std::back_inserter(to), to_lower_ascii);
}

// Removes the next word from `line` and returns it. Returns an empty view at the end of the line.
std::string_view take_word(std::string_view& line) noexcept {
  constexpr std::string_view space{" \t\r\v\f"};
  line.remove_prefix(std::min(line.find_first_not_of(space), line.size()));
  const auto word = line.substr(0, line.find_first_of(space));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

HostsFile::HostsFile(std::string_view text) {
  text = text.substr(0, kMaxOctets);
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    add_line(line.substr(0, line.find('#')));
  }
  std::stable_sort(entries_.begin(), entries_.end(),
                   [this](const Entry& a, const Entry& b) { return name_of(a) < name_of(b); });
}

void HostsFile::add_line(std::string_view line) {
  const auto address = parse_ip_address(take_word(line));
  if (!address) {
    return;
  }
  for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
    add(without_dot(word), *address);
  }
}

// No lookup can be for a longer name, so such a name is not stored.
void HostsFile::add(std::string_view name, const IpAddress& address) {
  if (name.size() > kMaxDnsNameText) {
    return;
  }
  entries_.push_back({static_cast<std::uint32_t>(names_.size()), static_cast<std::uint8_t>(name.size()), address});
  append_folded(names_, name);
}

std::vector<IpAddress> HostsFile::find(std::string_view name) const {
  std::string folded;
  append_folded(folded, without_dot(name));
  std::vector<IpAddress> addresses;
  auto entry =
      std::lower_bound(entries_.begin(), entries_.end(), folded,
                       [this](const Entry& known, const std::string& wanted) { return name_of(known) < wanted; });
  for (; entry != entries_.end() && name_of(*entry) == folded; ++entry) {
    if (std::find(addresses.begin(), addresses.end(), entry->address) == addresses.end()) {
      addresses.push_back(entry->address);
    }
  }
  return addresses;
}

}  // namespace caravan
