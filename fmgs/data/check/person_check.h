#pragma once
/// Whether the numbers of a fit are those of a person, before any picture is looked at.
#include <fmgs/core/body.h>

#include <span>

namespace fmgs {

/// What was found so far: figures, what a person should look at, and why training would learn
/// nothing, each with cause and cure.
struct Findings {
    std::vector<std::string> lines, warnings, problems;

    /// A problem where it holds of more than half of `all` frames, else a warning; nothing where it
    /// holds of none. `text` has a {} for the names of the frames.
    void add(const std::string& text, const std::vector<std::string>& frames, size_t all);
};

/// The body's height: 1.2 to 2.3 m; a factor of 10, 100 or 1,000 is named.
void check_height(const Body& body, Findings& found);
/// No beta beyond 10: people are within 5.
void check_betas(const torch::Tensor& betas, Findings& found);
/// The person stands in front of the camera, 0.3 to 30 m away.
void check_places(const Body& body, std::span<const Frame> frames, Findings& found);
/// A fit that failed in one frame: far from the frames before and after, which are near each other.
void check_jumps(std::span<const Frame> frames, Findings& found);

}  // namespace fmgs
