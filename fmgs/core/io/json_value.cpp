#include <fmgs/core/check.h>
#include <fmgs/core/io/value_parts.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace fmgs::detail {
namespace {

/// Builds the value while nlohmann's parser reads.
class JsonValues : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit JsonValues(const std::string& what) : what_(what) {}

    Value root() { return root_; }
    bool null() override { return put(Value()); }
    bool boolean(bool x) override { return put(Value(x)); }
    bool number_integer(number_integer_t x) override { return put(Value(int64_t{x})); }
    bool number_unsigned(number_unsigned_t x) override {
        return put(x > INT64_MAX ? Value(static_cast<double>(x)) : Value(static_cast<int64_t>(x)));
    }
    bool number_float(number_float_t x, const string_t&) override { return put(Value(x)); }
    bool string(string_t& x) override { return put(Value(std::move(x))); }
    bool binary(binary_t&) override { return false; }  // not in JSON
    bool start_object(size_t) override { return open(/*dict=*/true); }
    bool start_array(size_t) override { return open(/*dict=*/false); }
    bool key(string_t& x) override {
        open_.back().key = std::move(x);
        return true;
    }
    bool end_object() override {
        auto entries = std::move(open_.back().entries);
        open_.pop_back();
        return put(Value(std::move(entries)));
    }
    bool end_array() override {
        auto items = std::move(open_.back().items);
        open_.pop_back();
        return put(Value(std::move(items)));
    }
    bool parse_error(size_t at, const std::string& token,
                     const nlohmann::detail::exception&) override {
        throw Error(fmt::format("{}: not valid JSON (at byte {}, near '{}')", what_, at,
                                token.size() > 40 ? token.substr(token.size() - 40) : token));
    }

  private:
    struct Open {
        bool is_dict;
        std::string key;
        Value::List items;
        Value::Dict entries;
    };

    bool open(bool dict) {
        if (open_.size() == 200)
            throw Error(fmt::format("{}: JSON that is nested more than 200 deep", what_));
        open_.push_back({dict, {}, {}, {}});
        return true;
    }
    bool put(Value value) {
        if (open_.empty())
            root_ = std::move(value);
        else if (open_.back().is_dict)
            open_.back().entries.emplace_back(Value(open_.back().key), std::move(value));
        else
            open_.back().items.push_back(std::move(value));
        return true;
    }

    const std::string& what_;
    std::vector<Open> open_;
    Value root_;
};

}  // namespace

Value json_value(std::string_view text, const std::string& what) {
    JsonValues values(what);
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &values))
        throw Error(fmt::format("{}: not valid JSON", what));
    return values.root();
}

}  // namespace fmgs::detail
