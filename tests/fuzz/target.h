#pragma once
/// A fuzz target is one reader of foreign bytes. It may refuse them with fmgs::Error; anything else
/// that escapes is a finding. Included once per program: it defines libFuzzer's entry.
#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>

/// Reads the bytes in every way there is. Error: they are refused.
void read_input(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        read_input(data, size);
    } catch (const fmgs::Error&) {
    }
    return 0;
}

/// The bytes as a file in memory.
class InputFile {
  public:
    InputFile(const uint8_t* data, size_t size) : descriptor_(memfd_create("input", MFD_CLOEXEC)) {
        if (descriptor_ < 0 || write(descriptor_, data, size) != static_cast<ssize_t>(size))
            throw std::runtime_error("no memory file");
    }
    ~InputFile() { close(descriptor_); }
    InputFile(const InputFile&) = delete;
    InputFile& operator=(const InputFile&) = delete;

    std::filesystem::path path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

  private:
    int descriptor_;
};
