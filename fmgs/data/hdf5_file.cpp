#include <fmgs/data/hdf5_file.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/memory.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

#ifdef FMGS_HDF5
#include <hdf5.h>
#endif

namespace fmgs {

namespace fs = std::filesystem;

namespace detail {

size_t unpack_lzf(const uint8_t* in, size_t in_size, uint8_t* out, size_t size) {
    size_t i = 0, o = 0;
    while (i < in_size) {
        const size_t control = in[i++];
        if (control < 32) {  // control + 1 bytes as they are
            const size_t count = control + 1;
            if (i + count > in_size || o + count > size) return 0;
            std::copy(in + i, in + i + count, out + o);
            i += count;
            o += count;
            continue;
        }
        size_t count = (control >> 5) + 2;  // bytes that stand further back
        if (control >> 5 == 7) {
            if (i >= in_size) return 0;
            count += in[i++];
        }
        if (i >= in_size) return 0;
        const size_t back = ((control & 31) << 8 | in[i++]) + 1;
        if (back > o || o + count > size) return 0;
        for (size_t k = 0; k < count; ++k, ++o) out[o] = out[o - back];  // they may overlap
    }
    return o;
}

}  // namespace detail

#ifdef FMGS_HDF5
namespace {

// The library is built without thread safety.
std::mutex& library() {
    static std::mutex mutex;
    return mutex;
}

constexpr H5Z_filter_t kLzf = 32000;  // registered with the HDF Group by h5py

size_t lzf_filter(unsigned flags, size_t count, const unsigned* values, size_t bytes,
                  size_t* capacity, void** buffer) {
    constexpr size_t kMostBytes = size_t{1} << 30;  // of a chunk
    if (!(flags & H5Z_FLAG_REVERSE) || count < 3 || values[2] == 0 || values[2] > kMostBytes)
        return 0;
    auto* out = static_cast<uint8_t*>(std::malloc(values[2]));
    if (!out) return 0;
    const size_t got =
        detail::unpack_lzf(static_cast<const uint8_t*>(*buffer), bytes, out, values[2]);
    if (got == 0) {
        std::free(out);
        return 0;
    }
    std::free(*buffer);
    *buffer = out;
    *capacity = values[2];
    return got;
}

void prepare() {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // messages are ours
    static const H5Z_class2_t kFilter = {H5Z_CLASS_T_VERS, kLzf,    1,         1, "lzf",
                                         nullptr,          nullptr, lzf_filter};
    H5Zregister(&kFilter);
}

struct DataSet {
    hid_t id = -1;
    std::vector<int64_t> shape;
    bool real = false;
};

}  // namespace

struct Hdf5File::State {
    fs::path file;
    hid_t id = -1;
    std::map<std::string, DataSet> sets;

    ~State() {
        const std::lock_guard lock(library());
        for (auto& [name, set] : sets) H5Dclose(set.id);
        if (id >= 0) H5Fclose(id);
    }

    [[noreturn]] void fail(const std::string& name, const std::string& words) const {
        throw Error(fmt::format("{}: {}: {}", file.string(), name, words));
    }

    // Under the lock.
    const DataSet& open(const std::string& name) {
        if (const auto found = sets.find(name); found != sets.end()) return found->second;
        // Rows are read one after the other, and a chunk has parts of many.
        constexpr size_t kCacheBytes = size_t{64} << 20, kSlots = 12421;
        const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
        H5Pset_chunk_cache(access, kSlots, kCacheBytes, 1.0);
        DataSet set;
        set.id = H5Dopen2(id, name.c_str(), access);
        H5Pclose(access);
        if (set.id < 0) fail(name, "there is no such data set");
        const hid_t space = H5Dget_space(set.id), type = H5Dget_type(set.id);
        const int rank = H5Sget_simple_extent_ndims(space);
        hsize_t sizes[H5S_MAX_RANK] = {};
        H5Sget_simple_extent_dims(space, sizes, nullptr);
        const auto kind = H5Tget_class(type);
        H5Sclose(space);
        H5Tclose(type);
        sets[name] = set;  // closed with the file from here on
        constexpr hsize_t kMost = hsize_t{1} << 32;
        for (int i = 0; i < rank; ++i) {
            if (sizes[i] > kMost) fail(name, "its shape is beyond measure");
            set.shape.push_back(static_cast<int64_t>(sizes[i]));
        }
        if (rank < 0 || (kind != H5T_INTEGER && kind != H5T_FLOAT && kind != H5T_ENUM))
            fail(name, "expected an array of numbers");
        set.real = kind == H5T_FLOAT;
        return sets[name] = set;
    }

    // An array of these sizes, and the memory for it.
    torch::Tensor make(const std::string& name, torch::IntArrayRef shape, torch::Dtype type) const {
        double bytes = static_cast<double>(c10::elementSize(type));
        for (const int64_t size : shape) bytes *= static_cast<double>(size);
        check_memory(bytes, fmt::format("{}: {}", file.string(), name), "give a smaller one");
        return torch::empty(shape, type);
    }

    void check(herr_t status, const std::string& name) const {
        if (status < 0) fail(name, "damaged, or compressed by a filter other than gzip and LZF");
    }
};

Hdf5File::Hdf5File(const fs::path& file) : state_(new State{file}) {
    read_first(file, 8);  // says why it cannot be read
    const std::lock_guard lock(library());
    prepare();
    state_->id = H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    if (state_->id < 0)
        throw Error(
            fmt::format("{}: expected an HDF5 file; it is none, or cut short", file.string()));
}

std::vector<int64_t> Hdf5File::shape(const std::string& name) {
    const std::lock_guard lock(library());
    return state_->open(name).shape;
}

torch::Tensor Hdf5File::read(const std::string& name) {
    const std::lock_guard lock(library());
    const auto& set = state_->open(name);
    auto out = state_->make(name, set.shape, torch::kDouble);
    state_->check(H5Dread(set.id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data_ptr()),
                  name);
    return out;
}

torch::Tensor Hdf5File::row(const std::string& name, int64_t row) {
    const std::lock_guard lock(library());
    const auto& set = state_->open(name);
    if (set.shape.empty() || set.real) state_->fail(name, "expected rows of whole numbers");
    if (row < 0 || row >= set.shape[0])
        state_->fail(name, fmt::format("expected a row {}, there are {}", row, set.shape[0]));
    std::vector<hsize_t> start(set.shape.size(), 0), count(set.shape.begin(), set.shape.end());
    start[0] = static_cast<hsize_t>(row);
    count[0] = 1;
    auto out = state_->make(name, torch::IntArrayRef(set.shape).slice(1), torch::kUInt8);
    const int rank = static_cast<int>(count.size());
    const hid_t space = H5Dget_space(set.id);
    const hid_t memory = H5Screate_simple(rank, count.data(), nullptr);
    herr_t status =
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
    if (status >= 0)
        status = H5Dread(set.id, H5T_NATIVE_UCHAR, memory, space, H5P_DEFAULT, out.data_ptr());
    H5Sclose(memory);
    H5Sclose(space);
    state_->check(status, name);
    return out;
}
#else
struct Hdf5File::State {};

Hdf5File::Hdf5File(const fs::path& file) {
    throw Error(
        fmt::format("{}: HDF5 files need libhdf5; configure with -DFMGS_HDF5=ON", file.string()));
}
std::vector<int64_t> Hdf5File::shape(const std::string&) { return {}; }
torch::Tensor Hdf5File::read(const std::string&) { return {}; }
torch::Tensor Hdf5File::row(const std::string&, int64_t) { return {}; }
#endif

Hdf5File::~Hdf5File() = default;

}  // namespace fmgs
