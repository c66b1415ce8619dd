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

// Replaces libFuzzer's main(): calls the fuzzer once with each file of a directory. Prints the name of a file first, so
// that the last line names the file that fails.
namespace {

void replay(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  const std::string octets{std::istreambuf_iterator<char>{file}, {}};
  if (!file) {
    throw std::runtime_error{path.string() + " cannot be read"};
  }
  std::cout << path.string() << std::endl;  // flushed, since the next call may abort
  // A copy of exactly the size of the input, so that AddressSanitizer detects each read beyond it.
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
