#include "edge/pretend_kernel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <latch>
#include <utility>

namespace topicfs::test {

namespace {

constexpr unsigned kThreads = 4;
constexpr std::size_t kMessageBytesMax = (1 << 20) + (64 << 10);

// A packet must fit into the sender's buffer as a whole.
bool enlarge(int fd) {
    const int wanted = 4 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) != 0) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
    }
    int size = 0;
    socklen_t length = sizeof size;
    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length);
    return size >= (2 << 20);
}

// O_LARGEFILE, which the C library has as 0: the kernel adds it to every open(2) of a 64-bit system.
constexpr std::uint32_t kLargeFile = 0100000;

}  // namespace

Bytes to_bytes(std::string_view text) {
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    return Bytes(bytes, bytes + text.size());
}

std::string to_text(const Bytes& bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

PretendKernel::PretendKernel(Start start, std::string data_directory, std::chrono::milliseconds busy_patience)
    : message_(kMessageBytesMax) {
    int ends[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        throw std::runtime_error("socketpair");
    }
    kernel_end_ = Fd(ends[0]);
    Fd device(ends[1]);
    large_ = enlarge(kernel_end_.get()) && enlarge(device.get());
    SessionOptions options;
    options.threads = kThreads;
    options.busy_patience = busy_patience;
    options.mount_point = "/pretend";
    options.data_directory = std::move(data_directory);
    if (start == Start::kPassthrough) {
        probe_directory_ = std::make_unique<TemporaryDirectory>();
        write_file(*probe_directory_ / "probe", "an ordinary file");
        options.probe_file = *probe_directory_ / "probe";
    }
    options.on_ready = [this](const std::string& no_passthrough) {
        no_passthrough_ = no_passthrough;
        announced_promise_.set_value();
    };
    auto session = Session::create(store_, std::move(device), std::move(options));
    if (!session) {
        throw std::runtime_error(session.error().message());
    }
    session_ = std::move(*session);
    server_ = std::thread([this] { result_ = std::make_unique<Result<void>>(session_->serve()); });
    if (start == Start::kInitialised) {
        initialise();
    }
    if (start == Start::kPassthrough) {
        // FUSE_PASSTHROUGH, which older headers do not have.
        constexpr std::uint32_t kPassthrough = 1u << 5;
        initialise(FUSE_KERNEL_VERSION, kPassthrough);
        if (!announced()) {
            throw std::runtime_error("INIT was answered, and nothing announced");
        }
    }
}

PretendKernel::~PretendKernel() {
    if (server_.joinable()) {
        session_->stop();
        server_.join();
    }
}

void PretendKernel::flush_interrupts() {
    if (interrupts_.empty()) {
        return;
    }
    // A request in the hands of every thread, all at once: what came before them is done with.
    std::latch all_there(kThreads);
    store_.context().before.set([&](std::string_view call) -> Result<void> {
        if (call == "topic" && !all_there.try_wait()) {
            all_there.arrive_and_wait();
        }
        return {};
    });
    const auto send_probe = [this] { return send(FUSE_LOOKUP, FUSE_ROOT_ID, body(std::string_view("probe"))); };
    std::vector<std::uint64_t> probes;
    for (unsigned i = 0; i < kThreads; ++i) {
        probes.push_back(send_probe());
    }
    for (const std::uint64_t probe : probes) {
        receive(probe);
    }
    store_.context().before.set({});
    // Each request has libfuse give up one.
    for (std::size_t i = 0; i < interrupts_.size(); ++i) {
        receive(send_probe());
    }
}

std::size_t PretendKernel::finish() {
    if (server_.joinable()) {
        flush_interrupts();
        session_->stop();
        server_.join();
    }
    receive_what_came();
    for (const std::uint64_t unique : interrupts_) {
        if (const auto found = answers_.find(unique); found != answers_.end() && found->second.error == EAGAIN) {
            answers_.erase(found);
        }
    }
    return answers_.size();
}

void PretendKernel::interrupt(std::uint64_t unique) {
    fuse_interrupt_in in = {};
    in.unique = unique;
    interrupts_.insert(send(FUSE_INTERRUPT, 0, body(in)));
}

const Result<void>& PretendKernel::unmount() {
    shutdown(kernel_end_.get(), SHUT_WR);
    server_.join();
    return *result_;
}

void PretendKernel::destroy_session() {
    if (server_.joinable()) {
        session_->stop();
        server_.join();
    }
    session_.reset();
}

bool PretendKernel::is_hung_up(std::chrono::milliseconds within) const {
    pollfd hung_up = {kernel_end_.get(), 0, 0};
    return poll(&hung_up, 1, static_cast<int>(within.count())) == 1 && (hung_up.revents & POLLHUP) != 0;
}

std::uint64_t PretendKernel::send(std::uint32_t opcode, std::uint64_t node, const Bytes& body, const Caller& caller) {
    fuse_in_header header = {};
    header.len = static_cast<std::uint32_t>(sizeof header + body.size());
    header.opcode = opcode;
    header.unique = next_unique_;
    header.nodeid = node;
    header.uid = caller.uid;
    header.gid = caller.gid;
    header.pid = caller.thread;
    next_unique_ += 2;  // The kernel leaves odd ones for INTERRUPT.
    Bytes message;
    add(message, header);
    message.insert(message.end(), body.begin(), body.end());
    send_raw(message);
    return header.unique;
}

void PretendKernel::send_raw(const Bytes& message) {
    if (::send(kernel_end_.get(), message.data(), message.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(message.size())) {
        throw std::runtime_error(std::string("send: ") + std::strerror(errno));
    }
}

void PretendKernel::receive_one() {
    pollfd readable = {kernel_end_.get(), POLLIN, 0};
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience).count();
    if (poll(&readable, 1, static_cast<int>(milliseconds)) != 1) {
        throw std::runtime_error("no answer came");
    }
    const ssize_t count = ::recv(kernel_end_.get(), message_.data(), message_.size(), 0);
    if (count < static_cast<ssize_t>(sizeof(fuse_out_header))) {
        throw std::runtime_error("an answer without a header");
    }
    fuse_out_header header;
    std::memcpy(&header, message_.data(), sizeof header);
    if (header.unique == 0 && header.error == FUSE_NOTIFY_POLL &&
        count == static_cast<ssize_t>(sizeof header + sizeof(fuse_notify_poll_wakeup_out))) {
        fuse_notify_poll_wakeup_out notice;
        std::memcpy(&notice, message_.data() + sizeof header, sizeof notice);
        poll_notices_.push_back(notice.kh);
        return;
    }
    if (header.len != static_cast<std::size_t>(count) || header.error > 0) {
        throw std::runtime_error("an answer with a wrong header");
    }
    Answer answer;
    answer.error = -header.error;
    answer.body.assign(message_.begin() + sizeof header, message_.begin() + count);
    if (!answers_.emplace(header.unique, std::move(answer)).second) {
        throw std::runtime_error("a second answer to one request");
    }
}

Answer PretendKernel::receive(std::uint64_t unique) {
    while (answers_.find(unique) == answers_.end()) {
        receive_one();
    }
    Answer answer = std::move(answers_.at(unique));
    answers_.erase(unique);
    return answer;
}

void PretendKernel::receive_what_came() {
    pollfd readable = {kernel_end_.get(), POLLIN, 0};
    const auto is_there = [&] {
        char front = 0;
        return poll(&readable, 1, 0) == 1 && (readable.revents & POLLIN) != 0 &&
               ::recv(kernel_end_.get(), &front, 1, MSG_PEEK) > 0;  // 0: the session has gone
    };
    while (is_there()) {
        receive_one();
    }
}

bool PretendKernel::answered(std::uint64_t unique) {
    receive_what_came();
    return answers_.find(unique) != answers_.end();
}

std::size_t PretendKernel::poll_notices() {
    receive_what_came();
    return poll_notices_.size();
}

std::uint64_t PretendKernel::receive_poll_notice() {
    while (poll_notices_.empty()) {
        receive_one();
    }
    const std::uint64_t number = poll_notices_.front();
    poll_notices_.pop_front();
    return number;
}

Answer PretendKernel::initialise(std::uint32_t major, std::uint32_t more_flags) {
    fuse_init_in init = {};
    init.major = major;
    init.minor = FUSE_KERNEL_MINOR_VERSION;
    init.max_readahead = 128 << 10;
    // Everything the kernel can do, but FUSE_INIT_EXT, which asks for a longer message.
    init.flags = ~std::uint32_t{FUSE_INIT_EXT};
    if (more_flags != 0) {
        init.flags |= FUSE_INIT_EXT;
        init.flags2 = more_flags;
    }
    return call(FUSE_INIT, 0, body(init));
}

Answer PretendKernel::look_up(std::uint64_t parent, std::string_view name, const Caller& caller) {
    return call(FUSE_LOOKUP, parent, body(name), caller);
}

std::uint64_t PretendKernel::node(std::uint64_t parent, std::string_view name, const Caller& caller) {
    return look_up(parent, name, caller).as<fuse_entry_out>().nodeid;
}

std::uint64_t PretendKernel::node_of_path(std::string_view path) {
    std::uint64_t at = FUSE_ROOT_ID;
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        at = node(at, path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return at;
}

Answer PretendKernel::make_directory(std::uint64_t parent, std::string_view name, std::uint32_t mode,
                                     const Caller& caller, std::uint32_t mask) {
    fuse_mkdir_in in = {};
    in.mode = mode;
    in.umask = mask;
    return call(FUSE_MKDIR, parent, body(in, name), caller);
}

Answer PretendKernel::open_for_ioctl(std::uint64_t node) {
    return call(FUSE_OPEN, node, body(fuse_open_in{}));
}

Answer PretendKernel::control(const OpenFile& file, std::uint32_t command, const Bytes& argument,
                              std::optional<std::uint32_t> out_bytes, std::uint32_t flags, const Caller& caller) {
    fuse_ioctl_in in = {};
    in.fh = file.handle;
    in.cmd = command;
    in.flags = flags;
    in.in_size = static_cast<std::uint32_t>(argument.size());
    in.out_size = out_bytes.value_or(in.in_size);
    Bytes all = body(in);
    all.insert(all.end(), argument.begin(), argument.end());
    return call(FUSE_IOCTL, file.node, all, caller);
}

std::uint64_t PretendKernel::send_open(std::uint64_t node, int flags, const Caller& caller) {
    fuse_open_in in = {};
    in.flags = static_cast<std::uint32_t>(flags) | kLargeFile;
    return send(FUSE_OPEN, node, body(in), caller);
}

Answer PretendKernel::open(std::uint64_t node, int flags, const Caller& caller) {
    return receive(send_open(node, flags, caller));
}

OpenFile PretendKernel::open_path(std::string_view path, int flags, const Caller& caller) {
    const std::size_t slash = path.rfind('/');
    const std::uint64_t directory =
        slash == std::string_view::npos ? FUSE_ROOT_ID : node_of_path(path.substr(0, slash));
    const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
    std::uint64_t at = node(directory, name, caller);
    Answer answer = open(at, flags, caller);
    if (answer.error == ESTALE) {
        node(directory, name, caller);
        at = node(directory, name, caller);
        answer = open(at, flags, caller);
    }
    const auto out = answer.as<fuse_open_out>();
    return {at, out.fh, out.open_flags};
}

Answer PretendKernel::create(std::uint64_t parent, std::string_view name, int flags, std::uint32_t mode,
                             const Caller& caller, std::uint32_t mask) {
    fuse_create_in in = {};
    in.flags = static_cast<std::uint32_t>(flags | O_CREAT);
    in.mode = S_IFREG | mode;
    in.umask = mask;
    return call(FUSE_CREATE, parent, body(in, name), caller);
}

Answer PretendKernel::write(const OpenFile& file, std::string_view text, std::uint64_t offset, int flags) {
    fuse_write_in in = {};
    in.fh = file.handle;
    in.offset = offset;
    in.size = static_cast<std::uint32_t>(text.size());
    in.flags = static_cast<std::uint32_t>(flags);
    Bytes bytes = body(in);
    const Bytes data = to_bytes(text);
    bytes.insert(bytes.end(), data.begin(), data.end());
    return call(FUSE_WRITE, file.node, bytes);
}

std::uint64_t PretendKernel::send_read(const OpenFile& file, std::uint32_t size, std::uint64_t offset, int flags) {
    fuse_read_in in = {};
    in.fh = file.handle;
    in.offset = offset;
    in.size = size;
    in.flags = static_cast<std::uint32_t>(flags);
    // As read(2) has it; a read for the page cache names nobody.
    in.read_flags = FUSE_READ_LOCKOWNER;
    in.lock_owner = 1;
    return send(FUSE_READ, file.node, body(in));
}

Answer PretendKernel::read(const OpenFile& file, std::uint32_t size, std::uint64_t offset) {
    return receive(send_read(file, size, offset));
}

Answer PretendKernel::flush(const OpenFile& file, const Caller& caller) {
    fuse_flush_in in = {};
    in.fh = file.handle;
    return call(FUSE_FLUSH, file.node, body(in), caller);
}

std::string PretendKernel::read_path(std::string_view path) {
    const OpenFile file = open_path(path, O_RDONLY);
    std::string text = read(file).text();
    release(file);
    return text;
}

Answer PretendKernel::release(const OpenFile& file, std::uint64_t flock_owner) {
    fuse_release_in in = {};
    in.fh = file.handle;
    in.lock_owner = flock_owner;
    in.release_flags = flock_owner != 0 ? FUSE_RELEASE_FLOCK_UNLOCK : 0;
    return call(FUSE_RELEASE, file.node, body(in));
}

Answer PretendKernel::attributes(std::uint64_t node) {
    return call(FUSE_GETATTR, node, body(fuse_getattr_in{}));
}

fuse_attr PretendKernel::attributes_of(std::string_view path) {
    return attributes(node_of_path(path)).as<fuse_attr_out>().attr;
}

Answer PretendKernel::set_attributes(std::uint64_t node, const fuse_setattr_in& change) {
    return call(FUSE_SETATTR, node, body(change));
}

OpenFile PretendKernel::open_directory(std::uint64_t node) {
    const auto out = call(FUSE_OPENDIR, node, body(fuse_open_in{})).as<fuse_open_out>();
    return {node, out.fh, out.open_flags};
}

std::vector<Listed> PretendKernel::list(const OpenFile& directory, std::uint64_t cookie, std::uint32_t size) {
    fuse_read_in in = {};
    in.fh = directory.handle;
    in.offset = cookie;
    in.size = size;
    const Answer answer = call(FUSE_READDIR, directory.node, body(in));
    std::vector<Listed> entries;
    for (std::size_t at = 0; at < answer.body.size();) {
        const auto entry = answer.as<fuse_dirent>(at);
        const std::string name(reinterpret_cast<const char*>(answer.body.data()) + at + FUSE_NAME_OFFSET,
                               entry.namelen);
        entries.push_back({name, entry.ino, entry.off, entry.type});
        at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
    }
    return entries;
}

}  // namespace topicfs::test
