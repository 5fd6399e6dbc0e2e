#pragma once
/// A small reader of .glb files, by glTF's definition, for tests of what is written.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/value.h>

#include <cstring>

#include "support/test.h"

namespace fmgs::test {

class GlbFile {
  public:
    explicit GlbFile(const std::filesystem::path& file) : bytes_(read_whole(file)) {
        REQUIRE(bytes_.substr(0, 4) == "glTF");
        REQUIRE(word(4) == 2);
        REQUIRE(word(8) == bytes_.size());
        const size_t text = word(12);
        REQUIRE(bytes_.substr(16, 4) == "JSON");
        json = parse_value(bytes_.substr(20, text), file.string());
        buffer_ = 20 + text + 8;
        REQUIRE(text % 4 == 0);
        REQUIRE(bytes_.substr(buffer_ - 4, 4) == std::string("BIN\0", 4));
        REQUIRE(buffer_ + word(buffer_ - 8) == bytes_.size());
        REQUIRE(integer(json["buffers"].list()[0]["byteLength"]) == word(buffer_ - 8));
    }

    /// Rows of an accessor as double: [n], [n,k] or [n,4,4], matrices by rows.
    torch::Tensor accessor(int64_t index) const {
        const auto& a = json["accessors"].list().at(static_cast<size_t>(index));
        const auto& view = json["bufferViews"].list().at(integer(a["bufferView"]));
        const size_t count = integer(a["count"]), type = integer(a["componentType"]);
        const auto shape = a["type"].text();
        const size_t width = shape == "SCALAR" ? 1
                             : shape == "MAT4" ? 16
                                               : static_cast<size_t>(shape.back() - '0');
        const size_t size = type == 5121 ? 1 : type == 5123 ? 2 : 4;
        REQUIRE(integer(view["byteLength"]) == count * width * size);
        REQUIRE(integer(view["byteOffset"]) % size == 0);
        auto out = torch::empty({static_cast<int64_t>(count * width)}, torch::kDouble);
        const char* from = bytes_.data() + buffer_ + integer(view["byteOffset"]);
        for (size_t i = 0; i < count * width; ++i)
            out.data_ptr<double>()[i] = number(from + i * size, type);
        const auto n = static_cast<int64_t>(count);
        if (shape == "MAT4") return out.view({n, 4, 4}).transpose(1, 2);
        return width == 1 ? out : out.view({n, static_cast<int64_t>(width)});
    }
    torch::Tensor attribute(const std::string& name) const {
        const auto& primitive = json["meshes"].list().at(0)["primitives"].list().at(0);
        return accessor(primitive["attributes"][name].integer());
    }
    std::string view_bytes(size_t index) const {
        const auto& view = json["bufferViews"].list().at(index);
        return bytes_.substr(buffer_ + integer(view["byteOffset"]), integer(view["byteLength"]));
    }

    Value json;

  private:
    static size_t integer(const Value& value) { return static_cast<size_t>(value.integer()); }
    size_t word(size_t at) const {
        uint32_t out = 0;
        std::memcpy(&out, bytes_.data() + at, sizeof(out));
        return out;
    }
    template <class T>
    static double as(const char* from) {
        T out;
        std::memcpy(&out, from, sizeof(out));
        return static_cast<double>(out);
    }
    static double number(const char* from, size_t type) {
        if (type == 5121) return as<uint8_t>(from);
        if (type == 5123) return as<uint16_t>(from);
        if (type == 5125) return as<uint32_t>(from);
        REQUIRE(type == 5126);
        return as<float>(from);
    }

    std::string bytes_;
    size_t buffer_ = 0;
};

}  // namespace fmgs::test
