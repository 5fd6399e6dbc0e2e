#pragma once
/// PLY files of any content: the header at once, the values one after the other. Not public.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fmgs::detail {

enum class PlyType { kNone, kInt8, kUint8, kInt16, kUint16, kInt32, kUint32, kFloat, kDouble };

struct PlyProperty {
    std::string name;
    PlyType type = PlyType::kNone;
    PlyType count_type = PlyType::kNone;  ///< of a list; kNone: one value
    bool is_list() const { return count_type != PlyType::kNone; }
};

struct PlyElement {
    std::string name;
    int64_t count = 0;
    std::vector<PlyProperty> properties;
};

/// A view: the bytes have to outlive it. Errors have `what` (the path) in front.
class PlyFile {
  public:
    /// Reads the header. Error when it is none, of an unknown format, or claims more rows than the
    /// file has bytes for: whoever reads may allocate by the counts.
    PlyFile(std::string_view bytes, std::string what);

    const std::vector<PlyElement>& elements() const { return elements_; }
    /// The texts behind the word `comment`.
    const std::vector<std::string>& comments() const { return comments_; }

    /// The next value. Error when the file ends before it.
    double number(PlyType type);
    /// The length of a list, which the rest of the file has room for.
    int64_t list_size(const PlyProperty& property);
    /// Steps over the value or the list.
    void skip(const PlyProperty& property);

    [[noreturn]] void fail(const std::string& problem) const;

  private:
    enum class Format { kAscii, kLittle, kBig };

    std::string_view line();
    void read_header();
    void read_format(const std::vector<std::string>& words);
    void add_element(const std::vector<std::string>& words);
    void add_property(const std::vector<std::string>& words);
    void check_room() const;
    double ascii();
    template <class T>
    double binary();

    std::string_view rest_;
    std::string what_;
    Format format_ = Format::kAscii;
    std::vector<PlyElement> elements_;
    std::vector<std::string> comments_;
};

}  // namespace fmgs::detail
