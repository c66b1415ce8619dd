#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/dns_message.hpp"
#include "support/dns_builder.hpp"

// Replies as text, so that a test reads like a zone file and a failure shows the actual records.
namespace caravan::test {

using Lines = std::vector<std::string>;

// Decodes a copy of exactly the size of the message, so that AddressSanitizer detects each read beyond it.
inline Reply decode(const Bytes& message, const Question& question) {
  const std::unique_ptr<std::uint8_t[]> exact{new std::uint8_t[message.size()]};
  std::copy(message.begin(), message.end(), exact.get());
  return decode_reply({exact.get(), message.size()}, question);
}

inline Reply decode(const DnsBuilder& builder, const Question& question) { return decode(builder.build(), question); }

// "ok", or the name of the error.
inline std::string outcome(const Reply& reply) { return reply.error ? error_name(*reply.error) : "ok"; }

inline std::string to_text(const IpAddress& address) {
  const auto with_port = Nameserver{address, 1}.to_string();
  const auto host = with_port.substr(0, with_port.rfind(':'));
  return host.front() == '[' ? host.substr(1, host.size() - 2) : host;
}

// "PRIORITY WEIGHT PORT TARGET TTL" of each record.
inline Lines srv_lines(const Reply& reply) {
  Lines lines;
  for (const auto& srv : reply.srv) {
    lines.push_back(std::to_string(srv.priority) + ' ' + std::to_string(srv.weight) + ' ' + std::to_string(srv.port) +
                    ' ' + std::string{reply.view(srv.target)} + ' ' + std::to_string(srv.ttl));
  }
  return lines;
}

// "ADDRESS TTL" of each record.
inline Lines address_lines(const Reply& reply) {
  Lines lines;
  for (const auto& record : reply.addresses) {
    lines.push_back(to_text(record.address) + ' ' + std::to_string(record.ttl));
  }
  return lines;
}

// "TARGET ADDRESS TTL" of each piece of glue.
inline Lines glue_lines(const Reply& reply) {
  Lines lines;
  for (const auto& glue : reply.glue) {
    lines.push_back(std::string{reply.view(glue.target)} + ' ' + to_text(glue.address) + ' ' +
                    std::to_string(glue.ttl));
  }
  return lines;
}

}  // namespace caravan::test
