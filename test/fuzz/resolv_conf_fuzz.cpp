#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/system/system_config.hpp"
#include "core/wire/dns_name.hpp"
#include "support/entry.hpp"
#include "support/input.hpp"
#include "support/require.hpp"

// Parses any bytes as resolv.conf and as environment variables, and checks the search list that follows. Input: a line
// for a name, one for LOCALDOMAIN and one for RES_OPTIONS, then the file.
namespace {

using caravan::SearchList;
using caravan::SystemConfig;
using caravan::fuzz::Input;
using caravan::fuzz::require;

SystemConfig parse(const std::string& text, const char* local_domain = nullptr, const char* options = nullptr) {
  std::istringstream stream{text};
  return caravan::parse_resolv_conf(stream, local_domain, options);
}

bool same(const SystemConfig& a, const SystemConfig& b) {
  return a.nameservers == b.nameservers && a.search.domains == b.search.domains && a.search.ndots == b.search.ndots &&
         a.rotate == b.rotate && a.use_vc == b.use_vc;
}

// Adds the scope to the address, which is in brackets if a port follows. A scope may contain a bracket.
std::string host_of(const caravan::Nameserver& nameserver) {
  constexpr std::string_view standard_port{"]:53"};
  auto text = nameserver.to_string();
  if (nameserver.scope.front() == '\0') {
    return text;
  }
  const auto scope = '%' + std::string{nameserver.scope.data()};
  if (nameserver.port == 53) {
    return text.substr(1, text.size() - 1 - standard_port.size()) + scope;
  }
  return text.insert(text.find(']'), scope);
}

// Writes a file that parses to `config`.
std::string written(const SystemConfig& config) {
  std::string text;
  for (const auto& nameserver : config.nameservers) {
    text += "nameserver " + host_of(nameserver) + '\n';
  }
  text += "search";
  for (const auto& domain : config.search.domains) {
    text += ' ' + (domain.empty() ? "." : domain);
  }
  text += "\noptions ndots:" + std::to_string(config.search.ndots) + (config.rotate ? " rotate" : "") +
          (config.use_vc ? " use-vc" : "") + '\n';
  return text;
}

void check_config(const SystemConfig& config) {
  require(config.search.ndots <= 15);
  for (const auto& domain : config.search.domains) {
    require(domain.empty() || (caravan::is_dns_name(domain) && !domain.ends_with('.')));
  }
  require(config.nameservers.empty() ||
          std::any_of(config.nameservers.begin(), config.nameservers.end(),
                      [](const auto& nameserver) { return nameserver.scope.front() != '\0'; }));
  for (const auto& nameserver : config.nameservers) {
    require(nameserver.scope.back() == '\0' && nameserver.port > 0);
    require(caravan::parse_nameserver(host_of(nameserver)) == nameserver);
  }
  require(same(parse(written(config)), config));
}

// Checks the order of resolv.conf(5), for a name without a trailing dot.
void check_candidates(const std::string& name, const SearchList& search) {
  const auto candidates = caravan::search_candidates(name, search);
  const auto dots = static_cast<std::size_t>(std::count(name.begin(), name.end(), '.'));
  require(!candidates.empty() && candidates.size() <= search.domains.size() + 1);
  require(
      std::all_of(candidates.begin(), candidates.end(), [](const auto& each) { return caravan::is_dns_name(each); }));
  require(std::count(candidates.begin(), candidates.end(), name) >= 1);
  if (dots >= search.ndots) {
    require(candidates.front() == name && std::count(candidates.begin(), candidates.end(), name) == 1);
  } else if (std::find(search.domains.begin(), search.domains.end(), "") == search.domains.end()) {
    require(candidates.back() == name);
  }
  // The other candidates are in the order of their domains.
  auto next = candidates.begin();
  for (const auto& domain : search.domains) {
    const auto candidate = domain.empty() ? name : name + '.' + domain;
    if (candidate == name || !caravan::is_dns_name(candidate)) {
      continue;
    }
    next = std::find(next, candidates.end(), candidate);
    require(next != candidates.end());
    ++next;
  }
  require(caravan::search_candidates(name + '.', search) == std::vector<std::string>{name});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const std::string name{input.line()};
  // Values in the environment end at a NUL.
  const std::string local_domain{std::string{input.line()}.c_str()};
  const std::string options{std::string{input.line()}.c_str()};
  const std::string text{input.view()};
  const auto config = parse(text);
  check_config(config);
  // The environment overrides the file just as later lines of the file do.
  const auto with_environment = parse(text, local_domain.c_str(), options.c_str());
  check_config(with_environment);
  require(same(with_environment, parse(text + "\nsearch " + local_domain + "\noptions " + options)));
  if (caravan::is_dns_name(name) && !name.ends_with('.')) {
    check_candidates(name, with_environment.search);
  }
  return 0;
}
