#include <fmgs/run/run.h>
#include <fmgs/version.h>

#include <filesystem>

static_assert(FMGS_VERSION_NUMBER >= 100);

int main() {
    const auto options = fmgs::read_options({"train.steps=7", "output=runs/mine"});
    const auto root = std::filesystem::temp_directory_path() / "fmgs_run_user";
    std::filesystem::remove_all(root);
    const auto folder = fmgs::RunFolder::create(root);
    fmgs::MetricsLog(folder.metrics(), {"loss"}).add(options.train.steps, {0.5});
    return std::filesystem::file_size(folder.metrics()) > 0 && options.train.steps == 7 ? 0 : 1;
}
