// line_checker FILE FROM LINE_BYTES_MAX WRITER...: whether FILE holds from byte FROM to its end what some line_writers
// have appended: every line once, whole, in each writer's order, and nothing else.
//
// WRITER is LETTER:SEED:LINES:BYTES:OPEN, LINES and BYTES as line_writer printed them. OPEN is 1 where the line after
// those may be there too, whole, or as a beginning at the very end of the file: that of a write which failed.
// Exit status 0; 1 where something is wrong, and what; 2 where it could not check.
#include "line_pattern.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using topicfs::test::LinePattern;

struct Writer {
    LinePattern pattern;
    std::uint64_t lines_min;  // acknowledged
    std::size_t bytes_min;    // of the next one
    bool open;
    std::uint64_t next = 0;  // the line that comes next; those of one byte are skipped
    bool torn = false;

    std::uint64_t lines_max() const { return lines_min + (open || bytes_min > 0 ? 1 : 0); }
};

struct Checker {
    std::vector<Writer> writers;
    std::uint64_t newlines_seen = 0;     // lines of one byte, which are nobody's
    std::uint64_t newlines_claimed = 0;  // those that must have come before a line that was seen
    std::uint64_t lines = 0;

    // Advances a writer over its lines of one byte, up to `end`.
    void skip_newlines(Writer& writer, std::uint64_t end) {
        while (writer.next < end && writer.pattern.line_bytes(writer.next) == 1) {
            ++writer.next;
            ++newlines_claimed;
        }
    }

    bool check(std::string_view content, std::uint64_t from);
    // How many bytes the line at the begin of `rest` takes; 0 where it is wrong, and why in `why`.
    std::size_t check_line(std::string_view rest, std::string& why);
    bool check_end();
};

std::size_t Checker::check_line(std::string_view rest, std::string& why) {
    if (rest.front() == '\n') {
        ++newlines_seen;
        return 1;
    }
    for (Writer& writer : writers) {
        if (writer.pattern.letter() != rest.front()) {
            continue;
        }
        skip_newlines(writer, writer.lines_max());
        const std::string name = std::string("line ") + std::to_string(writer.next) + " of writer " + rest.front();
        if (newlines_claimed > newlines_seen) {
            why = name + ": a line of one byte that was written before it is not there";
            return 0;
        }
        if (writer.next >= writer.lines_max()) {
            why = name + ": it was never written";
            return 0;
        }
        const std::string wanted = writer.pattern.line(writer.next);
        if (rest.substr(0, wanted.size()) == wanted) {
            ++writer.next;
            return wanted.size();
        }
        const bool torn = wanted.compare(0, rest.size(), rest) == 0;
        if (torn && writer.next == writer.lines_min && rest.size() >= writer.bytes_min) {
            writer.torn = true;
            return rest.size();
        }
        std::size_t same = 0;
        while (same < rest.size() && same < wanted.size() && rest[same] == wanted[same]) {
            ++same;
        }
        why = name + ": it has " + std::to_string(wanted.size()) + " bytes, of which only the first " +
              std::to_string(same) + " are here";
        return 0;
    }
    why = "byte " + std::to_string(static_cast<unsigned char>(rest.front())) + " begins no line";
    return 0;
}

bool Checker::check(std::string_view content, std::uint64_t from) {
    std::string why;
    for (std::size_t at = 0; at < content.size(); ++lines) {
        const std::size_t count = check_line(content.substr(at), why);
        if (count == 0) {
            std::printf("at byte %llu of %llu: %s\n", static_cast<unsigned long long>(from + at),
                        static_cast<unsigned long long>(from + content.size()), why.c_str());
            return false;
        }
        at += count;
    }
    return check_end();
}

bool Checker::check_end() {
    std::uint64_t newlines_open = 0;  // that a failed write may have left
    for (Writer& writer : writers) {
        skip_newlines(writer, writer.lines_min);
        if (writer.next < writer.lines_min ||
            (writer.next == writer.lines_min && writer.bytes_min > 0 && !writer.torn)) {
            std::printf("writer %c: line %llu is lost, of %llu acknowledged lines and %zu bytes\n",
                        writer.pattern.letter(), static_cast<unsigned long long>(writer.next),
                        static_cast<unsigned long long>(writer.lines_min), writer.bytes_min);
            return false;
        }
        if (writer.open && writer.next == writer.lines_min && writer.pattern.line_bytes(writer.next) == 1) {
            ++newlines_open;
        }
    }
    if (newlines_seen < newlines_claimed || newlines_seen > newlines_claimed + newlines_open) {
        std::printf("%llu lines of one byte, where %llu were written\n", static_cast<unsigned long long>(newlines_seen),
                    static_cast<unsigned long long>(newlines_claimed));
        return false;
    }
    return true;
}

bool parse_writer(const char* text, std::size_t line_bytes_max, std::vector<Writer>& to) {
    char letter = 0;
    unsigned long long seed = 0;
    unsigned long long lines = 0;
    std::size_t bytes = 0;
    int open = 0;
    if (std::sscanf(text, "%c:%llu:%llu:%zu:%d", &letter, &seed, &lines, &bytes, &open) != 5) {
        std::fprintf(stderr, "line_checker: not LETTER:SEED:LINES:BYTES:OPEN: %s\n", text);
        return false;
    }
    to.push_back({LinePattern(letter, seed, line_bytes_max), lines, bytes, open != 0});
    return true;
}

// From byte `from` to the end.
bool read_file(const char* path, off_t from, std::string& to) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        std::perror(path);
        return false;
    }
    constexpr std::size_t kReadBytes = 1 << 20;
    for (;;) {
        const std::size_t size = to.size();
        to.resize(size + kReadBytes);
        const ssize_t count = ::pread(fd, to.data() + size, kReadBytes, from + static_cast<off_t>(size));
        to.resize(size + (count > 0 ? static_cast<std::size_t>(count) : 0));
        if (count <= 0) {
            if (count < 0) {
                std::perror(path);
            }
            ::close(fd);
            return count == 0;
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) {
        std::fprintf(stderr, "usage: line_checker FILE FROM LINE_BYTES_MAX LETTER:SEED:LINES:BYTES:OPEN...\n");
        return 2;
    }
    const std::uint64_t from = std::strtoull(argv[2], nullptr, 10);
    const std::size_t line_bytes_max = std::strtoull(argv[3], nullptr, 10);
    Checker checker;
    for (int i = 4; i < argc; ++i) {
        if (!parse_writer(argv[i], line_bytes_max, checker.writers)) {
            return 2;
        }
    }
    std::string content;
    if (!read_file(argv[1], static_cast<off_t>(from), content)) {
        return 2;
    }
    if (!checker.check(content, from)) {
        return 1;
    }
    std::printf("%llu lines, %zu bytes\n", static_cast<unsigned long long>(checker.lines), content.size());
    return 0;
}
