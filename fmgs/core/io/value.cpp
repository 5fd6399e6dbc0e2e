#include <fmgs/core/io/value.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npy_layout.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <cmath>
#include <mutex>

namespace fmgs {

struct Value::Later {
    std::function<Value()> make;
    std::once_flag once;
    Value value;
};

Value::Value(bool x) : content_(x) {}
Value::Value(int64_t x) : content_(x) {}
Value::Value(double x) : content_(x) {}
Value::Value(std::string text) : content_(std::make_shared<const std::string>(std::move(text))) {}
Value::Value(List items) : content_(std::make_shared<const List>(std::move(items))) {}
Value::Value(Dict entries) : content_(std::make_shared<const Dict>(std::move(entries))) {}
Value::Value(NpyArray array) : content_(std::make_shared<const NpyArray>(std::move(array))) {}
Value::Value(Lazy array) : content_(std::make_shared<const Lazy>(std::move(array))) {}

Value Value::later(std::function<Value()> make) {
    auto later = std::make_shared<Later>();
    later->make = std::move(make);
    Value out;
    out.content_ = std::move(later);
    return out;
}

const Value& Value::known() const {
    const auto* later = std::get_if<std::shared_ptr<Later>>(&content_);
    if (!later) return *this;
    auto& made = **later;
    std::call_once(made.once, [&] { made.value = made.make(); });
    return made.value.known();
}

bool Value::is_none() const { return std::holds_alternative<std::monostate>(known().content_); }
bool Value::is_text() const { return get<std::string>() != nullptr; }
bool Value::is_list() const { return get<List>() != nullptr; }
bool Value::is_dict() const { return get<Dict>() != nullptr; }
bool Value::is_array() const { return get<NpyArray>() || get<Lazy>(); }

bool Value::is_number() const {
    const auto& content = known().content_;
    if (std::holds_alternative<bool>(content) || std::holds_alternative<int64_t>(content) ||
        std::holds_alternative<double>(content))
        return true;
    return is_array() && detail::is_numeric({dtype(), {}, {}}) &&
           detail::checked_count(shape(), "array") == 1;
}

std::string Value::description() const {
    try {
        known();
    } catch (const Error&) {
        return "an object that cannot be read";
    }
    if (is_none()) return "nothing";
    const auto& content = known().content_;
    if (const auto* x = std::get_if<bool>(&content)) return *x ? "true" : "false";
    if (const auto* x = std::get_if<int64_t>(&content)) return fmt::format("the number {}", *x);
    if (const auto* x = std::get_if<double>(&content)) return fmt::format("the number {}", *x);
    if (const auto* x = get<std::string>()) return fmt::format("the text '{}'", x->substr(0, 40));
    if (const auto* x = get<List>()) return fmt::format("a list of {}", x->size());
    if (const auto* x = get<Dict>()) return fmt::format("a dictionary of {}", x->size());
    return fmt::format("an array {} {}", dtype(), shape_text(shape()));
}

void Value::refuse(const char* expected) const {
    throw Error(fmt::format("expected {}, got {}", expected, known().description()));
}

double Value::number() const {
    const auto& content = known().content_;
    if (const auto* x = std::get_if<bool>(&content)) return *x;
    if (const auto* x = std::get_if<int64_t>(&content)) return static_cast<double>(*x);
    if (const auto* x = std::get_if<double>(&content)) return *x;
    if (!is_number()) refuse("a number");
    return detail::real_at(array(), 0);
}

int64_t Value::integer() const {
    if (!is_number()) refuse("a whole number");
    if (is_array()) return detail::integer_at(array(), 0);
    if (const auto* x = std::get_if<int64_t>(&known().content_)) return *x;
    const double x = number();
    if (x != std::floor(x) || std::abs(x) > 9e18) refuse("a whole number");
    return static_cast<int64_t>(x);
}

const std::string& Value::text() const {
    const auto* x = get<std::string>();
    if (!x) refuse("text");
    return *x;
}

const Value::List& Value::list() const {
    const auto* x = get<List>();
    if (!x) refuse("a list");
    return *x;
}

const Value::Dict& Value::dict() const {
    const auto* x = get<Dict>();
    if (!x) refuse("a dictionary");
    return *x;
}

const Value* Value::find(std::string_view key) const {
    const auto* entries = get<Dict>();
    if (!entries) return nullptr;
    for (auto entry = entries->rbegin(); entry != entries->rend(); ++entry) {
        const auto* text = entry->first.get<std::string>();
        if (text && *text == key) return &entry->second;
    }
    return nullptr;
}

const Value& Value::operator[](std::string_view key) const {
    const auto* found = find(key);
    if (found) return *found;
    if (!is_dict()) refuse(fmt::format("a dictionary with an entry '{}'", key).c_str());
    throw Error(fmt::format("there is no entry '{}'; there are: {}", key, keys()));
}

std::string Value::dtype() const {
    if (const auto* x = get<Lazy>()) return x->dtype;
    if (const auto* x = get<NpyArray>()) return x->dtype;
    if (is_text()) return "U";
    const auto& content = known().content_;
    if (std::holds_alternative<bool>(content)) return "b1";
    if (std::holds_alternative<int64_t>(content)) return "i8";
    if (std::holds_alternative<double>(content)) return "f8";
    refuse("numbers");
}

std::string Value::keys() const {
    constexpr size_t kMost = 20;
    const auto* entries = get<Dict>();
    if (!entries || entries->empty()) return "none";
    std::string names;
    for (size_t i = 0; i < entries->size() && i < kMost; ++i) {
        const auto& key = (*entries)[i].first;
        names += (i ? ", " : "") + (key.is_text() ? key.text().substr(0, 80) : key.description());
    }
    if (entries->size() > kMost) names += fmt::format(", … ({} in all)", entries->size());
    return names;
}

torch::Tensor Value::tensor() const { return array().tensor(); }

}  // namespace fmgs
