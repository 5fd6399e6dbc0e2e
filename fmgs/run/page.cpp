#include <fmgs/run/page.h>

#include <fmgs/core/check.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/picture_bytes.h>
#include <fmgs/run/html.h>
#include <fmgs/run/page_frames.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace fmgs {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostBytes = 10'000'000;  // of a page
constexpr size_t kMostPoints = 1500;       // of a series

/// Five digits: what a chart can show.
Json rounded(double value) {
    return std::isfinite(value) ? Json(std::stod(fmt::format("{:.5g}", value))) : Json(nullptr);
}

/// `code` marked up, all else escaped.
std::string inline_html(const std::string& text) {
    std::string out;
    bool code = false;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, '`'); code = !code)
        out += code ? "<code>" + escaped(part) + "</code>" : escaped(part);
    return out;
}

/// The cells of a line "| a | b |"; "\|" is no border.
std::vector<std::string> cells_of(const std::string& line) {
    std::vector<std::string> cells;
    std::string cell;
    for (size_t k = 1; k < line.size(); ++k) {
        if (line[k] == '\\' && k + 1 < line.size() && line[k + 1] == '|') {
            cell += line[++k];
        } else if (line[k] == '|') {
            const auto first = cell.find_first_not_of(' ');
            const auto last = cell.find_last_not_of(' ');
            cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
            cell.clear();
        } else {
            cell += line[k];
        }
    }
    return cells;
}

std::string table_html(const std::vector<std::vector<std::string>>& rows) {
    std::string out = "<div class=\"wide\"><table>\n";
    for (size_t k = 0; k < rows.size(); ++k) {
        const char* tag = k == 0 ? "th" : "td";
        out += "<tr>";
        for (const auto& cell : rows[k])
            out += fmt::format("<{0}>{1}</{0}>", tag, inline_html(cell));
        out += "</tr>\n";
    }
    return out + "</table></div>\n";
}

bool is_rule(const std::vector<std::string>& cells) {
    for (const auto& cell : cells)
        if (cell.find_first_not_of("-: ") != std::string::npos || cell.empty()) return false;
    return !cells.empty();
}

}  // namespace

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

Page::Page(std::string title) : title_(std::move(title)) {}

void Page::section(const std::string& word) {
    links_ += fmt::format("<a href=\"#{0}\">{0}</a>\n", escaped(word));
    body_ += fmt::format("<h2 id=\"{0}\">{0}</h2>\n", escaped(word));
}

void Page::paragraph(const std::string& text) { body_ += "<p>" + inline_html(text) + "</p>\n"; }

void Page::table(const std::vector<std::vector<std::string>>& rows) { body_ += table_html(rows); }

void Page::facts(const std::vector<std::vector<std::string>>& rows) {
    body_ += "<dl>\n";
    for (const auto& row : rows)
        body_ += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escaped(row[0]), escaped(row[1]));
    body_ += "</dl>\n";
}

void Page::folded(const std::string& title, const std::string& text) {
    body_ += fmt::format("<details><summary>{}</summary><pre>{}</pre></details>\n", escaped(title),
                         escaped(text));
}

void Page::warning(const std::string& text) {
    body_ += "<p class=\"warning\">" + inline_html(text) + "</p>\n";
}

void Page::markdown(const std::string& text) {
    std::istringstream lines(text);
    std::vector<std::vector<std::string>> rows;
    const auto end_table = [&] {
        if (!rows.empty()) table(rows);
        rows.clear();
    };
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with('|')) {
            const auto cells = cells_of(line);
            if (!is_rule(cells)) rows.push_back(cells);
            continue;
        }
        end_table();
        if (line.empty()) continue;
        const auto hashes = line.find_first_not_of('#');
        if (hashes == std::string::npos) continue;
        if (hashes > 0)
            body_ += "<h3>" + inline_html(line.substr(hashes)) + "</h3>\n";
        else if (line.starts_with("- "))
            body_ += "<p class=\"item\">" + inline_html(line.substr(2)) + "</p>\n";
        else
            paragraph(line);
    }
    end_table();
}

void Page::chart(const Chart& chart) {
    Json json = {{"title", chart.title}, {"log", chart.logarithmic}, {"series", Json::array()}};
    for (const auto& series : chart.series) {
        const size_t count = std::min(series.x.size(), series.y.size());
        const size_t stride = (count + kMostPoints - 1) / kMostPoints;
        Json x = Json::array(), y = Json::array();
        bool any = false;
        for (size_t k = 0; k < count; k += stride) {
            x.push_back(rounded(series.x[k]));
            y.push_back(rounded(series.y[k]));
            any = any || (std::isfinite(series.y[k]) && (series.y[k] > 0 || !chart.logarithmic));
        }
        if (any) json["series"].push_back({{"name", series.name}, {"x", x}, {"y", y}});
    }
    if (json["series"].empty()) return;
    body_ += fmt::format(
        "<figure class=\"chart\"><figcaption>{}</figcaption>"
        "<script type=\"application/json\">{}</script></figure>\n",
        escaped(chart.title),
        detail::script_text(
            json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace)));
}

void Page::slider(const std::string& title, const Pictures& pictures, int64_t longest, size_t most,
                  bool at_last) {
    std::vector<std::string> images;
    size_t missing = 0, bytes = body_.size();
    const size_t count = std::min(most, pictures.size());
    for (size_t k = 0; k < count; ++k) {
        const size_t at =
            count == 1 ? pictures.size() - 1 : k * (pictures.size() - 1) / (count - 1);
        const auto& [label, file] = pictures[at];
        std::string image;
        try {
            image = detail::base64(jpeg_bytes(read_color(file), longest));
        } catch (const Error&) {  // damaged: the page says that one is left out
        }
        if (image.empty() || bytes + image.size() > kMostBytes) {
            ++missing;
            continue;
        }
        bytes += image.size();
        images.push_back(
            fmt::format("alt=\"{}\" src=\"data:image/jpeg;base64,{}\"", escaped(label), image));
    }
    left_out_ += missing;
    std::string note;
    if (count < pictures.size()) note = fmt::format("{} of {} pictures", count, pictures.size());
    if (missing > 0)
        note += fmt::format("{}{} left out: no room on the page, or not readable",
                            note.empty() ? "" : "; ", missing);
    body_ += fmt::format("<figure class=\"slider{}\"><figcaption>{}</figcaption><div>",
                         longest < 600 ? " small" : "", escaped(title));
    for (size_t k = 0; k < images.size(); ++k)
        body_ += fmt::format("<img {}{}>\n", images[k],
                             k == (at_last ? images.size() - 1 : 0) ? "" : " hidden");
    body_ += fmt::format("</div><p class=\"note\">{}</p></figure>\n", escaped(note));
}

std::string Page::html() const {
    return detail::filled(kReportHtml,
                          {{"title", escaped(title_)}, {"links", links_}, {"body", body_}});
}

}  // namespace fmgs
