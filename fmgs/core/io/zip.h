#pragma once
/// The members of a zip archive in memory (stored or deflated, zip64): what .npz files and those of
/// torch are. Sizes are checked before anything is allocated. Not public.
#include <cstdint>
#include <string>
#include <vector>

namespace fmgs::detail {

struct ZipMember {
    std::string name;
    uint64_t method = 0, crc = 0, packed = 0, size = 0, header = 0;
};

/// A view: the bytes have to outlive it. Errors have `what` (the path) in front.
class Zip {
  public:
    /// Reads the directory. Error when the bytes are no zip archive, or one that is cut off.
    Zip(const uint8_t* data, size_t size, std::string what);

    const std::string& what() const { return what_; }
    const std::vector<ZipMember>& members() const { return members_; }
    /// Error when the size that a member claims cannot be.
    void check_claim(const ZipMember& member) const;
    /// The first `limit` bytes; the checksum is compared where that is all of them.
    std::vector<uint8_t> unpack(const ZipMember& member, uint64_t limit = UINT64_MAX) const;

  private:
    const uint8_t* data_;
    size_t size_;
    std::string what_;
    std::vector<ZipMember> members_;
};

}  // namespace fmgs::detail
