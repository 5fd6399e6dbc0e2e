#pragma once
/// One HTML page that needs nothing beside it: no file, no network. Its frame, style and script are
/// report.html beside this file, which the build embeds.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace fmgs {

/// Text as it stands in HTML, in an attribute, too.
std::string escaped(const std::string& text);

/// One line of a chart: values over steps; NaN is a gap.
struct Series {
    std::string name;
    std::vector<double> x, y;
};
struct Chart {
    std::string title;
    std::vector<Series> series;
    bool logarithmic = false;  ///< of the values; what is not positive is not drawn then
};

/// Pictures of which one is seen at a time, with their labels.
using Pictures = std::vector<std::pair<std::string, std::filesystem::path>>;

/// What is added comes in this order. All text is escaped, whatever it holds.
class Page {
  public:
    explicit Page(std::string title);

    /// A heading; `word` is its anchor in the row of links on top.
    void section(const std::string& word);
    void paragraph(const std::string& text);
    /// Headings, paragraphs, tables, lists and `code` of Markdown.
    void markdown(const std::string& text);
    /// Names with their values.
    void facts(const std::vector<std::vector<std::string>>& rows);
    /// Rows of cells, the first is the head.
    void table(const std::vector<std::vector<std::string>>& rows);
    /// Text as it stands, folded under its title.
    void folded(const std::string& title, const std::string& text);
    void warning(const std::string& text);
    /// A chart with a legend that switches its series; at most some thousand points of each.
    void chart(const Chart& chart);
    /// A slider over pictures, made smaller to `longest` pixels; at most `most`, evenly spaced and
    /// with the last. It begins at the first or the last. A picture that cannot be read, or for
    /// which the page has no room, is left out, and the page says so.
    void slider(const std::string& title, const Pictures& pictures, int64_t longest, size_t most,
                bool at_last = false);

    /// The whole page.
    std::string html() const;
    /// How many pictures were left out.
    size_t left_out() const { return left_out_; }

  private:
    std::string title_, links_, body_;
    size_t left_out_ = 0;
};

}  // namespace fmgs
