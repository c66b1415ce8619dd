#include <string>

#include "catch.hpp"
#include "core/name/node_name.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

using namespace std::string_view_literals;

static_assert(noexcept(is_helper_name("rem-1f3a-app-4370@h")));

TEST_CASE("names that Mix releases give to remote and rpc are helpers") {
  for (const auto name : {
           "rem-1f3a-app-4370@h"sv,  // Unix: 16 random bits in hexadecimal
           "rpc-00ff-app-4370@h"sv,
           "rem-1234-app@h"sv,
           "rem-abcd-a"sv,
           "rem-7-app-4370@h"sv,  // Windows: %RANDOM%, up to 32767
           "rpc-32767-app-4370@h"sv,
       }) {
    CAPTURE(name);
    CHECK(is_helper_name(name));
  }
}

TEST_CASE("names that relx releases give to their tools are helpers") {
  for (const auto name : {"maint5f3e-app-4370@h"sv, "longnameDEADbeef01-app@h"sv, "remsh0-app-4370@h"sv}) {
    CAPTURE(name);
    CHECK(is_helper_name(name));
  }
}

TEST_CASE("names that peer makes up are helpers") {
  CHECK(is_helper_name("peer-1-4370@h"));
  CHECK(is_helper_name("peer-576460752303423487-31337@h"));
  CHECK(is_helper_name("peer-1-4370"));
}

TEST_CASE("a service whose name only begins like a helper is none") {
  for (const auto name : {
           // The words, but no random part.
           "rpc-gateway-4370@h"sv,
           "rem-app-4370@h"sv,
           "remote-4370@h"sv,
           "rpc-4370@h"sv,
           "maint-4370@h"sv,
           "maintenance-4370@h"sv,
           "remsh-4370@h"sv,
           "longname-4370@h"sv,
           "peer-4370@h"sv,
           "peer-app-4370@h"sv,
           // The random part has another length or alphabet.
           "rem-1f3-app@h"sv,
           "rem-1f3a5-app@h"sv,
           "rem-1F3A-app@h"sv,
           "rem-123456-app@h"sv,
           "rem-1f3g-app@h"sv,
           "maintzz-app@h"sv,
           "peer-1a-4370@h"sv,
           "peer-1-4370x@h"sv,
           "peer-1-43-70@h"sv,
           // A number after the words, and no node's name after it.
           "rpc-2024-4370@h"sv,
           "rem-1-4370@h"sv,
           "maint1-4370@h"sv,
           // Nothing after the random part.
           "rem-1f3a@h"sv,
           "rem-1f3a-@h"sv,
           "rem-1f3aapp@h"sv,
           "maint5f-@h"sv,
           "maint5f@h"sv,
           "peer-1-@h"sv,
           "peer-1@h"sv,
           // The words elsewhere.
           "app-rem-1f3a-4370@h"sv,
           "xrem-1f3a-app@h"sv,
           "REM-1f3a-app@h"sv,
           "app@rem-1f3a-app"sv,
           "@rem-1f3a-app"sv,
           "app-4370@h"sv,
           "undefined@h"sv,
           "rem-"sv,
           "rem"sv,
           ""sv,
       }) {
    CAPTURE(name);
    CHECK_FALSE(is_helper_name(name));
  }
}

TEST_CASE("a helper's name may hold any bytes after its pattern and be of any length") {
  CHECK(is_helper_name("rem-1f3a-\0"sv));
  CHECK(is_helper_name("rem-1f3a-" + std::string(std::size_t{1} << 20, 'a')));
  CHECK_FALSE(is_helper_name("rem-1f3a\0-app"sv));
  CHECK_FALSE(is_helper_name(std::string(std::size_t{1} << 20, 'a') + "rem-1f3a-app"));
}

TEST_CASE("whatever follows the at sign makes no difference to a helper's name") {
  const auto seed = GENERATE(11U, 12U);
  test::RandomText random{seed};
  for (int i = 0; i < 5000; ++i) {
    const auto name = random.text(12, "rempc-0123456789af");
    const auto before_at = name.substr(0, name.find('@'));
    const auto with_host = before_at + '@' + random.text(12, "rem-1f3a@");
    if (is_helper_name(name) != is_helper_name(before_at) || is_helper_name(with_host) != is_helper_name(before_at)) {
      CAPTURE(seed, i, test::in_hex(name), test::in_hex(with_host));
      FAIL("the host changes what the name is");
    }
  }
}

}  // namespace
}  // namespace caravan
