#include <fmgs/data/fits/mhr.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/fits/arrays.h>
#include <fmt/format.h>
#include <torch/utils.h>

#include <cstring>
#include <sstream>

namespace fmgs::detail {

namespace fs = std::filesystem;

namespace {

size_t size_of_type(const std::string& type) {
    if (type == "char" || type == "uchar" || type == "int8" || type == "uint8") return 1;
    if (type == "short" || type == "ushort" || type == "int16" || type == "uint16") return 2;
    if (type == "int" || type == "uint" || type == "int32" || type == "uint32") return 4;
    if (type == "float" || type == "float32") return 4;
    if (type == "double" || type == "float64") return 8;
    return 0;
}

struct PlyHeader {
    size_t vertices = 0, vertex_bytes = 0, faces = 0, begin = 0;
    bool is_plain = false;  // binary, little endian, vertices and then lists of uchar and int
};

PlyHeader parse_header(const std::string& bytes) {
    PlyHeader out;
    const auto end = bytes.find("end_header\n");
    if (bytes.compare(0, 4, "ply\n") != 0 || end == bytes.npos || end > 65536) return out;
    out.begin = end + std::strlen("end_header\n");
    std::istringstream lines(bytes.substr(0, end));
    std::string element, line;
    bool binary = false, list = false, odd = false;
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        std::string first, second, third, fourth;
        words >> first >> second >> third >> fourth;
        if (first == "format") binary = second == "binary_little_endian";
        if (first == "element") {
            element = second;
            size_t count = 0;
            std::istringstream(third) >> count;
            if (element == "vertex") {
                odd |= out.faces > 0;
                out.vertices = count;
            } else if (element == "face") {
                out.faces = count;
            } else {
                odd = true;
            }
        }
        if (first != "property") continue;
        if (element == "vertex") {
            const size_t size = size_of_type(second);
            odd |= size == 0;
            out.vertex_bytes += size;
        } else {
            odd |= list || second != "list" || size_of_type(third) != 1 ||
                   (fourth != "int" && fourth != "uint" && fourth != "int32" && fourth != "uint32");
            list = true;
        }
    }
    out.is_plain = binary && list && !odd;
    return out;
}

}  // namespace

torch::Tensor parse_ply_triangles(const std::string& bytes, const std::string& what) {
    const auto header = parse_header(bytes);
    constexpr size_t kTriangle = 13;  // a count of one byte, three indices of four
    const size_t left = bytes.size() - std::min(header.begin, bytes.size());
    if (!header.is_plain)
        throw Error(fmt::format(
            "{}: expected a .ply, binary_little_endian, of vertices and then faces as `list uchar "
            "int`",
            what));
    if (header.vertex_bytes > 1024 || header.faces > left / kTriangle ||
        header.vertices > left / std::max<size_t>(header.vertex_bytes, 1) ||
        header.vertices * header.vertex_bytes + header.faces * kTriangle != left)
        throw Error(
            fmt::format("{}: expected {} vertices and {} triangles, the file has {} bytes "
                        "for them",
                        what, header.vertices, header.faces, left));
    const char* at = bytes.data() + header.begin + header.vertices * header.vertex_bytes;
    auto out = torch::empty({static_cast<int64_t>(header.faces), 3}, torch::kLong);
    int64_t* index = out.data_ptr<int64_t>();
    for (size_t k = 0; k < header.faces; ++k, at += kTriangle) {
        if (*at != 3) throw Error(fmt::format("{}: face {}: expected a triangle", what, k));
        for (size_t c = 0; c < 3; ++c) {
            uint32_t vertex = 0;
            std::memcpy(&vertex, at + 1 + 4 * c, 4);
            if (vertex >= header.vertices)
                throw Error(
                    fmt::format("{}: face {}: vertex {} of {}", what, k, vertex, header.vertices));
            *index++ = vertex;
        }
    }
    return out;
}

torch::Tensor MhrMap::apply(const torch::Tensor& vertices) const {
    const auto at = vertices.index_select(0, corners.reshape({-1})).reshape({-1, 3, 3});
    return (at * weights.unsqueeze(2)).sum(1);
}

MhrMap read_mhr_map(const fs::path& folder) {
    const auto map = folder / "mhr2smpl_mapping.npz", mesh = folder / "mhr_lod1_mesh.ply";
    for (const auto& file : {map, mesh}) {
        if (!is_there(file))
            throw Error(fmt::format(
                "{}: expected this file, which carries SAM 3D Body's vertices to SMPL's mesh; it "
                "is part of github.com/facebookresearch/MHR; name the folder that has it",
                file.string()));
    }
    const Value value = read_value(map);
    const Arrays in(value, map.string());
    const auto faces = parse_ply_triangles(read_whole(mesh), mesh.string());
    const auto triangles = in.numbers("triangle_ids", {kSmplVertices}).to(torch::kLong);
    MhrMap out;
    out.weights = in.numbers("baryc_coords", {kSmplVertices, 3});
    if (triangles.min().item<int64_t>() < 0 || triangles.max().item<int64_t>() >= faces.size(0))
        throw Error(fmt::format("{}: triangle_ids: expected numbers below {}, the triangles of {}",
                                map.string(), faces.size(0), mesh.string()));
    if ((out.weights.sum(1) - 1).abs().max().item<double>() > 1e-3)
        throw Error(fmt::format("{}: baryc_coords: expected rows that sum to one", map.string()));
    out.corners = faces.index_select(0, triangles);
    if (out.corners.max().item<int64_t>() >= kMhrVertices)
        throw Error(
            fmt::format("{}: expected the mesh of {} vertices", mesh.string(), kMhrVertices));
    return out;
}

}  // namespace fmgs::detail
