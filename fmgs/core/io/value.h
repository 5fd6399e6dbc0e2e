#pragma once
/// What a data file holds, whatever its container: a tree of dictionaries, lists, numbers, text and
/// arrays. Pickles, joblib and torch files, .npz, .npy and JSON are all read as this, so that
/// whoever looks for `poses` in a file need not know how it was written.
#include <fmgs/core/io/npz.h>

#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

namespace fmgs {

/// One node. Cheap to copy: the content is shared and never changes. Whatever stands in a file may
/// be read from several threads at once.
class Value {
  public:
    using List = std::vector<Value>;
    /// In the order of the file. Keys are mostly text, but pickles have numbers and tuples, too.
    using Dict = std::vector<std::pair<Value, Value>>;
    /// An array whose values are unpacked when they are asked for.
    struct Lazy {
        std::string dtype;           ///< as in NpyArray
        std::vector<int64_t> shape;  ///< empty for a scalar
        std::function<NpyArray()> unpack;
    };

    Value() = default;  ///< none
    explicit Value(bool x);
    explicit Value(int64_t x);
    explicit Value(double x);
    explicit Value(std::string text);
    explicit Value(List items);
    explicit Value(Dict entries);
    explicit Value(NpyArray array);
    explicit Value(Lazy array);
    /// What is made, once, when it is first looked into: an entry of an .npz. Its Error comes then,
    /// too.
    static Value later(std::function<Value()> make);

    bool is_none() const;
    /// A boolean, a whole number, a real one, or an array of one element.
    bool is_number() const;
    bool is_text() const;
    bool is_list() const;  ///< list, tuple or set; an array of objects is one, too
    bool is_dict() const;
    bool is_array() const;
    /// "an array f4 [720,72]", "a dictionary of 4", "text", …: for messages.
    std::string description() const;

    // Error, which says what is there instead, where the kind is another one.
    int64_t integer() const;  ///< of a number that is whole
    double number() const;
    const std::string& text() const;  ///< also Python's bytes
    const List& list() const;
    const Dict& dict() const;

    /// The entry of this key (the last one, where it is there twice); null where there is none, or
    /// where this is no dictionary.
    const Value* find(std::string_view key) const;
    bool contains(std::string_view key) const { return find(key) != nullptr; }
    /// Error, which lists the keys, where there is no such entry.
    const Value& operator[](std::string_view key) const;
    /// "betas, poses, trans", or "none"; at most some twenty of them.
    std::string keys() const;

    /// Of an array, a number, or nested lists of numbers of one size: known without unpacking.
    std::vector<int64_t> shape() const;
    /// The values, likewise; text for NpyArray::strings.
    NpyArray array() const;
    /// array().tensor(): double or int64 where the file has Python's numbers.
    torch::Tensor tensor() const;
    /// "f4", "U12", … of an array; of numbers and text alone what array() makes of them ("f8",
    /// "i8", "b1", "U"). Error for anything else.
    std::string dtype() const;
    /// Of an array of text, a list of texts, or one text.
    std::vector<std::string> strings() const;

  private:
    struct Later;
    template <class T>
    using Shared = std::shared_ptr<const T>;
    using Content =
        std::variant<std::monostate, bool, int64_t, double, Shared<std::string>, Shared<List>,
                     Shared<Dict>, Shared<NpyArray>, Shared<Lazy>, std::shared_ptr<Later>>;

    /// This, or what Later makes.
    const Value& known() const;
    template <class T>
    const T* get() const {  // null where it is something else
        const auto* shared = std::get_if<Shared<T>>(&known().content_);
        return shared ? shared->get() : nullptr;
    }
    [[noreturn]] void refuse(const char* expected) const;

    Content content_;
};

/// Reads a data file by what it begins with, not by its name: .npz, .npy (with objects inside,
/// too), a pickle of protocol 0 to 5, joblib (plain, zlib or gzip), a torch archive, JSON. Nothing
/// is ever executed; an .npz is unpacked array by array. An array of no dimensions that holds an
/// object or text is that object or text. Error: not there, damaged, or something else (a git-lfs
/// pointer, a web page, an HDF5 file, …), with the file, what it is and the cure.
Value read_value(const std::filesystem::path& file);
/// The same of bytes that were read already; `what` is the file's name.
Value parse_value(std::string bytes, const std::string& what);

}  // namespace fmgs
