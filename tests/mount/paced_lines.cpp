// paced_lines write FILE BYTES BYTES_PER_SECOND WRITE_BYTES: appends lines until they are BYTES or hardly more, whole
// ones only, in pieces of at most WRITE_BYTES, each by one write(2) when its time has come. A write that is late delays
// none behind it: they follow at once.
// paced_lines check BYTES: whether standard input begins with those lines. It reads no further.
//
// `write` prints "LINES BYTES MILLISECONDS WRITES P50 P999 MAX LATE": the last four in microseconds, of what a write(2)
// took, and by how much the last one that was behind its time was so at most.
// Exit status 0; 1 where a write failed or a line is not what it should be, and what; 2 for wrong use.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// Every other line is of one phrase, which compresses well; the others are cut out of what no codec finds again within
// a batch. Both are made once: so lines cost next to nothing.
class Lines {
public:
    Lines() {
        constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .";
        std::uint64_t state = 7;
        for (char& letter : filler_) {
            letter = kAlphabet[(state = mix(state)) & 63];
        }
        for (std::size_t i = 0; i < phrases_.size(); ++i) {
            phrases_[i] = kPhrase[i % kPhrase.size()];
        }
    }

    static std::size_t line_bytes(std::uint64_t number) { return kDigits + 1 + mix(number) % kFillerBytesMax + 1; }

    void put(std::uint64_t number, std::string& to) const {
        std::array<char, kDigits + 1> digits{};
        std::snprintf(digits.data(), digits.size(), "%012llu", static_cast<unsigned long long>(number));
        to.append(digits.data(), kDigits);
        to += ' ';
        const std::size_t filler_bytes = line_bytes(number) - kDigits - 2;
        const std::vector<char>& from = number % 2 == 0 ? filler_ : phrases_;
        to.append(from.data() + mix(~number) % (from.size() - kFillerBytesMax), filler_bytes);
        to += '\n';
    }

private:
    static constexpr std::size_t kDigits = 12;
    static constexpr std::size_t kFillerBytesMax = 400;
    static constexpr std::string_view kPhrase = "GET /index.html HTTP/1.1 200 in 12 ms; ";

    // SplitMix64's step.
    static std::uint64_t mix(std::uint64_t x) {
        x += 0x9e3779b97f4a7c15;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
        x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
        return x ^ (x >> 31);
    }

    std::vector<char> filler_ = std::vector<char>(64 << 20);
    std::vector<char> phrases_ = std::vector<char>(1024);
};

std::int64_t micros(Clock::duration time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

int write_lines(const char* path, std::uint64_t bytes, double bytes_per_second, std::size_t write_bytes) {
    const Lines lines;
    const int fd = ::open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) {
        std::perror(path);
        return 1;
    }
    std::vector<std::int64_t> took;
    std::int64_t late = 0;
    std::uint64_t number = 0;
    std::uint64_t done = 0;
    std::string piece;
    const auto begin = Clock::now();
    while (done < bytes) {
        piece.clear();
        do {
            lines.put(number++, piece);
        } while (done + piece.size() < bytes && piece.size() + Lines::line_bytes(number) <= write_bytes);
        const auto due = begin + std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double>(static_cast<double>(done) / bytes_per_second));
        std::this_thread::sleep_until(due);
        const auto before = Clock::now();
        const ssize_t written = ::write(fd, piece.data(), piece.size());
        const auto after = Clock::now();
        if (written != static_cast<ssize_t>(piece.size())) {
            std::printf("at byte %llu: a write of %zu gave %zd: %s\n", static_cast<unsigned long long>(done),
                        piece.size(), written, std::strerror(errno));
            return 1;
        }
        took.push_back(micros(after - before));
        late = std::max(late, micros(before - due));
        done += piece.size();
    }
    const std::int64_t all_ms = micros(Clock::now() - begin) / 1000;
    std::sort(took.begin(), took.end());
    std::printf("%llu %llu %lld %zu %lld %lld %lld %lld\n", static_cast<unsigned long long>(number),
                static_cast<unsigned long long>(done), static_cast<long long>(all_ms), took.size(),
                static_cast<long long>(took[took.size() / 2]), static_cast<long long>(took[took.size() * 999 / 1000]),
                static_cast<long long>(took.back()), static_cast<long long>(late));
    return 0;
}

int check_lines(std::uint64_t bytes) {
    const Lines lines;
    std::vector<char> buffer(1 << 20);
    std::string wanted;
    std::size_t wanted_at = 0;
    std::uint64_t number = 0;
    for (std::uint64_t done = 0; done < bytes || wanted_at < wanted.size();) {
        const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count <= 0) {
            std::printf("%s at byte %llu of %llu, in line %llu\n", count < 0 ? std::strerror(errno) : "the end",
                        static_cast<unsigned long long>(done), static_cast<unsigned long long>(bytes),
                        static_cast<unsigned long long>(number));
            return 1;
        }
        for (std::size_t at = 0; at < static_cast<std::size_t>(count);) {
            if (wanted_at == wanted.size()) {
                if (done >= bytes) {
                    std::printf("more than was written\n");
                    return 1;
                }
                wanted.clear();
                wanted_at = 0;
                lines.put(number++, wanted);
            }
            const std::size_t part = std::min(static_cast<std::size_t>(count) - at, wanted.size() - wanted_at);
            if (std::memcmp(buffer.data() + at, wanted.data() + wanted_at, part) != 0) {
                std::printf("line %llu, from byte %llu on, is not what was written: %.*s\n",
                            static_cast<unsigned long long>(number - 1), static_cast<unsigned long long>(done),
                            static_cast<int>(part), buffer.data() + at);
                return 1;
            }
            wanted_at += part;
            at += part;
            done += part;
        }
    }
    std::printf("%llu lines\n", static_cast<unsigned long long>(number));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "write" && argc == 6) {
        return write_lines(argv[2], std::strtoull(argv[3], nullptr, 10), std::strtod(argv[4], nullptr),
                           std::strtoull(argv[5], nullptr, 10));
    }
    if (what == "check" && argc == 3) {
        return check_lines(std::strtoull(argv[2], nullptr, 10));
    }
    std::fprintf(stderr,
                 "usage: paced_lines write FILE BYTES BYTES_PER_SECOND WRITE_BYTES | paced_lines check BYTES\n");
    return 2;
}
