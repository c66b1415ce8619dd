#pragma once

#include <cstddef>
#include <cstdint>

// What libFuzzer, or replay_corpus.cpp, calls with each input: the fuzzer.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
