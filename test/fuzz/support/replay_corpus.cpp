#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/entry.hpp"

// In place of libFuzzer's main: gives the fuzzer each file of a directory once. The name of the file is said before, so
// that it is the last word of one that fails.
namespace {

void replay(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  const std::string octets{std::istreambuf_iterator<char>{file}, {}};
  if (!file) {
    throw std::runtime_error{path.string() + " cannot be read"};
  }
  std::cout << path.string() << std::endl;  // what comes next may abort
  // A copy that ends where the input ends, so that AddressSanitizer sees every read past it.
  const std::vector<std::uint8_t> input{octets.begin(), octets.end()};
  const std::unique_ptr<std::uint8_t[]> exact{new std::uint8_t[input.size()]};
  std::copy(input.begin(), input.end(), exact.get());
  LLVMFuzzerTestOneInput(exact.get(), input.size());
}

}  // namespace

int main(int argc, char** argv) try {
  const std::span arguments{argv, static_cast<std::size_t>(argc)};
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator{arguments.back()}) {
    replay(entry.path());
    ++files;
  }
  if (files == 0) {
    throw std::runtime_error{std::string{arguments.back()} + " has no files"};
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
