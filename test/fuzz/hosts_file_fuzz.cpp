#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/system/hosts_file.hpp"
#include "core/wire/dns_name.hpp"
#include "support/entry.hpp"
#include "support/require.hpp"

// Reads any bytes as a hosts file, and compares the result with a map that is filled octet by octet.
namespace {

using caravan::IpAddress;
using caravan::fuzz::require;

using Names = std::map<std::string, std::vector<IpAddress>>;

std::string folded(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), caravan::to_lower_ascii);
  if (name.ends_with('.')) {
    name.pop_back();
  }
  return name;
}

void take_line(Names& names, const std::vector<std::string>& words) {
  const auto address = words.empty() ? std::nullopt : caravan::parse_ip_address(words.front());
  if (!address) {
    return;
  }
  for (std::size_t i = 1; i < words.size(); ++i) {
    auto& addresses = names[folded(words[i])];
    if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
}

Names names_in(std::string_view text) {
  Names names;
  std::vector<std::string> words;
  bool in_word = false;
  bool in_comment = false;
  for (const char c : text) {
    if (c == '\n') {
      take_line(names, words);
      words.clear();
      in_word = in_comment = false;
    } else if (c == '#') {
      in_comment = true;
    } else if (in_comment || c == ' ' || (c != '\n' && c >= '\t' && c <= '\r')) {
      in_word = false;
    } else {
      if (!in_word) {
        words.emplace_back();
      }
      words.back() += c;
      in_word = true;
    }
  }
  take_line(names, words);
  return names;
}

std::string in_upper_case(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return name;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const caravan::HostsFile hosts{text};
  const auto names = names_in(text);
  for (const auto& [name, addresses] : names) {
    if (name.size() > caravan::kMaxDnsNameText) {
      require(hosts.find(name).empty());
      continue;
    }
    require(hosts.find(name) == addresses || name.ends_with('.'));
    require(hosts.find(name + '.') == addresses);
    require(hosts.find(in_upper_case(name)) == addresses || name.ends_with('.'));
    // A part of a name and a longer name have addresses only if they are names themselves.
    for (const auto& other : {name.substr(0, name.size() / 2), name + "x"}) {
      const auto found = names.find(folded(other));
      require(hosts.find(other) == (found == names.end() ? std::vector<IpAddress>{} : found->second) ||
              other.size() > caravan::kMaxDnsNameText);
    }
  }
  // The same file twice has the same addresses.
  if (size < 4096) {
    const caravan::HostsFile twice{std::string{text} + '\n' + std::string{text}};
    for (const auto& [name, addresses] : names) {
      require(twice.find(name) == hosts.find(name));
    }
  }
  return 0;
}
